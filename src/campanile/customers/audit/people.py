"""Checks of the table of customers that need one scan: completeness, dates, addresses; and copies of customers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime

import ibis
import ibis.expr.types as ir

from campanile.clock import Duration
from campanile.customers import engine
from campanile.customers.audit.findings import Completeness, Finding
from campanile.customers.audit.tally import Tally, missing, surplus, tallied
from campanile.customers.tables import CUSTOMERS

#: Dates of a customer that lie in the past.
_PAST = (
    "registered_at", "birth_date", "child_birthday", "member_since", "moved_at", "email_consent_at", "sms_consent_at",
)  # fmt: skip
_FIRST_BIRTH = date(1900, 1, 1)
_OLDEST = Duration(months=110 * 12)
#: A figure of any writing, or Chinese numerals in front of "number", "lane" or "room".
_HOUSE_NUMBER = r"[0-9０-９]|[〇一二三四五六七八九十百]+[号號弄室栋幢]"
#: What tells a copy of a customer from a customer of whom nothing is known.
_TELLING = ("name", "email", "phone", "address")
_FLAGS = {"email": ("email", "email_consent"), "sms": ("phone", "sms_consent")}


@dataclass(frozen=True)
class People:
    """What the scan of customers came to. `ids_tell`: an id is an address or a number itself, so none is shown."""

    customers: int
    reachable: Mapping[str, int]
    completeness: tuple[Completeness, ...]
    findings: tuple[Finding, ...]
    ids_tell: bool


@dataclass(frozen=True)
class _Check:
    check: str
    field: str
    words: str
    fails: ir.BooleanValue
    #: Rows that were looked at; None for all.
    of: ir.BooleanValue | None = None


def look_at_people(customers: ir.Table, *, as_of: date, imported: date, needs: Mapping[str, tuple[str, ...]]) -> People:
    """What one scan of the customers says.

    Args:
        customers: The table.
        as_of: The shop's day that is looked from; ages are of that day.
        imported: The shop's day of the last import; what happened later cannot be known.
        needs: Fields that somebody reads, and who.
    """
    checks = [*_date_checks(customers, as_of, imported), *_address_checks(customers)]
    absent = {f"no {column}": missing(customers[column]) for column in customers.columns if column != "customer_id"}
    flags = {**absent, **{str(number): check.fails for number, check in enumerate(checks)}}
    figures = {"rows": customers.count(), "tell": _ids_tell(customers), **_reachable(customers)}
    figures |= {f"of {number}": check.of.sum() for number, check in enumerate(checks) if check.of is not None}
    tallies, found = tallied(customers, flags, figures)
    rows, tell = found["rows"] or 0, bool(found["tell"])
    findings = [
        _finding(check, tallies[str(number)], found.get(f"of {number}", rows) or 0)
        for number, check in enumerate(checks)
    ]
    return People(
        customers=rows,
        reachable={medium: found[medium] or 0 for medium in _FLAGS if medium in found},
        completeness=tuple(
            Completeness(CUSTOMERS, column, rows - tallies[f"no {column}"].count, rows, needs.get(column, ()))
            for column in customers.columns
            if column != "customer_id"
        ),
        findings=(*_needed(customers, tallies, needs, rows), *findings),
        ids_tell=tell,
    )


def _finding(check: _Check, tally: Tally, of: int) -> Finding:
    return Finding(check.check, CUSTOMERS, check.field, tally.count, of, check.words, tally.examples)


def _needed(
    customers: ir.Table, tallies: Mapping[str, Tally], needs: Mapping[str, tuple[str, ...]], rows: int
) -> Iterator[Finding]:
    for field in needs:
        if field in customers.columns:
            tally = tallies[f"no {field}"]
            yield Finding("required_fields", CUSTOMERS, field, tally.count, rows, f"have no {field}", tally.examples)
        else:
            yield Finding("required_fields", CUSTOMERS, field, rows, rows, f"have no {field}: it is not imported")


def _ids_tell(customers: ir.Table) -> ir.BooleanScalar:
    """Whether ids of customers are their contact data."""
    tells = customers["customer_id"].contains("@")
    for column in ("email", "phone", "name"):
        if column in customers.columns:
            tells |= customers["customer_id"] == customers[column].cast("string").re_replace("^[+]", "")
            tells |= customers["customer_id"] == customers[column].cast("string")
    found: ir.BooleanScalar = tells.any()
    return found


def _reachable(customers: ir.Table) -> dict[str, ir.Value]:
    return {
        medium: (~missing(customers[address]) & customers[consent].fill_null(engine.FALSE)).sum()
        for medium, (address, consent) in _FLAGS.items()
        if {address, consent} <= set(customers.columns)
    }


def _day(column: ir.Value) -> ir.DateValue:
    day: ir.DateValue = column if isinstance(column, ir.DateValue) else column.cast("date")
    return day


def _is_day(column: ir.Value) -> bool:
    return isinstance(column, ir.DateValue | ir.TimestampValue)


def _date_checks(customers: ir.Table, as_of: date, imported: date) -> Iterator[_Check]:
    """Each date fails for the first reason only, so that no row is counted twice."""
    for field in _PAST:
        if field in customers.columns and _is_day(customers[field]):
            day = _day(customers[field])
            future = day > ibis.date(imported)
            yield _Check("impossible_dates", field, f"have a {field} later than the import", future, day.notnull())
            if field == "birth_date":
                yield from _birth_checks(customers, day, as_of, future)


def _birth_checks(customers: ir.Table, born: ir.DateValue, as_of: date, future: ir.BooleanValue) -> Iterator[_Check]:
    early, old = born < ibis.date(_FIRST_BIRTH), born <= ibis.date(_years_before(as_of))
    reasons = {"were born before 1900": early, "are older than 110 years": old & ~early}
    if "registered_at" in customers.columns and _is_day(customers["registered_at"]):
        late = born >= _day(customers["registered_at"])
        reasons["registered before they were born"] = late & ~future & ~early & ~old
    for words, fails in reasons.items():
        yield _Check("impossible_dates", "birth_date", words, fails, born.notnull())


def _years_before(day: date) -> date:
    return _OLDEST.before(datetime(day.year, day.month, day.day)).date()  # noqa: DTZ001 - a calendar day


def _address_checks(customers: ir.Table) -> Iterator[_Check]:
    """What an address lacks; each fails for the first reason only. A customer without an address is incomplete data."""
    if "address" not in customers.columns:
        return
    address = customers["address"]
    known = ~missing(address)
    reasons = {"have no house number": ~address.re_search(_HOUSE_NUMBER)}
    reasons |= {
        f"have no {field}": missing(customers[field]) for field in ("city", "postcode") if field in customers.columns
    }
    before: ir.BooleanValue = engine.FALSE
    for words, fails in reasons.items():
        yield _Check("incomplete_address", "address", words, known & fails & ~before, known)
        before |= fails


def copies(customers: ir.Table) -> Iterator[Finding]:
    """Customers that are there already: equal in everything but the id, or of the same name and address."""
    telling = [column for column in _TELLING if column in customers.columns]
    size = int(customers.count().execute())
    if telling:
        others = {column: customers[column] for column in customers.columns if column != "customer_id"}
        known = customers.filter(ibis.or_(*(~missing(customers[column]) for column in telling)))
        tally = surplus(known, {name: known[name] for name in others})
        words = "are equal to another one in everything but the id"
        yield Finding("duplicate_rows", CUSTOMERS, "", tally.count, size, words, tally.examples)
    place = next((column for column in ("address", "postcode") if column in customers.columns), None)
    if place and "name" in customers.columns:
        known = customers.filter(~missing(customers["name"]) & ~missing(customers[place]))
        key = {column: engine.trimmed(known[column]).lower() for column in ("name", place)}
        tally = surplus(known, key)
        words = f"have the name and the {place} of another one"
        yield Finding("duplicate_person", CUSTOMERS, place, tally.count, size, words, tally.examples)
