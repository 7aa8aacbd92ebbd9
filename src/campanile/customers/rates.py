"""What other currencies were worth, day by day, and amounts converted to the shop's currency.

An amount is rounded to minor units of its own currency first, and then, converted, to those of the shop's, each time
halves away from zero. The amount as it was stays beside it, as `original_amount` and the like.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path

import ibis
import ibis.expr.types as ir

from campanile.customers.cells import CURRENCY, Setting
from campanile.customers.judging import REASON, VALUE, form_of
from campanile.customers.tables import columns_of
from campanile.customers.zones import shop_day
from campanile.errors import CampanileError, Problem, ProblemsError, did_you_mean
from campanile.money import Currency
from campanile.spec.fields import CURRENCIES
from campanile.spec.loader import FileReport, load_document
from campanile.spec.project import Project
from campanile.spec.settings import RatesSettings
from campanile.spec.vocabulary import FieldType

#: Before the name of a column, of the one with the amount in its own currency.
ORIGINAL = "original_"
NO_CURRENCY = "no currency"
NO_RATE = "no rate for its currency on that day"
_SCHEMA = ibis.schema({"code": "string", "day": "date", "factor": "decimal(18, 12)"})
_LIMIT = 10**6
_CODE = "^[A-Z]{3}$"


@dataclass(frozen=True)
class Rates:
    """What one minor unit of a currency is worth in minor units of the shop's, by code and day."""

    factors: Mapping[tuple[str, date], Decimal] = field(default_factory=dict)

    def table(self) -> ir.Table:
        """The rates as a relation of code, day and factor."""
        rows = [{"code": code, "day": day, "factor": factor} for (code, day), factor in self.factors.items()]
        return ibis.memtable(rows, schema=_SCHEMA)


def load_rates(project: Project) -> Rates:
    """The rates that campanile.yaml names; none when it names none.

    Raises:
        ProblemsError: Every line that is no rate; or there is no such file.
        CampanileError: The file lacks a column.
    """
    settings = project.settings.rates
    if settings is None:
        return Rates()
    path = next(
        (base / settings.file for base in (project.home, project.root) if (base / settings.file).is_file()), None
    )
    if path is None:
        report = FileReport("campanile.yaml")
        load_document(project.root / report.file, project.root, report)
        report(
            ("rates", "file"), f"no file {settings.file}", "a path is relative to home, or to the folder of this file"
        )
        raise ProblemsError(report.problems)
    problems: list[Problem] = []
    known = dict(_lines(path, settings, project.currency, problems))
    if problems:
        raise ProblemsError(problems)
    return Rates(dict(_held(known, settings.holds)))


def _lines(
    path: Path, settings: RatesSettings, shop: Currency, problems: list[Problem]
) -> Iterator[tuple[tuple[str, date], Decimal]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        for name in (settings.day, settings.currency, settings.rate):
            if name not in (reader.fieldnames or ()):
                cure = did_you_mean(name, reader.fieldnames or ()) or "say which column it is under rates:"
                raise CampanileError(f'{settings.file} has no column "{name}"', cure)
        try:
            for row in reader:
                code, day, rate = (row[name] or "" for name in (settings.currency, settings.day, settings.rate))
                try:
                    yield (_code(code), date.fromisoformat(day.strip())), _factor(rate, code.strip(), shop)
                except (ValueError, InvalidOperation):
                    what = f'cannot read the rate "{rate}" of "{code}" on "{day}"'
                    problems.append(Problem(settings.file, reader.line_num, what, "write 2026-03-01, USD, 0.9213"))
        except (UnicodeError, csv.Error):
            problems.append(Problem(settings.file, reader.line_num, "it is no CSV in UTF-8", "write it again"))


def _code(text: str) -> str:
    code = text.strip()
    if code not in CURRENCIES:
        raise ValueError(code)
    return code


def _factor(text: str, code: str, shop: Currency) -> Decimal:
    factor = (Decimal(text.strip()) * shop.scale / Currency(code).scale).quantize(Decimal("1e-12"))
    if not 0 < factor < _LIMIT:
        raise ValueError(text)
    return factor


def _held(known: Mapping[tuple[str, date], Decimal], days: int) -> Iterator[tuple[tuple[str, date], Decimal]]:
    """The rates with those of days that have none: the last one holds for so many days.

    >>> friday = ("USD", date(2026, 3, 6))
    >>> [day.day for (_, day), _ in _held({friday: Decimal(1)}, 3)]
    [6, 7, 8]
    """
    for (code, day), factor in known.items():
        for after in range(days):
            later = (code, day + timedelta(days=after))
            if after and later in known:
                break
            yield later, factor


def money_columns(table: str, columns: Iterable[str]) -> tuple[str, ...]:
    """Those of the columns that hold amounts of money.

    >>> money_columns("order", ["order_id", "amount"])
    ('amount',)
    """
    types = columns_of(table)
    return tuple(column for column in columns if types.get(column) is FieldType.MONEY)


def converted(table: str, rows: ir.Table, rates: Rates, setting: Setting) -> ir.Table:
    """Judged rows with their amounts in the shop's currency; refused where nobody knows a rate."""
    amounts = money_columns(table, rows.columns)
    day = shop_day(rows["at"], setting.zone) if "at" in rows.columns else ibis.date(setting.now.date())
    dated = rows.mutate(__day=day)
    known = rates.table()
    joined = dated.left_join(known, [dated[CURRENCY] == known.code, dated["__day"] == known.day])
    own = joined[CURRENCY] == setting.currency.code
    factor = ibis.ifelse(own, ibis.literal(Decimal(1), "decimal(18, 12)"), joined.factor)
    new = {column: (joined[column].cast("decimal(18, 0)") * factor).round().cast("int64") for column in amounts}
    kept = {ORIGINAL + column: joined[column] for column in amounts}
    lacks = joined[REASON].isnull() & factor.isnull()
    reason = ibis.ifelse(joined[CURRENCY].isnull(), NO_CURRENCY, NO_RATE)
    code = joined[CURRENCY]
    value = ibis.ifelse(code.re_search(_CODE), code, form_of(code, table)) + " " + joined["__day"].cast("string")
    verdict = {
        REASON: ibis.ifelse(lacks, reason, joined[REASON]),
        VALUE: ibis.ifelse(lacks, value, joined[VALUE]),
    }
    return joined.select(**{column: joined[column] for column in rows.columns} | new | kept | verdict)
