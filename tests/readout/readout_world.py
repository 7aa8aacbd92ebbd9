"""A shop whose campaign has run: project files, a real DuckDB, a real SQLite ledger and a snapshot in one folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import insert, update

from campanile.customers.database import CustomerDatabase
from campanile.events import CONTROL, PlannedMessage
from campanile.ledger import tables
from campanile.ledger.records import PlanRecord
from campanile.ledger.store import Ledger
from campanile.plan.freeze import fingerprint, frozen_spec
from campanile.readout import read_out
from campanile.report.readout import Readout
from campanile.spec.project import Project, load_project

DUE = datetime(2026, 3, 5, 2, 30, tzinfo=UTC)
ENDS = DUE + timedelta(days=30)
AFTER = ENDS + timedelta(hours=3)

FILES = {
    "campanile.yaml": """\
shop: {name: 优选 Market, currency: CNY, timezone: Asia/Shanghai}
channels:
  sms: {via: outbox}
economics: {margin_rate: 40%, cost_per_message: {sms: 0.05}}
""",
    "campaigns/winback.yaml": """\
objective: retention
target:
  who:
    - {stage: sleeping}
offer: {kind: coupon, amount: 50}
timing: {start: 2026-03-05, at: "10:30"}
channel: {use: sms, message: winback}
costs: {fixed: 500}
""",
    "experiments/winback.yaml": """\
hypothesis: A 50-yuan coupon lifts the 30-day purchase rate from 2% to 3%.
split: {control: 20%, treatment: 80%}
primary: {metric: response_rate, window: 30d, baseline: 2%, expect: 3%}
secondary: [margin_per_customer]
guards: {return_rate: at most control + 3%, opt_out_rate: under 1%}
decide: {roll_out: profit per customer above 0 at 95%, stop: upper limit below 0.3 points}
""",
    "templates/winback.sms.j2": "Come back. Reply R to stop.",
}


@dataclass(frozen=True)
class Order:
    """One order; `after` is the time since the customer's due moment."""

    customer: str
    amount: int
    after: timedelta = timedelta(days=1)
    discount: int = 0
    order_id: str = ""
    state: str = "paid"
    channel: str = ""


@dataclass
class World:
    """What happened. Change it, then `build` and read."""

    root: Path
    arms: dict[str, int]
    orders: list[Order] = field(default_factory=list)
    #: (order_id, customer, refund, time since due)
    returned: list[tuple[str, str, int, timedelta]] | None = None
    unsubscribed: list[tuple[str, timedelta]] | None = None
    tickets: list[tuple[str, str, timedelta]] | None = None
    contacted: list[tuple[str, str, timedelta]] | None = None
    #: State by customer, where it is not accepted.
    states: dict[str, str] = field(default_factory=dict)
    #: customer -> due moment, where it is not DUE.
    due: dict[str, datetime] = field(default_factory=dict)
    pre_orders: dict[str, int] = field(default_factory=dict)
    #: Stratum by customer, where it is not "all".
    strata: dict[str, str] = field(default_factory=dict)
    #: Value by customer, by cut.
    cuts: dict[str, dict[str, str | None]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=lambda: dict(FILES))
    messages_for_control: int = 0
    registered: bool = True

    def customers(self, arm: str) -> list[str]:
        return [f"{arm[:3]}{number:05d}" for number in range(self.arms[arm])]

    def buy(self, arm: str, amounts: Sequence[int], *, discounts: Sequence[int] = ()) -> None:
        """The first customers of the arm buy once each, spread over the window; the last one on its last day."""
        step = timedelta(days=30) / max(len(amounts), 1)
        for number, (customer, amount) in enumerate(zip(self.customers(arm), amounts, strict=False)):
            given = discounts[number] if number < len(discounts) else 0
            self.orders.append(Order(customer, amount, step * (number + 0.9), given))

    def build(self) -> Project:
        for name, text in self.files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        project = load_project(self.root)
        project.home.mkdir(parents=True, exist_ok=True)
        with CustomerDatabase.open(project) as database:
            for name, rows in self._tables().items():
                database.ibis.create_table(name, rows)
        self._plan(project)
        return project

    def _tables(self) -> dict[str, pa.Table]:
        people = [customer for arm in self.arms for customer in self.customers(arm)]
        found: dict[str, pa.Table] = {"customers": pa.table({"customer_id": people})}
        found["order"] = pa.table(
            {
                "order_id": _words([order.order_id or f"O{number}" for number, order in enumerate(self.orders)]),
                "customer_id": _words([order.customer for order in self.orders]),
                "at": _times([self._due(order.customer) + order.after for order in self.orders]),
                "amount": pa.array([order.amount for order in self.orders], pa.int64()),
                "discount": pa.array([order.discount for order in self.orders], pa.int64()),
                "state": _words([order.state for order in self.orders]),
            }
        )
        if any(order.channel for order in self.orders):
            channels = pa.array([order.channel or None for order in self.orders], pa.string())
            found["order"] = found["order"].append_column("channel", channels)
        if self.returned is not None:
            found["returned"] = pa.table(
                {
                    "order_id": _words([row[0] for row in self.returned]),
                    "customer_id": _words([row[1] for row in self.returned]),
                    "amount": pa.array([row[2] for row in self.returned], pa.int64()),
                    "at": _times([self._due(row[1]) + row[3] for row in self.returned]),
                }
            )
        if self.unsubscribed is not None:
            found["unsubscribed"] = self._events(self.unsubscribed)
        if self.tickets is not None:
            rows = [(customer, after) for customer, _, after in self.tickets]
            found["ticket"] = self._events(rows).append_column("kind", _words([row[1] for row in self.tickets]))
        if self.contacted is not None:
            rows = [(customer, after) for customer, _, after in self.contacted]
            campaigns = _words([row[1] for row in self.contacted])
            found["contacted"] = self._events(rows).append_column("campaign", campaigns)
        return found

    def _events(self, rows: list[tuple[str, timedelta]]) -> pa.Table:
        return pa.table(
            {
                "customer_id": _words([customer for customer, _ in rows]),
                "at": _times([self._due(customer) + after for customer, after in rows]),
            }
        )

    def _due(self, customer: str) -> datetime:
        return self.due.get(customer, DUE)

    def _plan(self, project: Project) -> None:
        snapshot = project.snapshots_dir / "winback" / "s.parquet"
        snapshot.parent.mkdir(parents=True)
        pq.write_table(self._snapshot(), snapshot)
        spec = frozen_spec(project, "winback")
        record = PlanRecord(
            plan_id="p1",
            campaign="winback",
            wave="1",
            as_of=DUE - timedelta(days=4),
            created_at=DUE - timedelta(days=1),
            fingerprint=fingerprint(spec),
            spec=json.loads(json.dumps(spec)),
            snapshot=snapshot.relative_to(project.home).as_posix(),
            snapshot_sha256=hashlib.sha256(snapshot.read_bytes()).hexdigest(),
            arms=self.arms,
        )
        with Ledger.open(project.ledger_path) as ledger:
            ledger.register(record, self._messages())
            if self.registered:
                spec_json = json.dumps(record.spec, ensure_ascii=False)
                ledger.register_experiment("p1", "winback", record.fingerprint, spec_json, DUE)
            self._send(ledger)

    def _snapshot(self) -> pa.Table:
        rows = [(customer, arm) for arm in self.arms for customer in self.customers(arm)]
        return pa.table(
            {
                "customer_id": [customer for customer, _ in rows],
                "arm": [arm for _, arm in rows],
                "stratum": [self.strata.get(customer, "all") for customer, _ in rows],
                "due_at": _times([self._due(customer) for customer, _ in rows]),
                "pre_orders": pa.array([self.pre_orders.get(customer, 0) for customer, _ in rows], pa.int64()),
                "pre_revenue": pa.array([100 * self.pre_orders.get(customer, 0) for customer, _ in rows], pa.int64()),
                **{
                    cut: pa.array([values.get(customer) for customer, _ in rows], pa.string())
                    for cut, values in self.cuts.items()
                },
            }
        )

    def _messages(self) -> Iterator[PlannedMessage]:
        treated = [(customer, arm) for arm in self.arms if arm != CONTROL for customer in self.customers(arm)]
        strays = [(customer, next(iter(self.arms.keys() - {CONTROL}))) for customer in self.customers(CONTROL)]
        for number, (customer, arm) in enumerate([*treated, *strays[: self.messages_for_control]]):
            due = self._due(customer)
            yield PlannedMessage(
                f"{number:032x}", customer, arm, "message", "sms", "+861000000000", {}, due, due + timedelta(days=3),
                "Asia/Shanghai", 0,
            )  # fmt: skip

    def _send(self, ledger: Ledger) -> None:
        message, attempt = tables.message, tables.attempt
        with ledger.writing() as connection:
            connection.execute(update(message).values(state="accepted", attempts=1, settled_at=DUE))
            for customer, state in self.states.items():
                values = {"state": state, "reason": f"why {state}", "attempts": int(state in {"rejected", "unknown"})}
                connection.execute(update(message).where(message.c.customer_id == customer).values(**values))
            accepted = connection.exec_driver_sql("SELECT message_id FROM message WHERE state = 'accepted'").fetchall()
            moment = DUE + timedelta(seconds=5)
            rows = [
                {
                    "message_id": row[0],
                    "n": 1,
                    "channel": "sms",
                    "opened_at": moment,
                    "closed_at": moment,
                    "outcome": "accepted",
                }
                for row in accepted
            ]
            if rows:
                connection.execute(insert(attempt), rows)


def _words(values: list[str]) -> pa.Array:
    return pa.array(values, pa.string())


def _times(moments: list[datetime]) -> pa.Array:
    return pa.array([moment.astimezone(UTC).replace(tzinfo=None) for moment in moments], pa.timestamp("us"))


@contextmanager
def stores(project: Project) -> Iterator[tuple[CustomerDatabase, Ledger]]:
    with CustomerDatabase.open(project) as database, Ledger.open(project.ledger_path) as ledger:
        yield database, ledger


def read(project: Project, now: datetime = AFTER) -> Readout:
    with stores(project) as (database, ledger):
        return read_out(project, "winback", database=database, ledger=ledger, now=now)


def golden(root: Path) -> World:
    """The money case of domain.md §2.11: amounts in minor units, 4,000 yuan of coupons redeemed."""
    world = World(root, {CONTROL: 2000, "treatment": 8000}, returned=[], unsubscribed=[])
    world.buy(CONTROL, [28_000] * 44)
    world.buy("treatment", [30_000] * 264, discounts=[5_000] * 80)
    return world
