"""The customer database: what it says when it cannot be opened, and what it shows as of a moment."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from campanile.customers.database import CustomerDatabase
from campanile.customers.history import record_assignment, sync_history, sync_suppressions
from campanile.customers.orders import valid_orders
from campanile.customers.profile import ensure_profile, refresh_profile
from campanile.errors import CampanileError
from campanile.events import Outcome, Receipt
from campanile.ledger import Ledger, Mode
from campanile.ledger.hand_overs import claim, exchange
from campanile.ledger.repair import recover, settle_unknown
from support.plans import NOW, message_id, register, several

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)

_HOLD = """
import sys, duckdb
con = duckdb.connect(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


def test_a_file_that_another_process_has_open_says_which(shop):
    project = shop.project()
    project.home.mkdir(exist_ok=True)
    command = [sys.executable, "-c", _HOLD, str(project.database_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(CampanileError) as caught:
            CustomerDatabase.open(project)
        holder.stdin.close()
    assert str(caught.value) == (
        f"customers.duckdb is open in another process ({holder.pid}); let it finish or stop it, then try again"
    )


def test_a_file_that_is_no_database_says_so(shop):
    shop.write("runs/customers.duckdb", b"PAR1 this is something else" * 500)
    with pytest.raises(CampanileError, match="not a DuckDB file, or its beginning is damaged; restore it"):
        CustomerDatabase.open(shop.project())


def test_a_truncated_database_says_so(shop):
    with CustomerDatabase.open(shop.project()) as database:
        path = database.path
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2 - 1000] + b"\xff" * 4096)
    with (
        pytest.raises(CampanileError, match="is damaged"),
        CustomerDatabase.open(shop.project()) as database,
    ):
        database.own("imports").to_pyarrow()


def test_reading_before_the_first_import_says_what_to_do(shop):
    with pytest.raises(CampanileError, match="no customer database yet; run campanile import first"):
        CustomerDatabase.open(shop.project(), read_only=True)


def test_a_read_only_database_refuses_to_be_written(shop):
    with CustomerDatabase.open(shop.project()):
        pass
    with CustomerDatabase.open(shop.project(), read_only=True) as database:
        with pytest.raises(CampanileError, match="open for reading only"):
            refresh_profile(shop.project(), database, AS_OF)
        assert database.events("contacted", AS_OF).count().execute() == 0


def test_a_missing_table_is_named_with_lines_that_import_it(shop):
    with CustomerDatabase.open(shop.project()) as database:
        with pytest.raises(CampanileError) as caught:
            database.events("searched", AS_OF)
        assert caught.value.what == 'the customer database has no table "searched"'
        assert "  searched:\n    file: data/searched.csv\n    columns: {customer_id: Customer, at: Date, " in str(
            caught.value
        )
        with pytest.raises(CampanileError, match='no kind of event "clickd"; did you mean "clicked"'):
            database.events("clickd", AS_OF)


def test_a_database_named_like_the_products_schema_works(shop):
    shop.policy = "database: {duckdb: campanile.duckdb}"
    shop.load_one("customers", "columns: {customer_id: Id}", "Id\na\n")
    with CustomerDatabase.open(shop.project()) as database:
        refresh_profile(shop.project(), database, AS_OF)
        assert database.customers(AS_OF).count().execute() == 1


ORDERS = """\
Order,Who,When,Paid,State
1,a,2026-01-01,100,paid
2,a,2026-01-02,100,cancelled_auto
3,a,2026-01-03,100,refunded
4,a,2026-01-04,100,part_refunded
5,a,2026-01-05,0,paid
6,b,2026-01-06,100,paid
7,b,2026-03-01,100,paid
8,b,2026-02-28 23:59:59,100,paid
"""
RETURNS = (
    "Order,Who,When,Refund\n4,a,2026-01-10,40\n6,b,2026-02-01,60\n6,b,2026-03-02,40\n8,b,2026-02-28 23:59:59,100\n"
)
LINES = "Order,Who,When,Sku\n" + "".join(f"{n},x,2026-01-01,s{n}\n" for n in range(1, 10)) + ",x,2026-01-01,none\n"
MAPPING = """\
  order:
    file: orders.csv
    rows: {State: [paid, part_refunded]}
    columns: {customer_id: Who, at: When, order_id: Order, amount: Paid}
  returned: {file: returns.csv, columns: {customer_id: Who, at: When, order_id: Order, amount: Refund}}
  bought: {file: lines.csv, columns: {customer_id: Who, at: When, order_id: Order, sku: Sku}}
"""


@pytest.fixture
def orders(shop, opened):
    for name, lines in (("orders", ORDERS), ("returns", RETURNS), ("lines", LINES)):
        shop.write(f"{name}.csv", lines)
    return opened(MAPPING)[1]


def ids(relation) -> list[str]:
    return sorted(relation.order_id.to_pyarrow().to_pylist())


def test_only_valid_orders_count(orders):
    assert ids(orders.events("order", AS_OF)) == ["1", "4", "6"]  # 5 is worth nothing, 7 later, 8 came back whole
    net = dict(orders.net_orders(AS_OF).select("order_id", "net").to_pyarrow().to_pandas().to_numpy().tolist())
    assert net == {"1": 10_000, "4": 6_000, "6": 4_000}


def test_a_refund_known_later_changes_nothing_before(orders):
    assert "6" in ids(orders.events("order", AS_OF))
    assert "6" not in ids(orders.events("order", AS_OF + timedelta(days=2)))


def test_orders_of_every_state_are_there_for_who_asks(orders):
    assert len(ids(orders.events("order", AS_OF, every_state=True))) > len(ids(orders.events("order", AS_OF)))


def test_states_decide_where_the_shop_says_them(orders):
    for state, count in (("cancelled_by_hand", 0), ("refunded", 0), ("paid", 5), ("part_refunded", 5)):
        stated = orders.table("order").mutate(state=ibis.literal(state))
        assert valid_orders(stated, None).count().execute() == count


def test_lines_of_orders_that_do_not_count_do_not_count(orders):
    lines = orders.events("bought", AS_OF).sku.to_pyarrow().to_pylist()
    assert sorted(lines) == ["none", "s1", "s4", "s6"]


def hand_over(ledger: Ledger, numbers: list[int], outcome: Outcome, at: datetime) -> None:
    """Hands messages of the plan over at that moment, all with one outcome."""
    ids = {message_id("winback", number) for number in numbers}
    wanted = [m for m in claim(ledger, "plan-winback", 0, now=NOW, limit=100) if m.message_id in ids]
    exchange(ledger, "plan-winback", wanted=wanted, mode=Mode("smtp"), now=at)
    answers = [Receipt(message.message_id, outcome) for message in wanted]
    exchange(ledger, "plan-winback", answers=answers, mode=Mode("smtp"), now=at)
    recover(ledger, "plan-winback", Mode("smtp"), at)


def contacted(database: CustomerDatabase) -> list[str]:
    found = database.events("contacted", NOW + timedelta(days=9)).order_by("customer_id").to_pyarrow().to_pylist()
    return [row["customer_id"] for row in found]


def test_own_history_joins_the_imported_one(shop, opened, tmp_path):
    shop.write("contacts.csv", "Id,At,Channel,Purpose\na,2026-01-01,sms,service\n")
    _, database = opened(
        "  contacted: {file: contacts.csv, columns: {customer_id: Id, at: At, channel: Channel, purpose: Purpose}}\n"
    )
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        sync_history(database, ledger)
        register(ledger, several(4))
        hand_over(ledger, [0], Outcome.ACCEPTED, NOW)
        hand_over(ledger, [1], Outcome.REJECTED, NOW)
        sync_history(database, ledger)
    found = database.events("contacted", NOW + timedelta(days=1)).order_by("at").to_pyarrow().to_pylist()
    assert [(row["customer_id"], row["channel"], row["purpose"], row["campaign"]) for row in found] == [
        ("a", "sms", "service", None),
        ("C000000", "email", "marketing", "winback"),
    ]
    assert contacted(database) == ["C000000", "a"]
    assert database.events("contacted", NOW).count().execute() == 1


def test_a_hand_over_written_down_late_is_not_missed(shop, tmp_path):
    """Begun before others, answered after they were read; and one whose answer was lost counts until it is settled."""
    with CustomerDatabase.open(shop.project()) as database, Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        register(ledger, several(6))
        hand_over(ledger, [0], Outcome.ACCEPTED, NOW)
        sync_history(database, ledger)
        hand_over(ledger, [1], Outcome.ACCEPTED, NOW - timedelta(hours=1))
        hand_over(ledger, [2, 3], Outcome.UNKNOWN, NOW - timedelta(hours=1))
        sync_history(database, ledger)
        assert contacted(database) == ["C000000", "C000001", "C000002", "C000003"]
        lost = message_id("winback", 2)
        settle_unknown(ledger, "plan-winback", [lost], verdict="not_sent", who="Mei", why="log", now=NOW)
        settle_unknown(ledger, "plan-winback", None, verdict="accepted", who="Mei", why="log", now=NOW)
        for _ in range(2):
            sync_history(database, ledger)
            assert contacted(database) == ["C000000", "C000001", "C000003"]
        hand_over(ledger, [2], Outcome.ACCEPTED, NOW)
        sync_history(database, ledger)
        assert contacted(database) == ["C000000", "C000001", "C000002", "C000003"]


def test_another_ledger_is_read_from_its_beginning(shop, tmp_path):
    with CustomerDatabase.open(shop.project()) as database:
        for name, number in (("first", 0), ("second", 1)):
            with Ledger.open(tmp_path / f"{name}.sqlite") as ledger:
                register(ledger, several(2))
                hand_over(ledger, [number], Outcome.ACCEPTED, NOW)
                sync_history(database, ledger)
        assert contacted(database) == ["C000000", "C000001"]


def test_suppressions_are_replaced_and_never_held_all_at_once(shop):
    with CustomerDatabase.open(shop.project()) as database:
        sync_suppressions(database, [("sms", "86")])
        tracemalloc.start()
        sync_suppressions(database, (("email", f"{number:040d}@mail.example") for number in range(250_000)))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 40_000_000
        kept = database.own("suppressed")
        assert kept.count().execute() == kept["address"].nunique().execute() == 250_000
        assert set(kept["channel"].to_pyarrow().to_pylist()) == {"email"}


def test_assignments_count_once_and_include_control(shop, opened, tmp_path):
    shop.write("people.csv", "Id\na\n")
    _, database = opened("  customers: {file: people.csv, columns: {customer_id: Id}}\n")
    snapshot = tmp_path / "snapshot.parquet"
    pq.write_table(pa.table({"customer_id": ["a", "b"], "arm": ["control", "treatment"]}), snapshot)
    for _ in range(2):
        record_assignment(database, snapshot, campaign="winback", wave="1", at=AS_OF)
    assert record_assignment(database, snapshot, campaign="winback", wave="2", at=AS_OF) == 2
    found = database.events("assigned", AS_OF + timedelta(days=1))
    assert sorted(zip(*(found[c].to_pyarrow().to_pylist() for c in ("customer_id", "arm")), strict=True)) == [
        ("a", "control"), ("a", "control"), ("b", "treatment"), ("b", "treatment"),
    ]  # fmt: skip
    assert database.events("assigned", AS_OF).count().execute() == 0


def test_an_imported_column_wins_over_the_computed_one(shop, opened):
    shop.write("people.csv", "Id,Stage,R,Ok,Mail\na,vip,,yes,broken\nb,,4,,b@mail.example\n")
    project, database = opened(
        "  customers: {file: people.csv, columns: "
        "{customer_id: Id, stage: Stage, rfm.r: R, email_ok: Ok, email: Mail}}\n"
    )
    with pytest.raises(CampanileError, match="the profile was never made"):
        database.customers(AS_OF)
    ensure_profile(project, database, AS_OF)
    first, second = database.customers(AS_OF).order_by("customer_id").to_pyarrow().to_pylist()
    assert (first["stage"], first["rfm.r"], first["email_ok"]) == ("vip", None, True)
    assert (second["stage"], second["rfm.r"], second["email_ok"]) == (None, 4, None)
    with pytest.raises(CampanileError, match=r"the profile is as of 2026-03-01T00:00:00\+00:00, not 2026-03-02"):
        database.customers(AS_OF + timedelta(days=1))


def test_the_profile_is_made_again_when_data_or_settings_change(shop, opened, monkeypatch):
    from campanile.customers import profile

    shop.write("people.csv", "Id\na\n")
    mapping = "  customers: {file: people.csv, columns: {customer_id: Id}}\n"
    project, database = opened(mapping)
    made = []
    write = profile._write_profile
    monkeypatch.setattr(profile, "_write_profile", lambda *args, **how: made.append(1) or write(*args, **how))
    ensure_profile(project, database, AS_OF)
    ensure_profile(project, database, AS_OF)
    assert len(made) == 1
    database.close()
    shop.load(mapping)  # the same again: nothing changed
    project, database = opened(mapping)
    ensure_profile(project, database, AS_OF)
    assert len(made) == 1
    database.close()
    shop.write("people.csv", "Id\nb\n")
    project, database = opened(mapping)
    ensure_profile(project, database, AS_OF)
    assert len(made) == 2 and database.customers(AS_OF).count().execute() == 2
    shop.policy = "policy: {stages: {active: 10d, silent: 20d, sleeping: 30d, lapsed: 40d}}"
    ensure_profile(shop.project(mapping), database, AS_OF)
    assert len(made) == 3


@pytest.mark.parametrize("name", ["a b", "50%20", "a#b", "it's [1]", "a;b", "星"])
def test_a_folder_with_marks_in_its_name_holds_its_own_database(shop, tmp_path, name):
    project = replace(shop.project(), home=tmp_path / name)
    with CustomerDatabase.open(project) as database:
        database.note_profile(())
        assert {path.name for path in project.home.iterdir()} == {"customers.duckdb", "customers.duckdb.wal"}


def test_a_question_mark_in_the_path_is_refused(shop, tmp_path):
    with pytest.raises(CampanileError, match="choose a home without ?"):
        CustomerDatabase.open(replace(shop.project(), home=tmp_path / "what?"))
    assert not any(tmp_path.glob("*wal*"))
