"""Selection from a real project: files imported, profile made, a committed target selected, the oracle asked again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

from audience.oracle import Oracle
from audience.world import VOCABULARY, World, arrow_types, make_world
from campanile.audience import select
from campanile.audience.many import select_many
from campanile.customers.database import CustomerDatabase
from campanile.customers.importing import import_tables
from campanile.customers.profile import ensure_profile
from campanile.spec.grammar import Names, parse_conditions
from campanile.spec.project import Project, load_project
from campanile.spec.vocabulary import FieldType

AS_OF = datetime(2026, 3, 1, 1, tzinfo=UTC)
KINDS = ("order", "bought", "visited", "ticket", "contacted")
COLUMNS = ("gender", "age", "tags", "stored_value", "registered_at", "email", "email_consent", "clv_12m")
TARGET = """
  who:
    - {did: order, in: 2y, sum amount: over 150}
    - any: [{gender: female}, {tags: kol}, {stored_value: at least 100}]
    - {did: bought, where: {category: [shoes, bags]}, count: at least 1}
  except:
    - {did: ticket, where: {kind: complaint, status: open}}
    - {clv_12m: bottom 20%}
    - {registered_at: last 30d}
  keep: {at_most: 12, by: clv_12m, first: highest}
"""
CONDITIONS: list[Any] = [
    {"did": "order", "in": "2y", "sum amount": "over 150"},
    {"any": [{"gender": "female"}, {"tags": "kol"}, {"stored_value": "at least 100"}]},
    {"did": "bought", "where": {"category": ["shoes", "bags"]}, "count": "at least 1"},
    {"none": [{"did": "ticket", "where": {"kind": "complaint", "status": "open"}}]},
    {"none": [{"clv_12m": "bottom 20%"}]},
    {"none": [{"registered_at": "last 30d"}]},
]


def shop_project(root: Path, world: World) -> Project:
    """A project whose files hold the world, amounts in major units as a shop writes them."""
    _write(root / "customers.parquet", world.customers, {name: VOCABULARY.fields[name] for name in COLUMNS})
    for kind in KINDS:
        _write(root / f"{kind}.parquet", world.events[kind], VOCABULARY.events[kind].fields)
    files = "".join(f"  {name}: {{file: {name}.parquet}}\n" for name in ("customers", *KINDS))
    settings = "shop: {name: Test, currency: CNY, timezone: Asia/Shanghai}\nchannels: {email: {via: outbox}}\n"
    (root / "campanile.yaml").write_text(
        f"{settings}economics: {{margin_rate: 40%, cost_per_message: {{email: 0.01, sms: 0.05}}}}\nimport:\n{files}",
        encoding="utf-8",
    )
    (root / "campaigns").mkdir()
    (root / "templates").mkdir()
    for part in ("subject", "html", "txt"):
        (root / "templates" / f"hello.{part}.j2").write_text("Hello", encoding="utf-8")
    (root / "campaigns" / "hello.yaml").write_text(
        f"objective: retention\ntarget:{TARGET}offer: {{kind: content}}\n"
        "timing: {start: 2026-03-05, at: '10:00'}\nchannel: {use: email, message: hello}\n"
        "experiment: none\nwhy: this only selects\n",
        encoding="utf-8",
    )
    return load_project(root)


def _write(path: Path, rows: list[dict[str, Any]], fields: dict[str, FieldType]) -> None:
    money = {name for name, type_ in fields.items() if type_ is FieldType.MONEY}
    columns: dict[str, Any] = {"customer_id": pa.string()} | (
        {} if path.stem == "customers" else {"at": pa.timestamp("us")}
    )
    for name, type_ in (columns | arrow_types(fields)).items():
        values = [row[name] for row in rows]
        if name in money:
            columns[name] = pa.array([None if value is None else value / 100 for value in values])
        else:
            columns[name] = pa.array(values, type_)
    # A naive time in a file is the shop's own time; a zone says that it is not.
    if "at" in columns:
        columns["at"] = columns["at"].cast(pa.timestamp("us", tz="UTC"))
    pq.write_table(pa.table(columns), path)


def test_a_committed_target_selects_whom_the_oracle_selects(tmp_path: Path) -> None:
    world = make_world(CONDITIONS, seed=3, as_of=AS_OF, zone=ZoneInfo("Asia/Shanghai"), customers=400, kinds=KINDS)
    for number, row in enumerate(world.customers):
        row["email"] = f"c{number}@example.com"
    for row in world.events["order"]:
        row["state"] = "paid"
        row["amount"] = abs(row["amount"] or 0) + 1
    world.events["bought"] = [row | {"order_id": None} for row in world.events["bought"]]
    project = shop_project(tmp_path, world)
    with CustomerDatabase.open(project) as database:
        import_tables(project, database, now=AS_OF)
        ensure_profile(project, database, AS_OF)
        audience = select(project.campaign("hello").target, database, AS_OF, project=project, medium=None)
        steps = {step.line: step.lost for step in audience.waterfall()}
        found = set(audience.eligible["customer_id"].to_pyarrow().to_pylist())
        columns = set(audience.eligible.columns)
        mailed = select(project.campaign("hello").target, database, AS_OF, project=project, medium="email")
        assert [step.line for step in mailed.waterfall()][-6:] == [
            "reachability",
            "suppression",
            "cap email 7d",
            "cap all 7d",
            "same address",
            "keep",
        ]
        assert 0 < mailed.size <= audience.size
    oracle = Oracle(world)
    left = set.intersection(*(oracle.ids(condition) for condition in CONDITIONS))
    by_value = sorted(left, key=lambda name: (-(oracle.rows[name]["clv_12m"] or -1e9), name))
    assert len(left) > 12
    assert found == set(by_value[:12])
    assert steps["keep"] == len(left) - 12
    assert {"stage", "rfm.code", "recency_days"} <= columns


def test_orders_that_do_not_count_are_found_by_their_state(tmp_path: Path) -> None:
    """Only valid orders, unless `where` names a state."""
    world = make_world([], seed=5, as_of=AS_OF, zone=ZoneInfo("Asia/Shanghai"), customers=3, kinds=KINDS)
    ids = [row["customer_id"] for row in world.customers]
    at = (AS_OF - timedelta(days=3)).astimezone(UTC).replace(tzinfo=None)
    states = ("paid", "refunded", "unpaid")
    nothing = dict.fromkeys(VOCABULARY.events["order"].fields)
    world.events["order"] = [
        nothing | {"customer_id": customer, "at": at, "order_id": f"O{customer}", "amount": 5000, "state": state}
        for customer, state in zip(ids, states, strict=True)
    ]
    project = shop_project(tmp_path, world)
    asked = {"valid": {"did": "order"}, "refunded": {"did": "order", "where": {"state": "refunded"}, "count": 1}}
    conditions = {
        name: parse_conditions([data], vocabulary=VOCABULARY, names=Names(), report=print)[0]
        for name, data in asked.items()
    }
    with CustomerDatabase.open(project) as database:
        import_tables(project, database, now=AS_OF)
        ensure_profile(project, database, AS_OF)
        many = select_many(conditions, database, AS_OF, project=project)
        assert many.judged is not None
        rows = many.judged.to_pyarrow().to_pylist()
    found = {name: {row["customer_id"] for row in rows if row[column]} for name, column in many.columns.items()}
    assert found == {"valid": {ids[0]}, "refunded": {ids[1]}}
