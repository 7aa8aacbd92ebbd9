"""Conditions that nobody thought of, over shops with ties, nulls, refunds and empty histories, beside the oracle."""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import ibis
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audience import forms
from audience.oracle import Oracle
from audience.test_compile_oracle import named, parse
from audience.world import VOCABULARY, World, arrow_types, make_world
from campanile.audience.aggregates import Aggregates
from campanile.audience.compile import compile_condition
from campanile.audience.frame import Frame
from campanile.customers.database import PROFILE, CustomerDatabase
from campanile.money import Currency
from campanile.spec.project import Project, load_project

#: Leap days, clock changes of an hour and of half an hour, zones far east and with odd offsets.
MOMENTS = [
    ("Asia/Shanghai", datetime(2026, 3, 1, 1, tzinfo=UTC)),
    ("America/New_York", datetime(2024, 2, 29, 12, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 3, 8, 7, 30, tzinfo=UTC)),
    ("Europe/Madrid", datetime(2025, 3, 30, 1, tzinfo=UTC)),
    ("Europe/Madrid", datetime(2025, 10, 26, 0, 30, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, 15, tzinfo=UTC)),
    ("Pacific/Kiritimati", datetime(2025, 12, 31, 10, tzinfo=UTC)),
    ("Asia/Kathmandu", datetime(2024, 3, 31, 18, 15, tzinfo=UTC)),
]
moments = st.one_of(
    st.sampled_from(MOMENTS),
    st.tuples(
        st.sampled_from(sorted({zone for zone, _ in MOMENTS})),
        st.datetimes(datetime(2023, 1, 1), datetime(2027, 12, 31)).map(lambda at: at.replace(tzinfo=UTC)),
    ),
)
questions = st.tuples(
    st.lists(forms.conditions, min_size=8, max_size=16), forms.segments(), forms.metrics(), moments, st.integers(0, 999)
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("shop")
    (root / "campanile.yaml").write_text(
        "shop: {name: Test, currency: CNY, timezone: Asia/Shanghai}\nchannels: {email: {via: outbox}}\n"
        "economics: {margin_rate: 40%, cost_per_message: {email: 0.01}}\n",
        encoding="utf-8",
    )
    return load_project(root)


@pytest.fixture(scope="module")
def database(project: Project) -> Iterator[CustomerDatabase]:
    with CustomerDatabase.open(project) as opened:
        yield opened


def shop(conditions: list[Any], seed: int, zone: str, as_of: datetime) -> World:
    """Thirty customers; orders of every state, some sent back in part or whole, and lines of some of them."""
    world = make_world(
        conditions, seed=seed, as_of=as_of, zone=ZoneInfo(zone), customers=30, kinds=(*forms.EVENTS, "returned")
    )
    chance, orders = random.Random(seed), world.events["order"]
    for row in orders:
        row["state"] = chance.choice(["paid", "paid", "paid", "part_refunded", "cancelled", None])
    for row in (*world.events["returned"], *world.events["bought"]):
        order = chance.choice(orders) if orders else {"order_id": "O1", "amount": 1}
        row["order_id"] = chance.choice([order["order_id"], order["order_id"], "unheard of", None])
        if row in world.events["returned"]:
            row["amount"] = chance.choice([order["amount"], 1, None, (order["amount"] or 0) + 1])
    return world


def load(database: CustomerDatabase, world: World) -> None:
    """The world as the tables that an import leaves behind."""
    tables = {"customers": ({}, world.customers)} | {
        kind: ({"at": "timestamp"}, rows) for kind, rows in world.events.items()
    }
    for kind, (more, rows) in tables.items():
        fields = VOCABULARY.fields if kind == "customers" else VOCABULARY.events[kind].fields
        types = {name: ibis.dtype(ibis.schema(_one(name, type_))[name]) for name, type_ in arrow_types(fields).items()}
        schema = ibis.schema({"customer_id": "string"} | more | types)
        cells = [{name: row.get(name) for name in schema.names} for row in rows]
        database.ibis.create_table(kind, ibis.memtable(cells, schema=schema), overwrite=True)
    customers = database.table("customers").select("customer_id")
    database.store_own(PROFILE, customers)
    database.note_profile([{"as_of": world.as_of.replace(tzinfo=None), "settings": ""}])


def _one(name: str, type_: Any) -> dict[str, Any]:
    from ibis.formats.pyarrow import PyArrowType

    return {name: PyArrowType.to_ibis(type_)}


def disagreements(question: Any, database: CustomerDatabase) -> dict[str, Any]:
    """By condition, what the engine and the oracle find, where it is not the same."""
    conditions, segments, metrics, (zone, as_of), seed = question
    world = shop([*conditions, *segments.values()], seed, zone, as_of)
    load(database, world)
    beside = named(segments, metrics)
    frame = Frame(as_of, world.zone, Currency("CNY"), beside.segments, beside.metrics)
    aggregates = Aggregates(database, frame)
    verdicts = [compile_condition(parse(each, beside.names), aggregates) for each in conditions]
    joined = aggregates.joined(database.customers(as_of))
    rows = joined.select("customer_id", **{f"_{n}": verdict(joined) for n, verdict in enumerate(verdicts)})
    found = rows.to_pyarrow().to_pylist()
    assert len(found) == len(world.customers)
    oracle = Oracle(world, segments, metrics, orders_may_be_void=True)
    wrong = {}
    for number, condition in enumerate(conditions):
        ids = {row["customer_id"] for row in found if row[f"_{number}"]}
        if ids != oracle.ids(condition):
            wrong[str(condition)] = {
                "engine only": ids - oracle.ids(condition),
                "oracle only": oracle.ids(condition) - ids,
            }
    return wrong


def check(count: int) -> settings:
    return settings(
        max_examples=count, deadline=None, database=None, derandomize=count < 100,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
    )  # fmt: skip


@check(5)
@given(questions)
def test_the_oracle_agrees_on_conditions_that_nobody_thought_of(database: CustomerDatabase, question: Any) -> None:
    assert disagreements(question, database) == {}


@pytest.mark.slow
@pytest.mark.long
@check(400)
@given(questions)
def test_the_oracle_agrees_on_thousands_of_conditions(database: CustomerDatabase, question: Any) -> None:
    assert disagreements(question, database) == {}


def test_the_oracle_shares_no_code_with_parser_and_compiler() -> None:
    """It sees the names and types of fields, as data, and the rows; nothing else of the product."""
    tree = ast.parse((Path(__file__).parent / "oracle.py").read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert {module for module in imported if module and "campanile" in module} == set()
    names = [
        node.names for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "audience.world"
    ]
    assert [{name.name for name in each} for each in names] == [{"VOCABULARY", "World"}]
