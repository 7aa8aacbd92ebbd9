"""From cells to typed rows, each with a verdict: it counts, it is skipped, or it is refused for a reason."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import ibis
import ibis.expr.types as ir

from campanile.customers import engine
from campanile.customers.cells import (
    CURRENCY,
    FINGERPRINT,
    LINE,
    Cells,
    Setting,
    blamed,
    currency_of,
    finished,
    finite,
    laid_out,
    parsed,
    unreadable_reason,
)
from campanile.customers.sources import Source, TableImport
from campanile.customers.tables import CONTACT_COLUMNS, columns_of
from campanile.customers.zones import naive
from campanile.spec.mapping import RowRule, Scalar
from campanile.spec.vocabulary import FieldType

#: What judged rows carry beside the columns of their table.
SKIPPED = "__skipped"
REASON = "__reason"
VALUE = "__value"

#: No field of a customer is longer; one that is would make that customer's messages too large, and stop the plan.
_LONGEST = 10_000

#: In the engine's dialect, which knows no look-around. What is written as a date is no telephone number.
_LETTER, _DIGIT = r"[\p{L}\p{M}]", r"\p{N}"
_NUMBER = r"\+?\(?\d([ \x{a0}().\-/]{0,2}\d){6,}"
_DATE = r"^(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4})([ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?)?$"

#: No shop has computers older than this.
_FIRST_MOMENT = "1970-01-01"
#: Clocks of shops and ours may differ.
_CLOCK_SLACK = timedelta(days=1)


@dataclass(frozen=True)
class Fault:
    """A reason to refuse a row: where it holds, and the value that is to blame (NULL where it may not be shown)."""

    holds: ir.BooleanValue
    reason: str
    value: ir.StringValue


def judged(job: TableImport, source: Source, rows: ir.Table, columns: Mapping[str, str], setting: Setting) -> ir.Table:
    """The typed columns of a table, whether the row is skipped, and why it is refused (NULL when it is not).

    Each step has a name of its own in the engine, which keeps Ibis from writing the steps into one another.

    Args:
        job: The table.
        source: Where its columns come from.
        rows: The source as the engine reads it.
        columns: What the engine calls each column of the header, and perhaps the line.
        setting: What cells mean here.
    """
    types = columns_of(job.table)
    cells = laid_out(rows, columns, source.used, whole=job.by_lines and not source.is_table).alias("campanile_cells")
    first: dict[str, ir.Value] = {}
    for column, spec in source.columns.items():
        first |= parsed(column, spec, types[column], Cells(cells, source), setting)
    half = cells.select(*cells.columns, **first).alias("campanile_parsed")
    second = {column: finished(column, spec, types[column], half, setting) for column, spec in source.columns.items()}
    if job.converts:
        second[CURRENCY] = currency_of(source, Cells(half, source), setting)
    typed = half.select(*cells.columns, **second).alias("campanile_typed")
    return _with_verdict(job, source, typed, setting)


def _with_verdict(job: TableImport, source: Source, rows: ir.Table, setting: Setting) -> ir.Table:
    cells = Cells(rows, source)
    faults = list(_faults(job, source, cells, setting))
    currency = (CURRENCY,) if job.converts else ()
    return rows.select(
        *job.columns,
        *currency,
        **{
            FINGERPRINT: rows[FINGERPRINT],
            LINE: rows[LINE],
            SKIPPED: _skipped(source.mapping.rows, cells),
            REASON: ibis.cases(*((fault.holds, fault.reason) for fault in faults)),
            VALUE: form_of(ibis.cases(*((fault.holds, fault.value) for fault in faults)), job.table),
        },
    )


def _faults(job: TableImport, source: Source, cells: Cells, setting: Setting) -> Iterator[Fault]:
    """Every reason to refuse a row, the first to be named first."""
    types, rows = columns_of(job.table), cells.rows
    for column in sorted(job.columns, key=lambda name: (name != "customer_id", name != "at", name not in job.key)):
        texts = blamed(source.columns[column], cells)
        value = _shown(column, texts)
        unreadable = _all(text.notnull() for text in texts) & rows[column].isnull()
        yield Fault(unreadable, unreadable_reason(column, types[column]), value)
        if column == "at":
            yield from _time_faults(rows["at"], value, setting.now)
        elif column == "customer_id" or column in job.key:
            yield Fault(rows[column].isnull(), f"no {column}", value)
    for column in job.columns:
        if types[column] is FieldType.TEXT:
            too_long = (rows[column].length() > _LONGEST).fill_null(engine.FALSE)
            yield Fault(too_long, f"more than {_LONGEST:,} characters in {column}", ibis.null("string"))
    for name, rule in source.mapping.rows.items():
        if rule.operation in _COMPARISONS:
            text = cells.text(name)
            unreadable = text.notnull() & finite(cells.raw(name)).isnull()
            yield Fault(unreadable, f'unreadable number in column "{name}"', text)


def _time_faults(at: ir.TimestampValue, value: ir.StringValue, now: datetime) -> Iterator[Fault]:
    yield Fault(at.isnull(), "no date", value)
    yield Fault(at < ibis.timestamp(_FIRST_MOMENT), "date before 1970", value)
    yield Fault(at > ibis.timestamp(naive(now) + _CLOCK_SLACK), "date in the future", value)


def _shown(column: str, texts: tuple[ir.StringValue, ...]) -> ir.StringValue:
    """What the file says there; NULL for contact data."""
    if not texts or column in CONTACT_COLUMNS:
        return ibis.null("string")
    return functools.reduce(lambda left, right: left + " × " + right, texts)


def form_of(value: ir.StringValue, table: str) -> ir.StringValue:
    """How the value is written: an x for each letter, and a 9 for each digit where these may be somebody's.

    A name, an address or a date of birth stays in the shop's file, because where columns are shifted any cell may hold
    it. Digits say something of people in the table of customers, and in long numbers that are no dates.
    """
    bare = value.re_replace(_LETTER, "x")
    masked = bare.re_replace(_DIGIT, "9")
    if table == "customers":
        return masked
    return ibis.ifelse(value.re_search(_NUMBER) & ~value.re_search(_DATE), masked, bare)


def _all(conditions: Iterable[ir.BooleanValue]) -> ir.BooleanValue:
    return functools.reduce(lambda left, right: left & right, conditions, engine.TRUE)


_COMPARISONS: Mapping[str, Callable[[ir.NumericValue, float], ir.BooleanValue]] = {
    "over": lambda number, limit: number > limit,
    "under": lambda number, limit: number < limit,
    "at_least": lambda number, limit: number >= limit,
    "at_most": lambda number, limit: number <= limit,
}


def _skipped(rules: Mapping[str, RowRule], cells: Cells) -> ir.BooleanValue:
    """Whether a rule leaves the row out. A number that cannot be read is a reason to refuse, not to skip."""
    return ~_all(_passes(rule, name, cells) for name, rule in rules.items())


def _passes(rule: RowRule, name: str, cells: Cells) -> ir.BooleanValue:
    """Whether the row passes a rule; never NULL. An empty cell passes no rule but `unknown`."""
    text = cells.text(name)
    if rule.operation == "known":
        return text.isnull() if rule.negated else text.notnull()
    if rule.operation in _COMPARISONS:
        number = finite(cells.raw(name))
        holds = number.isnull() | _COMPARISONS[rule.operation](number, float(str(rule.values[0])))
    elif rule.operation == "starts":
        holds = text.startswith(str(rule.values[0]))
    else:
        holds = functools.reduce(lambda left, right: left | right, (_equals(text, value) for value in rule.values))
    return (text.notnull() & (~holds if rule.negated else holds)).fill_null(engine.FALSE)


def _equals(text: ir.StringValue, value: Scalar) -> ir.BooleanValue:
    if isinstance(value, bool):
        return text.lower() == str(value).lower()
    if isinstance(value, int | Decimal):
        return (text == str(value)) | (text.try_cast("float64") == float(value)).fill_null(engine.FALSE)
    return text == value
