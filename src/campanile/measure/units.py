"""A table with one row per unit, of an experiment run elsewhere: checked, then added up by the engine.

Reads a CSV or Parquet file. Returns sufficient statistics by arm, and by arm and level of each cut. What cannot be a
result is refused with every reason at once; no unit reaches Python.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import ibis
import ibis.expr.types as ir

from campanile.customers import engine
from campanile.errors import Problem, ProblemsError, UsageError, did_you_mean
from campanile.measure.sums import amount_class
from campanile.measure.types import Aggregate, ArmStatistics
from campanile.spec.elsewhere import ElsewhereSpec, TableMetric

#: Figures are counted in millionths of their unit, so that sums are exact whatever the engine does.
SCALE = 10**6
#: A cut with more levels is an id, not a classification.
MOST_LEVELS = 50
UNKNOWN = "unknown"

#: Customers and sums by class of amount, by metric.
_ByMetric = dict[str, dict[int, tuple[int, int]]]

_TRUE, _FALSE = ("true", "t", "yes", "y"), ("false", "f", "no", "n")
_LARGEST = 1e12
#: Below it a number with six decimals, times a million, is the whole number that it means but for a twentieth.
_EXACT = 1e9


@dataclass(frozen=True)
class UnitsTable:
    """The units of a file, typed and checked.

    Attributes:
        rows: arm, one column for each metric (whole millionths; a rate is 0 or 1), one for each cut.
        arms: Units by arm.
        folder: Holds the rows as long as anybody asks them.
    """

    path: Path
    spec: ElsewhereSpec
    rows: ir.Table
    arms: Mapping[str, int] = field(default_factory=dict)
    folder: TemporaryDirectory[str] | None = None
    _levels: dict[str, dict[str, dict[str, ArmStatistics]]] = field(default_factory=dict)

    @cached_property
    def statistics(self) -> dict[str, ArmStatistics]:
        """What each arm did."""
        return {arm: found for (arm, _), found in self._grouped(None).items()}

    def by_level(self, cut: str) -> dict[str, dict[str, ArmStatistics]]:
        """What each arm did in each level of a cut, by level and arm; the level of empty cells is `unknown`."""
        if cut not in self._levels:
            found: dict[str, dict[str, ArmStatistics]] = {}
            for (arm, level), statistics in sorted(self._grouped(cut).items()):
                found.setdefault(level, {})[arm] = statistics
            self._levels[cut] = found
        return self._levels[cut]

    def _grouped(self, cut: str | None) -> dict[tuple[str, str], ArmStatistics]:
        rows = self.rows
        figures: dict[str, ir.Scalar] = {"n": rows.count()}
        for name in self.spec.metrics:
            column = cast(ir.IntegerColumn, rows[_metric(name)])
            figures |= {
                f"sum {name}": column.sum().cast("decimal(38, 0)"),
                f"var {name}": column.cast("float64").var(how="sample"),
                f"nonzero {name}": (column != 0).sum(),
                f"negative {name}": (column < 0).sum(),
            }
        level = rows[_cut(cut)] if cut else ibis.literal("")
        with engine.table_errors(self.path):
            found = rows.group_by(arm=rows["arm"], level=level).aggregate(**figures).to_pyarrow().to_pylist()
            classes = self._classes(level)
        return {
            (row["arm"], row["level"]): _statistics(row, self.spec, classes[row["arm"], row["level"]]) for row in found
        }

    def _classes(self, level: ir.Value) -> dict[tuple[str, str], _ByMetric]:
        """The classes of every amount, by arm and level: a second scan, of the units that are not zero."""
        counted = [self._one_metric(name, level) for name, metric in self.spec.metrics.items() if metric.kind != "rate"]
        rows = ibis.union(*counted).to_pyarrow().to_pylist() if len(counted) > 1 else []
        rows = counted[0].to_pyarrow().to_pylist() if len(counted) == 1 else rows
        found: dict[tuple[str, str], _ByMetric] = defaultdict(lambda: defaultdict(dict))
        for row in rows:
            found[row["arm"], row["level"]][row["metric"]][row["place"]] = (row["n"], int(row["total"]))
        return found

    def _one_metric(self, name: str, level: ir.Value) -> ir.Table:
        amount = cast(ir.IntegerColumn, self.rows[_metric(name)])
        few = self.rows.select(arm=self.rows["arm"], level=level, amount=amount).filter(amount != 0)
        grouped = few.group_by("arm", "level", place=amount_class(few["amount"]))
        counted = grouped.aggregate(n=few.count(), total=few["amount"].sum().cast("decimal(38, 0)"))
        return counted.mutate(metric=ibis.literal(name))


def _statistics(row: Mapping[str, Any], spec: ElsewhereSpec, classes: _ByMetric) -> ArmStatistics:
    metrics = {
        name: Aggregate(
            row[f"sum {name}"],
            row[f"var {name}"],
            row[f"nonzero {name}"],
            row[f"negative {name}"],
            None if metric.kind == "rate" else classes[name],
        )
        for name, metric in spec.metrics.items()
    }
    return ArmStatistics.from_aggregates(row["arm"], row["n"], metrics)


def _metric(name: str) -> str:
    return f"metric {name}"


def _cut(name: str) -> str:
    return f"cut {name}"


def _wrong(name: str) -> str:
    return f"wrong {name}"


def read_units(path: Path, spec: ElsewhereSpec) -> UnitsTable:
    """The units of a file as the spec reads them.

    Raises:
        UsageError: There is no such file.
        ProblemsError: Every column, arm and value that cannot be a result.
    """
    if not path.is_file():
        raise UsageError(f"no file {path}", "give the table with one row per unit, .csv or .parquet")
    table = engine.open_file(path)
    missing = list(_missing(table, spec, path))
    if missing:
        raise ProblemsError(missing)
    with engine.table_errors(path):
        rows, folder = engine.in_a_file(_typed(table, spec))
        arms = _sizes(rows)
        problems = [*_wrong_arms(arms, spec, path), *_wrong_rows(rows, spec, path)]
    if problems:
        raise ProblemsError(problems)
    kept = {_metric(name): rows[_metric(name)].fill_null(0) for name in spec.metrics}
    return UnitsTable(path, spec, rows.select("arm", *map(_cut, spec.cuts), **kept), _known(arms), folder)


def _typed(table: ir.Table, spec: ElsewhereSpec) -> ir.Table:
    """The cells as figures; beside each metric whether its cell says something else."""
    cells = {name: table[metric.column] for name, metric in spec.metrics.items()}
    figures = {name: _figure(cells[name], metric) for name, metric in spec.metrics.items()}
    return table.select(
        arm=_text(table[spec.units.arm]),
        **({"unit": _text(table[spec.units.unit])} if spec.units.unit else {}),
        **{_cut(name): _text(table[name]).fill_null(UNKNOWN) for name in spec.cuts},
        **{_metric(name): figure for name, figure in figures.items()},
        **{_wrong(name): figure.isnull() & _said(cells[name]) for name, figure in figures.items()},
    )


def _known(arms: Mapping[str | None, int]) -> dict[str, int]:
    return {arm: n for arm, n in arms.items() if arm is not None}


def _missing(table: ir.Table, spec: ElsewhereSpec, path: Path) -> Iterator[Problem]:
    """Columns that the spec names and the file lacks."""
    named = [spec.units.arm, *([spec.units.unit] if spec.units.unit else []), *spec.cuts]
    for name in dict.fromkeys([*named, *(metric.column for metric in spec.metrics.values())]):
        if name not in table.columns:
            yield Problem(path.name, 1, f'no column "{name}"', did_you_mean(name, table.columns))


def _text(column: ir.Value) -> ir.StringValue:
    """The cell as text without blanks around it; NULL when nothing is left."""
    return cast(ir.StringValue, engine.trimmed(cast(ir.StringValue, column.cast("string"))).nullif(""))


def _is_number(cell: ir.Value) -> bool:
    return bool(cell.type().is_integer() or cell.type().is_floating())


def _said(cell: ir.Value) -> ir.BooleanValue:
    """Whether anything stands in the cell."""
    return cell.notnull() if _is_number(cell) else _text(cell).notnull()


def _figure(cell: ir.Value, metric: TableMetric) -> ir.IntegerValue:
    """The cell in millionths, a rate as 0 or 1; NULL when it says no such figure.

    Numbers of a Parquet file are taken as they are where that is exact; others, and all text, by their digits.
    """
    slow = _by_digits(_text(cell), metric)
    if not _is_number(cell):
        return slow
    number = cast(ir.FloatingValue, cell.cast("float64"))
    if metric.kind == "rate":
        return cast(ir.IntegerValue, ibis.cases((number == 1, 1), (number == 0, 0), else_=slow).cast("int64"))
    fast = (number * SCALE).round(0).cast("int64")
    return cast(ir.IntegerValue, ibis.ifelse(number.abs() < _EXACT, fast, slow))


def _by_digits(words: ir.StringValue, metric: TableMetric) -> ir.IntegerValue:
    number = cast(ir.FloatingValue, words.try_cast("float64"))
    if metric.kind == "rate":
        low = words.lower()
        truth = ibis.cases((low.isin(_TRUE), 1), (low.isin(_FALSE), 0), (number == 1, 1), (number == 0, 0))
        return cast(ir.IntegerValue, truth.cast("int64"))
    sound = (number.abs() < _LARGEST).fill_null(engine.FALSE)
    exact = words.try_cast("decimal(38, 9)")
    return cast(ir.IntegerValue, ibis.ifelse(sound, (exact * SCALE).round(0).cast("int64"), ibis.null("int64")))


def _sizes(rows: ir.Table) -> dict[str | None, int]:
    counted = rows.group_by("arm").aggregate(n=rows.count()).to_pyarrow().to_pylist()
    return {row["arm"]: row["n"] for row in counted}


def _wrong_arms(arms: Mapping[str | None, int], spec: ElsewhereSpec, path: Path) -> Iterator[Problem]:
    known = _known(arms)
    if not known:
        yield Problem(path.name, 0, "there is no row with an arm", "give one row per unit")
        return
    if None in arms:
        yield Problem(
            path.name, 0, f"{arms[None]:,} rows have no arm", f'fill the column "{spec.units.arm}", or leave them out'
        )
    control = spec.units.control
    wanted = dict.fromkeys(
        [*([control] if control else []), *spec.split, *(arm for pair in spec.compare for arm in pair)]
    )
    for arm in wanted:
        if arm not in known:
            what = f'no unit is in arm "{arm}"' + (", the control" if arm == control else "")
            yield Problem(path.name, 0, what, did_you_mean(arm, known))
    for arm in sorted(known):
        if spec.split and arm not in spec.split:
            yield Problem(path.name, 0, f'arm "{arm}" is not in the split', did_you_mean(arm, spec.split))
        if known[arm] < 2:
            yield Problem(path.name, 0, f'arm "{arm}" has one unit only', "two are needed for any figure")
    if len(known) < 2 and control is not None:
        yield Problem(path.name, 0, "every unit is in one arm", "an experiment compares two arms or more")


def _wrong_rows(rows: ir.Table, spec: ElsewhereSpec, path: Path) -> Iterator[Problem]:
    """What single cells cannot be, counted in one pass."""
    counts: dict[str, ir.Scalar] = {}
    for name in spec.metrics:
        figure = cast(ir.IntegerColumn, rows[_metric(name)])
        counts[f"text {name}"] = cast(ir.BooleanColumn, rows[_wrong(name)]).sum()
        counts[f"negative {name}"] = (figure < 0).sum()
        counts[f"nonzero {name}"] = (figure != 0).sum()
    counts |= {_cut(name): rows[_cut(name)].nunique() for name in spec.cuts}
    if spec.units.unit:
        counts["units"], counts["rows"] = rows["unit"].nunique(), rows["unit"].count()
    found = rows.aggregate(**counts).to_pyarrow().to_pylist()[0]
    found = {name: value or 0 for name, value in found.items()}
    for name, metric in spec.metrics.items():
        yield from _wrong_figures(name, metric, found, path, needed=name in (spec.judged, spec.revenue))
    for name in spec.cuts:
        if found[_cut(name)] > MOST_LEVELS:
            what = f'the cut "{name}" has {found[_cut(name)]:,} levels, it takes {MOST_LEVELS}'
            yield Problem(path.name, 0, what, "cut by classes, not by ids or amounts")
    if spec.units.unit:
        yield from _repeated(rows, found, spec.units.unit, path)


def _wrong_figures(
    name: str, metric: TableMetric, found: Mapping[str, int], path: Path, *, needed: bool
) -> Iterator[Problem]:
    text, negative = found[f"text {name}"], found[f"negative {name}"]
    if text:
        wanted = "0 or 1" if metric.kind == "rate" else "a number"
        yield Problem(
            path.name,
            0,
            f'{text:,} cells of "{metric.column}" are not {wanted}',
            f"mend them; {name} is a {metric.kind}",
        )
    if negative and not metric.negative:
        what = f'{negative:,} units have "{metric.column}" below zero'
        yield Problem(path.name, 0, what, f"if returns were taken off, say {name}: {{negative: true}}")
    if needed and not text and not found[f"nonzero {name}"]:
        yield Problem(
            path.name, 0, f'"{metric.column}" is 0 for every unit', "is it the right column, and the right window?"
        )


def _repeated(rows: ir.Table, found: Mapping[str, int], column: str, path: Path) -> Iterator[Problem]:
    if found["units"] == found["rows"]:
        return
    arms = rows.group_by("unit").aggregate(arms=rows["arm"].nunique())
    both = int(arms.filter(arms["arms"] > 1, arms["unit"].notnull()).count().to_pyarrow().as_py())
    if both:
        yield Problem(
            path.name, 0, f"{both:,} units are in two arms", f'one "{column}" belongs to one arm: mend the table'
        )
    else:
        more = found["rows"] - found["units"]
        cure = "add up the rows of a unit first, or say unit: null when every row is somebody else"
        yield Problem(path.name, 0, f'{more:,} rows repeat a "{column}"', cure)
