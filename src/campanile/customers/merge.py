"""Staged rows become part of a table: each row once, however often and in however many files it comes."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
from ibis.backends.duckdb import Backend

from campanile.customers import engine
from campanile.customers.cells import FINGERPRINT
from campanile.customers.staging import FILE, ORDINAL
from campanile.customers.tables import clustering

_UNIQUE = "campanile_unique"
_TIMES = "__times"
_STAGED = (ORDINAL, FILE, FINGERPRINT)
#: Whole numbers are exact in a double up to here.
_EXACT = 2**53


@dataclass(frozen=True)
class Merged:
    """What merging came to."""

    #: Distinct rows that came in.
    came: int
    #: Of these, rows that were not there.
    new: int
    #: Of these, rows that were there and differed.
    updated: int
    #: Rows of the table afterwards.
    rows: int
    #: Rows that were there and did not come.
    vanished: int = 0
    #: Of these, rows that were removed.
    removed: int = 0

    @property
    def known(self) -> int:
        """Rows that came in and were there already, the same."""
        return self.came - self.new - self.updated


@dataclass(frozen=True)
class Manner:
    """How rows are merged into their table."""

    #: What makes a row the same row; the last in the files wins. Empty: all columns, and a row is there as often as the
    #: file that has it most often, not counting lines that are equal in every column of the file.
    key: Sequence[str] = ()
    #: Count those lines too.
    repeats: bool = False
    #: Columns that tell no rows apart: they may change while the row is the same.
    aside: Sequence[str] = ()
    #: Remove rows that did not come.
    full: bool = False
    #: With `full` and a key: rows whose keys are here stay although they did not come.
    spared: ir.Table | None = None


def merge(backend: Backend, table: str, incoming: ir.Table, manner: Manner) -> Merged:
    """Merges rows into a table, which is made when there is none, and keeps it clustered by customer.

    Args:
        backend: The open database, inside a transaction.
        table: Name of the table.
        incoming: Typed rows as staged, or rows that are there once by their key.
        manner: How.
    """
    once = _last(incoming, manner.key) if manner.key else _counted(incoming, repeats=manner.repeats)
    unique = engine.store(backend, _UNIQUE, _whole_numbers(once), temp=True)
    merged = _merge(backend, table, unique, manner)
    backend.drop_table(_UNIQUE)
    return merged


def _merge(backend: Backend, table: str, unique: ir.Table, manner: Manner) -> Merged:
    came = _size(unique)
    if table not in backend.list_tables():
        stored = _store(backend, table, _copies(unique))
        return Merged(came, came, 0, _size(stored))
    known = backend.table(table)
    before = _size(known)
    merged, new, updated = _by_key(known, unique, manner.key) if manner.key else _by_content(known, unique, manner)
    if new or updated or set(merged.columns) != set(known.columns):
        known = _store(backend, table, merged)
    vanished = before + new - came
    if manner.full and vanished:
        known = _store(backend, table, _that_came(known, unique, manner))
    rows = _size(known)
    return Merged(came, new, updated, rows, vanished, before + new - rows)


def _store(backend: Backend, table: str, rows: ir.Table) -> ir.Table:
    return engine.store(backend, table, rows.order_by(clustering(rows.columns)))


def _that_came(known: ir.Table, unique: ir.Table, manner: Manner) -> ir.Table:
    """The rows of a merged table that came, and those that are spared."""
    columns = manner.key or [column for column in unique.columns if column not in (_TIMES, *manner.aside)]
    if manner.key:
        stay = unique.select(*columns)
        if manner.spared is not None:
            stay = stay.union(manner.spared.select(*columns))
        return known.semi_join(stay, [known[column].identical_to(stay[column]) for column in columns])
    numbered, times = _numbered(known, columns), [*columns, _TIMES]
    came = _numbered(_copies(unique), columns)
    same = [numbered[column].identical_to(came[column]) for column in times]
    return numbered.semi_join(came, same).drop(_TIMES)


def _size(rows: ir.Table) -> int:
    """The number of rows, each as often as it is there."""
    times = rows[_TIMES].sum().fill_null(0) if _TIMES in rows.columns else rows.count()
    return int(times.execute())


def _last(incoming: ir.Table, key: Sequence[str]) -> ir.Table:
    """The last row of each key."""
    if ORDINAL not in incoming.columns:
        return incoming
    last = incoming.group_by(key).agg(last=incoming[ORDINAL].max())
    return incoming.semi_join(last, incoming[ORDINAL] == last["last"]).drop(*_STAGED)


def _counted(incoming: ir.Table, *, repeats: bool) -> ir.Table:
    """Each row once, with the number of times it is there."""
    lines = incoming.group_by([FILE, FINGERPRINT, "customer_id"]).agg(first=incoming[ORDINAL].min())
    different = incoming if repeats else incoming.semi_join(lines, incoming[ORDINAL] == lines["first"])
    columns = [column for column in incoming.columns if column not in _STAGED]
    in_file = different.group_by([*columns, FILE]).agg(**{_TIMES: different.count()})
    return in_file.group_by(columns).agg(**{_TIMES: in_file[_TIMES].max()})


def _copies(counted: ir.Table) -> ir.Table:
    """Each row as often as it is there."""
    if _TIMES not in counted.columns:
        return counted
    return counted.mutate(**{_TIMES: ibis.range(0, counted[_TIMES]).unnest()}).drop(_TIMES)


def _whole_numbers(rows: ir.Table) -> ir.Table:
    """The rows, with columns of floats that are all whole as integers, so that 1200 points print as 1200."""
    floats = [column for column, type_ in rows.schema().items() if type_.is_floating()]
    if not floats:
        return rows
    whole = {
        column: ((rows[column] % 1 == 0) & (rows[column].abs() < _EXACT)).all().fill_null(engine.TRUE)
        for column in floats
    }
    found = rows.aggregate(**whole).to_pyarrow().to_pylist()[0]
    return rows.cast({column: "int64" for column in floats if found[column]})


def _by_key(known: ir.Table, unique: ir.Table, key: Sequence[str]) -> tuple[ir.Table, int, int]:
    """The table after rows with a known key replaced the known row, except in columns that they lack; new, updated."""
    common = [column for column in unique.columns if column in known.columns]
    before = known.rename({f"before_{column}": column for column in known.columns})
    pairs = unique.left_join(before, [unique[column].identical_to(before[f"before_{column}"]) for column in key])
    is_new = pairs["before_customer_id"].isnull()
    changed = [~pairs[column].identical_to(pairs[f"before_{column}"]) for column in common]
    changed += [pairs[column].notnull() for column in unique.columns if column not in common]
    differs = functools.reduce(lambda left, right: left | right, changed)
    counts = pairs.aggregate(new=is_new.sum(), updated=(~is_new & differs).sum()).to_pyarrow().to_pylist()[0]

    lacking = {column: pairs[f"before_{column}"] for column in known.columns if column not in common}
    untouched = known.anti_join(unique, [known[column].identical_to(unique[column]) for column in key])
    merged = _together(untouched, pairs.select(*unique.columns, **lacking))
    return merged, counts["new"] or 0, counts["updated"] or 0


def _by_content(known: ir.Table, unique: ir.Table, manner: Manner) -> tuple[ir.Table, int, int]:
    """As `_by_key`, the key being all columns, or all that both have where the mapping has changed."""
    columns = [column for column in unique.columns if column != _TIMES]
    common = [column for column in columns if column in known.columns and column not in manner.aside]
    if len(common) < len(columns) or len(common) < len(known.columns):
        merged, new, updated = _by_key(_numbered(known, common), _numbered(_copies(unique), common), [*common, _TIMES])
        return merged.drop(_TIMES), new, updated
    counted = known.group_by(known.columns).agg(**{_TIMES: known.count()})
    both = _together(counted, unique)
    merged = both.group_by(columns).agg(**{_TIMES: both[_TIMES].max()})
    return _copies(merged), _size(merged) - _size(known), 0


def _numbered(rows: ir.Table, columns: Sequence[str]) -> ir.Table:
    """The rows with a number that tells those apart which are equal in these columns."""
    return rows.mutate(**{_TIMES: ibis.row_number().over(group_by=columns)})


def _together(known: ir.Table, incoming: ir.Table) -> ir.Table:
    """The rows of both, with the columns of both and types that hold both."""
    types = {**known.schema(), **incoming.schema()}
    for column in set(known.columns) & set(incoming.columns):
        if known.schema()[column].is_floating():
            types[column] = known.schema()[column]
    return ibis.union(_shaped(known, types), _shaped(incoming, types))


def _shaped(rows: ir.Table, types: Mapping[str, dt.DataType]) -> ir.Table:
    return rows.select(
        **{
            column: rows[column].cast(type_) if column in rows.columns else ibis.null(type_)
            for column, type_ in types.items()
        }
    )
