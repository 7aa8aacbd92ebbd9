"""A shop made by hand: every customer, order, line and return is in order, except for one fault each, that is named."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from campanile.customers.database import CustomerDatabase
from campanile.customers.importing import import_tables
from campanile.spec.project import Project, load_project

#: When the files were imported, and the moment that is looked from.
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

Fault = tuple[str, str, str, str]
SETTINGS = """\
shop: {{name: Faulty, currency: EUR, timezone: UTC, phone_region: CN, base_url: "https://t.example.com",
  postal_address: here}}
channels: {{email: {{via: outbox, sender: Faulty <news@m.example.com>}}}}
economics: {{margin_rate: 40%, cost_per_message: {{email: 0.01}}}}
policy: {{audit: {audit}}}
import:
  customers: {{file: people.csv}}
  order:
    file: orders.csv
    key: [order_id, at]
  bought:
    file: lines.csv
    columns: {{customer_id: customer_id, at: at, order_id: order_id, sku: sku, amount: amount}}
  returned: {{file: returns.csv}}
"""
CAMPAIGN = """\
objective: retention
target: {who: [{did: order, in: 2y}]}
offer: {kind: content}
timing: {start: 2026-03-05, at: "10:30"}
channel: {use: email, message: hello}
experiment: none
why: An example.
"""
_HELLO = "Hello {{ city or 'you' }} {{ unsubscribe_link }}"

_PEOPLE: Mapping[str, tuple[dict[str, str], Fault | None]] = {
    "no-mail": ({"email": ""}, ("required_fields", "customers", "email", "have no email")),
    "bad-mail": ({"email": "a..b@shop.example"}, ("invalid_email", "customers", "email", "are not written as one")),
    "bad-phone": ({"phone": "+8612"}, ("invalid_phone", "customers", "phone", "exist nowhere")),
    "same-mail": (
        {"email": " P0@Shop.example"},
        ("duplicate_email", "customers", "email", "have the mail address of another one"),
    ),
    "same-phone": (
        {"phone": "+86 138-0013-8000"},
        ("duplicate_phone", "customers", "phone", "have the telephone number of another one"),
    ),
    "same-place": (
        {"name": "person 0", "address": "Main Street 1000"},
        ("duplicate_person", "customers", "address", "have the name and the address of another one"),
    ),
    "replacement": ({"name": "Wro\ufffdng"}, ("unprintable", "customers", "name", "")),
    "private": ({"name": "Pri\ue001vate"}, ("unprintable", "customers", "name", "")),
    "control": ({"name": "Con\x07trol"}, ("unprintable", "customers", "name", "")),
    "unassigned": ({"name": "Un\u0378assigned"}, ("unprintable", "customers", "name", "")),
    "rare": ({"name": "\U00020bb7野"}, ("rare_characters", "customers", "name", "")),
    "mojibake": ({"name": "MÃ¼ller"}, ("mojibake", "customers", "name", "")),
    "no-house": ({"address": "Main Street"}, ("incomplete_address", "customers", "address", "have no house number")),
    "no-city": ({"city": ""}, ("incomplete_address", "customers", "address", "have no city")),
    "no-postcode": ({"postcode": ""}, ("incomplete_address", "customers", "address", "have no postcode")),
    "unborn": (
        {"birth_date": "2027-01-01"},
        ("impossible_dates", "customers", "birth_date", "have a birth_date later than the import"),
    ),
    "ancient": ({"birth_date": "1899-12-31"}, ("impossible_dates", "customers", "birth_date", "were born before 1900")),
    "old": ({"birth_date": "1916-03-01"}, ("impossible_dates", "customers", "birth_date", "are older than 110 years")),
    "early": (
        {"birth_date": "2020-01-01"},
        ("impossible_dates", "customers", "birth_date", "registered before they were born"),
    ),
    "not-yet": (
        {"registered_at": "2026-03-02"},
        ("impossible_dates", "customers", "registered_at", "have a registered_at later than the import"),
    ),
    # What is still right at the edge.
    "edge": ({"birth_date": "1916-03-02", "registered_at": "2026-03-01", "name": "喆"}, None),
}
#: Two rows that are equal in everything but the id; nothing else of them is known, and so they lack what is needed.
_TWINS = {"name": "Twin", "birth_date": "1980-01-01", "registered_at": "2020-01-01"}
_ORDERS: Mapping[str, tuple[dict[str, str], Fault | None]] = {
    "negative": ({"amount": "-5"}, ("impossible_amounts", "order", "amount", "have an amount below zero")),
    "zero": ({"amount": "0"}, ("zero_amounts", "order", "amount", "have an amount of zero")),
    "absurd": (
        {"amount": "10000.01"},
        ("impossible_amounts", "order", "amount", "have an amount above 1,000 times the median"),
    ),
    "stranger": ({"customer_id": "nobody"}, ("orders_without_customer", "order", "customer_id", "")),
    "guest": ({"at": "2019-12-31"}, ("orders_before_registration", "order", "at", "")),
    "future": ({"at": "2026-03-01T20:00"}, ("impossible_dates", "order", "at", "are later than the import")),
    "bare": ({}, ("orders_without_lines", "order", "order_id", "have no order line")),
    "overpaid": ({}, ("returns_above_order", "order", "amount", "got back more than was paid")),
    "twice": ({}, ("duplicate_orders", "order", "order_id", "have the order_id of another one")),
    # A return of exactly what was paid, and an order on its customer's first day: nothing is wrong with either.
    "sent-back": ({"at": "2020-01-01"}, None),
}
_REJECTED: Fault = ("rejected_rows", "order", "", "were refused by the last import")


def expected() -> dict[Fault, int]:
    """How often each fault must be counted; nothing else may be."""
    faults = [fault for _, fault in (*_PEOPLE.values(), *_ORDERS.values()) if fault]
    for needed in ("email", "email_consent", "city"):
        faults += [("required_fields", "customers", needed, f"have no {needed}")] * 2  # the twins
    faults.append(("required_fields", "customers", "city", "have no city"))
    faults += [
        ("duplicate_rows", "customers", "", "are equal to another one in everything but the id"),
        ("duplicate_rows", "bought", "", "are equal to another one in everything"),
        ("lines_without_order", "bought", "order_id", "belong to no order that is there"),
        ("several_a_day", "order", "at", "have several orders"),
        _REJECTED,
    ]
    counted: dict[Fault, int] = {}
    for check, table, field, words in faults:
        found = (check, table, field, words)
        counted[found] = counted.get(found, 0) + 1
    return counted


def _person(number: int) -> dict[str, str]:
    return {
        "name": f"Person {number}", "email": f"p{number}@shop.example", "phone": f"+861380013{8000 + number}",
        "address": f"Main Street {1000 + number}", "city": "Ghent", "postcode": f"9{number:03}",
        "birth_date": "1980-01-01", "registered_at": "2020-01-01", "email_consent": "true",
    }  # fmt: skip


def people() -> dict[str, dict[str, str]]:
    """Every customer by id: ten that are in order, and one for each fault."""
    names = [*(f"fine-{number}" for number in range(10)), *_PEOPLE]
    made = {name: _person(number) | _PEOPLE.get(name, ({}, None))[0] for number, name in enumerate(names)}
    return made | {"twin-1": _TWINS, "twin-2": _TWINS}


def _orders() -> Iterator[dict[str, str]]:
    for number in range(20):
        yield {"order_id": f"o{number}", "customer_id": "fine-1", "at": f"2025-01-{number + 1:02}", "amount": "10"}
    for number, (name, (change, _)) in enumerate(_ORDERS.items()):
        fine = {"order_id": name, "customer_id": "fine-2", "at": f"2025-02-{number + 1:02}", "amount": "10"}
        yield fine | change
    yield {"order_id": "twice", "customer_id": "fine-3", "at": "2025-03-01", "amount": "10"}
    for number in (1, 2):  # of one day
        yield {"order_id": f"day-{number}", "customer_id": "fine-4", "at": f"2025-04-01T0{number}:00", "amount": "10"}
    yield {"order_id": "lost", "customer_id": "", "at": "2025-05-01", "amount": "10"}


def _lines() -> Iterator[dict[str, str]]:
    for order in {each["order_id"]: each for each in _orders()}.values():
        if order["order_id"] not in ("bare", "lost", "future", "stranger"):
            yield {**order, "customer_id": order["customer_id"], "sku": "a", "amount": "10", "note": ""}
    for note in ("one", "two"):  # equal in everything that is imported
        yield {"order_id": "o1", "customer_id": "fine-1", "at": "2025-01-02", "sku": "b", "amount": "1", "note": note}
    yield {"order_id": "gone", "customer_id": "fine-1", "at": "2025-01-02", "sku": "c", "amount": "10", "note": ""}
    yield {"order_id": "stranger", "customer_id": "fine-1", "at": "2025-01-02", "sku": "c", "amount": "9", "note": ""}


def _returns() -> Iterator[dict[str, str]]:
    for amount in ("6", "5"):
        yield {"order_id": "overpaid", "customer_id": "fine-2", "at": f"2025-06-0{amount}", "amount": amount}
    yield {"order_id": "sent-back", "customer_id": "fine-2", "at": "2025-06-01", "amount": "10"}


def write_faulty_shop(root: Path, audit: str = "{}") -> Project:
    """The project, with its files and the limits of the audit."""
    (root / "campaigns").mkdir(exist_ok=True)
    (root / "templates").mkdir(exist_ok=True)
    (root / "campanile.yaml").write_text(SETTINGS.format(audit=audit), encoding="utf-8")
    (root / "campaigns" / "hello.yaml").write_text(CAMPAIGN, encoding="utf-8")
    for suffix, text in (("subject", "Hello"), ("html", _HELLO), ("txt", _HELLO)):
        (root / "templates" / f"hello.{suffix}.j2").write_text(text, encoding="utf-8")
    customers = [{"customer_id": name, **person} for name, person in people().items()]
    for file, rows in {
        "people": customers, "orders": list(_orders()), "lines": list(_lines()), "returns": list(_returns())
    }.items():  # fmt: skip
        with (root / f"{file}.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
    return load_project(root)


def imported(project: Project) -> CustomerDatabase:
    """The open customer database with everything imported."""
    database = CustomerDatabase.open(project)
    import_tables(project, database, now=NOW)
    return database
