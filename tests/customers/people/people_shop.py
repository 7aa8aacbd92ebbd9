"""Shops with planted duplicates: who is whom is known, so what the product finds can be counted."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import pyarrow as pa

from campanile.customers.database import CustomerDatabase
from campanile.spec.project import Project, load_project

NOW = datetime(2026, 3, 1, tzinfo=UTC)
_SETTINGS = """\
shop: {{name: Shop, currency: EUR, timezone: UTC}}
channels: {{email: {{via: outbox}}, sms: {{via: outbox}}}}
economics: {{margin_rate: 40%, cost_per_message: {{email: 0.01, sms: 0.05}}}}
policy: {{people: {people}}}
"""
COLUMNS: Mapping[str, pa.DataType] = {
    "customer_id": pa.string(),
    "name": pa.string(),
    "email": pa.string(),
    "phone": pa.string(),
    "address": pa.string(),
    "postcode": pa.string(),
    "gender": pa.string(),
    "birth_date": pa.date32(),
    "registered_at": pa.date32(),
    "email_consent": pa.bool_(),
    "email_consent_at": pa.date32(),
    "sms_consent": pa.bool_(),
    "do_not_contact": pa.bool_(),
    "is_employee": pa.bool_(),
    "household": pa.string(),
}
Row = dict[str, Any]


def project_of(root: Path, people: str = "{}") -> Project:
    """An empty shop that asks for persons."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "campanile.yaml").write_text(_SETTINGS.format(people=people), encoding="utf-8")
    return load_project(root)


@contextmanager
def stocked(
    root: Path, customers: Sequence[Row], people: str = "{}", **events: Sequence[Row]
) -> Iterator[CustomerDatabase]:
    """The open database of a shop with these customers, and events by kind."""
    with CustomerDatabase.open(project_of(root, people)) as database:
        restock(database, customers, **events)
        yield database


def restock(database: CustomerDatabase, customers: Sequence[Row], **events: Sequence[Row]) -> None:
    """Puts these records in the place of what the shop's tables held."""
    columns = {name: pa.array([row.get(name) for row in customers], type_) for name, type_ in COLUMNS.items()}
    database.ibis.create_table("customers", pa.table(columns), overwrite=True)
    for kind, rows in events.items():
        found = pa.Table.from_pylist(list(rows))
        at = pa.array([row["at"] for row in rows], pa.timestamp("us"))
        table = found.drop_columns("at").append_column("at", at)
        database.ibis.create_table(kind, table, overwrite=True)


def order(customer: str, day: str, amount: int, order_id: str) -> Row:
    return {"customer_id": customer, "at": datetime.fromisoformat(day), "amount": amount, "order_id": order_id}


def groups(database: CustomerDatabase) -> set[frozenset[str]]:
    """The records of each merged person."""
    found: dict[str, set[str]] = {}
    for row in database.own("people").to_pyarrow().to_pylist():
        found.setdefault(row["person_id"], set()).add(row["customer_id"])
    return {frozenset(ids) for ids in found.values()}


@dataclass
class Planted:
    """Records, and which of them are one person."""

    records: list[Row] = field(default_factory=list)
    persons: dict[str, list[str]] = field(default_factory=dict)

    def add(self, person: str, **facts: Any) -> None:
        customer = f"C{len(self.records):05d}"
        self.records.append({"customer_id": customer, **facts})
        self.persons.setdefault(person, []).append(customer)

    @property
    def pairs(self) -> set[tuple[str, str]]:
        """Every true pair."""
        return pairs_of(self.persons.values())


def pairs_of(found: Iterable[Iterable[str]]) -> set[tuple[str, str]]:
    return {pair for ids in found for pair in combinations(sorted(ids), 2)}


_SYLLABLES = ("ba", "ko", "mi", "ra", "te", "nu", "lo", "si", "da", "fe", "gü", "ché")


def _word(number: int, length: int = 4) -> str:
    """A word for a number, another one for every number."""
    syllables = []
    for _ in range(length):
        number, digit = divmod(number, len(_SYLLABLES))
        syllables.append(_SYLLABLES[digit])
    return "".join(syllables)


def planted(persons: int, seed: int) -> Planted:
    """A shop whose persons have one to three records: written differently where the product should see through it,
    with a typo where it must not guess; and near misses that are other people.
    """
    dice, shop = random.Random(seed), Planted()
    for number in range(persons):
        person = f"P{number}"
        facts = {
            "name": f"{_word(number).title()} {_word(number * 7 + 3).title()}",
            "email": f"first.{number}@mail.example",
            "phone": f"+49 170 {number:07d}",
            "address": f"{_word(number * 5).title()}straße {number % 90 + 1}",
            "postcode": f"{10000 + number}",
            "birth_date": datetime(1950 + number % 50, number % 12 + 1, 1).date(),
            "gender": dice.choice(["female", "male", None]),
        }
        shop.add(person, **facts)
        kind = number % 10
        if kind == 0:  # the same mail, typed in capitals, with nothing else
            shop.add(person, email=f" {facts['email'].upper()}")
        if kind == 1:  # the same number in full width, and a third record that only the mail of the second ties in
            wide = "".join(chr(ord(digit) + 0xFEE0) if digit.isdigit() else digit for digit in facts["phone"])
            shop.add(person, phone=wide.replace("+", "00"), email=f"second.{number}@mail.example")
            shop.add(person, email=f"Second.{number}@MAIL.example", name=facts["name"])
        if kind == 2:  # name and address with other punctuation, case and width
            shop.add(
                person, name=facts["name"].upper().replace(" ", "  "), postcode=facts["postcode"],
                address=facts["address"].replace("straße ", "Straße, Nr.").replace("Nr.", ""),
            )  # fmt: skip
        if kind == 3:  # somebody else: a typo away in the mail, the number and the house
            shop.add(
                f"{person}x", email=f"x{facts['email']}", phone=f"+49 171 {number:07d}", name=facts["name"],
                address=f"{facts['address']}b", postcode=facts["postcode"],
            )  # fmt: skip
        if kind == 4:  # husband and wife share a mail and a number
            shop.add(f"{person}h", email=facts["email"], phone=facts["phone"], birth_date=datetime(1901, 1, 1).date())
        if kind == 5:  # a true duplicate that nobody can see: everything was typed anew
            shop.add(person, name=f"{facts['name']}e", email=f"new.{number}@mail.example", postcode="00000")
        if kind == 6:  # an office
            shop.records[-1]["phone"] = "+49 30 5550000"
    dice.shuffle(shop.records)
    return shop
