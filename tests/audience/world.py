"""A small random shop: customers and events in plain Python, and the same rows as tables of a real DuckDB.

Values are drawn around what the conditions under test name, so that comparisons fall on both sides and on the edge.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from campanile.clock import Duration
from campanile.customers.database import _OWN, COMMITTED, RIVALS, SCORES, SUPPRESSED
from campanile.money import Currency
from campanile.spec.conditions import Segment
from campanile.spec.settings import Policy
from campanile.spec.vocabulary import FieldType, load_vocabulary

VOCABULARY = load_vocabulary()
ARROW = {
    FieldType.NUMBER: pa.float64(),
    FieldType.MONEY: pa.int64(),
    FieldType.TEXT: pa.string(),
    FieldType.BOOL: pa.bool_(),
    FieldType.DATE: pa.date32(),
    FieldType.YEARLY: pa.date32(),
    FieldType.LIST: pa.list_(pa.string()),
}


def pools(conditions: list[Any]) -> dict[tuple[str, str], list[Any]]:
    """What the conditions name, by (event or "", field): texts without their words, and numbers."""
    found: dict[tuple[str, str], list[Any]] = {}
    for owner, name, value in _named(conditions):
        values = value if isinstance(value, list) else [value]
        for text in map(str, values):
            words = re.sub(
                r"^(any of|all of|none of|not|contains|starts|over|under|at least|at most|exactly) ", "", text
            )
            found.setdefault((owner, name), []).extend(part.strip() for part in re.split(r",|\.\.", words))
    return found


def _named(data: Any, event: str = "") -> Iterator[tuple[str, str, Any]]:
    if isinstance(data, list):
        for item in data:
            yield from _named(item)
    elif isinstance(data, Mapping):
        event = str(data.get("did", data.get("did_not", "")))
        for key, value in data.items():
            if key == "where":
                yield from ((event, name, each) for name, each in value.items())
            elif key in ("all", "any", "none", "of"):
                yield from _named(value)
            elif event and " " in key:
                yield event, key.split()[1], value
            elif not event:
                yield "", key, value


@dataclass
class World:
    """Rows of customers and of events, `at` in naive UTC, money in minor units."""

    customers: list[dict[str, Any]]
    events: dict[str, list[dict[str, Any]]]
    as_of: datetime
    zone: ZoneInfo
    segments: dict[str, Segment] = field(default_factory=dict)
    caps: dict[str, Any] = field(default_factory=dict)
    #: The rest of the contact policy, as campanile.yaml has it.
    policy: dict[str, Any] = field(default_factory=dict)

    @property
    def project(self) -> Any:
        """The parts of a project that a selection reads."""
        settings = SimpleNamespace(policy=Policy(caps=self.caps, **self.policy))
        return SimpleNamespace(
            segments=self.segments, metrics={}, currency=Currency("CNY"), zone=self.zone, settings=settings
        )

    def tables(self) -> Tables:
        """The same rows in a real engine."""
        return Tables(self)


class Tables:
    """A DuckDB in memory with the questions that a selection asks of the customer database."""

    #: Nobody was merged here.
    merged = False

    def __init__(self, world: World) -> None:
        self.ibis = ibis.duckdb.connect()
        self._events = world.events
        self._load("customers", world.customers, {"customer_id": pa.string()} | arrow_types(VOCABULARY.fields))
        self._make_own()

    def _make_own(self) -> None:
        for name in (COMMITTED, RIVALS, SCORES, SUPPRESSED):
            self.ibis.create_table(name, schema=ibis.schema(_OWN[name]))

    def settled(self) -> AbstractContextManager[None]:
        """Nothing: here no table comes or goes at all."""
        return nullcontext()

    def tables(self) -> frozenset[str]:
        """The shop's tables: customers, and the kinds of event that have rows."""
        return frozenset({"customers", *self._events})

    def _load(self, name: str, rows: list[dict[str, Any]], columns: dict[str, pa.DataType]) -> None:
        table = pa.table({key: pa.array([row.get(key) for row in rows], type_) for key, type_ in columns.items()})
        self.ibis.create_table(name, table)

    def own(self, name: str) -> ir.Table:
        """A table of the product's own."""
        return self.ibis.table(name)

    def table(self, name: str) -> ir.Table:
        """A table of the shop."""
        return self.ibis.table(name) if name == "customers" else self.all_events(name)

    def by_person(self, rows: ir.Table) -> ir.Table:
        """The same rows."""
        return rows

    def customers(self, as_of: datetime) -> ir.Table:
        """One row per customer."""
        return self.ibis.table("customers")

    def all_events(self, kind: str) -> ir.Table:
        """The event table, loaded on first use."""
        if kind not in self.ibis.list_tables():
            columns = {"customer_id": pa.string(), "at": pa.timestamp("us")} | arrow_types(
                VOCABULARY.events[kind].fields
            )
            self._load(kind, self._events.get(kind, []), columns)
        return self.ibis.table(kind)

    def events(self, kind: str, as_of: datetime, *, every_state: bool = False) -> ir.Table:
        """Rows before as_of."""
        table = self.all_events(kind)
        return table.filter(table["at"] < ibis.timestamp(as_of.astimezone(UTC).replace(tzinfo=None)))


def arrow_types(fields: Mapping[str, FieldType]) -> dict[str, pa.DataType]:
    """The Arrow types of fields."""
    return {name: ARROW[type_] for name, type_ in fields.items()}


def make_world(
    conditions: list[Any],
    *,
    seed: int,
    as_of: datetime,
    zone: ZoneInfo,
    customers: int = 150,
    kinds: Collection[str] = frozenset(VOCABULARY.events),
) -> World:
    """A random shop around what the conditions name."""
    chance = random.Random(seed)
    values = _Values(chance, pools(conditions), as_of.astimezone(zone).date())
    rows = [
        {"customer_id": f"C{number:04d}"}
        | {name: values.of("", name, type_) for name, type_ in VOCABULARY.fields.items()}
        for number in range(customers)
    ]
    events = {kind: list(_events(kind, rows, values, as_of)) for kind in sorted(kinds)}
    return World(rows, events, as_of, zone)


def _events(kind: str, customers: list[dict[str, Any]], values: _Values, as_of: datetime) -> Iterator[dict[str, Any]]:
    for customer in customers:
        for _ in range(values.chance.choice([0, 0, 1, 1, 2, 3, 5, 8])):
            at = values.moment(as_of)
            lines = values.chance.choice([1, 1, 2, 3]) if kind == "bought" else 1
            order = f"O{values.chance.randrange(10**9)}" if kind != "bought" or values.chance.random() < 0.9 else None
            for _ in range(lines):
                fields = {name: values.of(kind, name, type_) for name, type_ in VOCABULARY.events[kind].fields.items()}
                if "order_id" in fields:
                    fields["order_id"] = order
                yield {"customer_id": customer["customer_id"], "at": at} | fields


@dataclass
class _Values:
    chance: random.Random
    pools: dict[tuple[str, str], list[Any]]
    today: date

    def of(self, owner: str, name: str, type_: FieldType) -> Any:
        if self.chance.random() < 0.12:
            return None
        return getattr(self, f"_{type_.name.lower()}")(self._pool(owner, name))

    def _pool(self, owner: str, name: str) -> list[str]:
        return self.pools.get((owner, name), [])

    def _text(self, pool: list[str]) -> str:
        text = self.chance.choice([*pool, *pool, "other", "unknown"])
        return text if self.chance.random() < 0.9 else f"{text}-x"

    def _list(self, pool: list[str]) -> list[str]:
        return [self._text(pool) for _ in range(self.chance.randrange(5))]

    def _number(self, pool: list[str]) -> float:
        near = [float(text) for text in pool if re.fullmatch(r"-?\d+(\.\d+)?", text)] or [3.0]
        number = self.chance.choice(near)
        step = 0.05 if number != int(number) or number == 0 else 1.0
        return round(self.chance.choice([number, number - step, number + step, number * 2, number * 0.5, 1.0]), 2)

    def _money(self, pool: list[str]) -> int:
        return round(self._number(pool) * 100) + self.chance.choice([0, 0, 0, 1, -1])

    def _bool(self, pool: list[str]) -> bool:
        return self.chance.random() < 0.5

    def _date(self, pool: list[str]) -> date:
        steps = [0, 1, 5, 7, 9, 14, 30, 31, 60, 61, 90, 91, 365, 730, 731, 800]
        days = self.chance.choice([*steps, self.chance.randrange(400)])
        return self.today + timedelta(days=self.chance.choice([-1, 1]) * days)

    _yearly = _date

    def moment(self, as_of: datetime) -> datetime:
        """Anywhere in three years, often on the very edge of a window; also after as_of."""
        edges = ["4h", "2d", "3d", "7d", "14d", "30d", "60d", "90d", "180d", "365d", "1y", "2y", "1m"]
        if self.chance.random() < 0.3:
            at = Duration.parse(self.chance.choice(edges)).before(as_of)
            at += timedelta(seconds=self.chance.choice([-1, 0, 1, 3600, -3600]))
        else:
            at = as_of - timedelta(seconds=int(self.chance.random() ** 3 * 3 * 365 * 86400) - 86400)
        return at.astimezone(UTC).replace(tzinfo=None)
