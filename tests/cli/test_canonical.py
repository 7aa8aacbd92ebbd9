"""An empty shop, a folder of tables without a mapping, and audiences: what other programs may rely on."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner

from audience.oracle import Oracle
from audience.test_compile_oracle import SHARED, examples, read, scenarios
from audience.world import ARROW, VOCABULARY, World, make_world
from campanile.cli.main import cli
from campanile.spec.vocabulary import FieldType

AS_OF = datetime(2026, 3, 1, 9, tzinfo=UTC)
TARGET = {
    "target": {
        "who": [{"did": "order", "in": "2y"}, {"spend": "over 1 x last_amount"}],
        "except": [{"segment": "young"}],
        "one_per": "household",
        "keep": {"at_most": 5, "by": "spend", "first": "highest"},
    },
    "segments": {"young": [{"age": "under 2"}]},
    "metrics": {
        "spend": {"of": "order", "in": "2y", "take": "sum amount"},
        "last_amount": {"of": "order", "take": "last amount"},
    },
}


def campanile(*arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "campanile", *arguments],
        input=given,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def answer(*arguments: str, given: str | None = None) -> Any:
    done = campanile(*arguments, "--json", given=given)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def dump(
    folder: Path, name: str, rows: list[dict[str, Any]], fields: dict[str, FieldType], **more: pa.DataType
) -> None:
    """A table as another program would write it: money in major units."""
    types = {field: pa.float64() if type_ is FieldType.MONEY else ARROW[type_] for field, type_ in fields.items()}

    def cell(row: dict[str, Any], column: str) -> Any:
        value = row.get(column)
        return value / 100 if value is not None and fields.get(column) is FieldType.MONEY else value

    columns = {
        column: pa.array([cell(row, column) for row in rows], type_) for column, type_ in {**more, **types}.items()
    }
    pq.write_table(pa.table(columns), folder / f"{name}.parquet")


def world_of(conditions: list[Any]) -> World:
    """A shop whose orders all count, so that the oracle, which knows nothing of valid orders, may judge."""
    world = make_world(conditions, seed=11, as_of=AS_OF, zone=ZoneInfo("UTC"))
    for row in world.events["order"]:
        row["state"] = "paid"
        row["amount"] = abs(row["amount"] or 100) + 1
    for row in world.events["returned"]:
        row["order_id"] = None
    return world


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, World, list[Any], dict[str, Any]]:
    """An imported shop, what is in it, and the reference vocabulary as far as it is here."""
    folder = tmp_path_factory.mktemp("canonical")
    named = read(SHARED / "segments.yaml") if SHARED.exists() else {"segments": {}, "metrics": {}}
    criteria = (
        [condition for family in read(SHARED / "vocabulary.yaml") for *_, condition in family["items"]]
        if SHARED.exists()
        else [{"did": "order", "in": "90d"}, {"age": "at least 30"}]
    )
    world = world_of([*criteria, *named["segments"].values()])
    tables = folder / "tables"
    tables.mkdir()
    dump(tables, "customers", world.customers, dict(VOCABULARY.fields), customer_id=pa.string())
    for kind, rows in world.events.items():
        fields = dict(VOCABULARY.events[kind].fields)
        dump(tables, kind, rows, fields, customer_id=pa.string(), at=pa.timestamp("us"))
    assert answer("init", str(folder / "shop"))["files"][0] == "campanile.yaml"
    (folder / "shop" / "segments.yaml").write_text(yaml.safe_dump(named, allow_unicode=True), encoding="utf-8")
    told = answer("import", str(tables), "--project", str(folder / "shop"))
    assert {row["table"]: row["kept"] for row in told["tables"]} == {
        "customers": len(world.customers), **{kind: len(rows) for kind, rows in world.events.items()},
    }  # fmt: skip
    return folder / "shop", world, criteria, named


def test_every_criterion_selects_whom_the_oracle_selects(shop: Any, tmp_path: Path) -> None:
    """From Parquet files through import and the command line, all at once."""
    root, world, criteria, named = shop
    many = [{"name": str(number), "condition": condition} for number, condition in enumerate(criteria)]
    file, ids = tmp_path / "many.yaml", tmp_path / "ids.parquet"
    file.write_text(yaml.safe_dump(many, allow_unicode=True), encoding="utf-8")
    told = answer(
        "audience", "--many", str(file), "--as-of", "2026-03-01T09:00", "--ids", str(ids), "--project", str(root)
    )
    assert told["errors"] == {}
    found: dict[str, set[str]] = {name: set() for name in told["sizes"]}
    table = pq.read_table(ids)
    assert table.column_names == ["name", "customer_id"]
    for name, customer in zip(*table.to_pydict().values(), strict=True):
        found[name].add(customer)
    oracle = Oracle(world, named["segments"], named["metrics"])
    assert found == {str(number): oracle.ids(condition) for number, condition in enumerate(criteria)}
    assert told["sizes"] == {name: len(customers) for name, customers in found.items()}


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.exists(), reason="the reference ../shared/reference is not here")
def test_every_example_and_scenario_from_a_file_of_its_own(shop: Any, tmp_path: Path) -> None:
    """Their `who` and `except`, without the lines that count against who is left (`from`, `one_per`, `keep`)."""
    root, world, _, named = shop
    oracle = Oracle(world, named["segments"], named["metrics"])
    for number, target in enumerate([*examples(), *scenarios()]):
        file, ids = tmp_path / f"{number}.yaml", tmp_path / f"{number}.parquet"
        asked = {key: target[key] for key in ("who", "except") if key in target}
        file.write_text(yaml.safe_dump({"target": asked, **named}, allow_unicode=True), encoding="utf-8")
        words = ["audience", str(file), "--as-of", "2026-03-01T09:00", "--ids", str(ids), "--project", str(root)]
        CliRunner().invoke(cli, words, catch_exceptions=False)
        condition = {"all": [*asked["who"], *([{"none": asked["except"]}] if asked.get("except") else [])]}
        assert set(pq.read_table(ids)["customer_id"].to_pylist()) == oracle.ids(condition), target


def as_csv(tables: Path, folder: Path) -> Path:
    """The same tables as text: lists parted by commas, times of the shop without an offset."""
    folder.mkdir()
    for file in tables.glob("*.parquet"):
        with (folder / f"{file.stem}.csv").open("w", encoding="utf-8", newline="") as text:
            table = pq.read_table(file)
            out = csv.writer(text)
            out.writerow(table.column_names)
            for row in table.to_pylist():
                out.writerow([",".join(cell) if isinstance(cell, list) else cell for cell in row.values()])
    return folder


def test_text_selects_the_same_customers_as_parquet(tmp_path: Path) -> None:
    """Dotted fields, lists, cents and times go through CSV unharmed; a table that is absent is named, with a cure."""
    asked = [
        {"rfm.r": "at least 3"}, {"interests": "any of running, travel"}, {"stored_value": "over 10.01"},
        {"did": "order", "in": "90d", "sum amount": "at least 100.5"}, {"did": "order", "where": {"first": True}},
        {"registered_at": "last 2y"}, {"did": "clicked", "where": {"channel": "email"}, "in": "365d"},
    ]  # fmt: skip
    world = make_world(asked, seed=5, as_of=AS_OF, zone=ZoneInfo("UTC"), customers=60, kinds={"order", "clicked"})
    for row in world.events["order"]:
        row["state"], row["amount"] = "paid", abs(row["amount"] or 100) + 1
    tables = tmp_path / "tables"
    tables.mkdir()
    dump(tables, "customers", world.customers, dict(VOCABULARY.fields), customer_id=pa.string())
    for kind, rows in world.events.items():
        dump(tables, kind, rows, dict(VOCABULARY.events[kind].fields), customer_id=pa.string(), at=pa.timestamp("us"))
    answer("init", str(tmp_path / "shop"))
    answer("import", str(as_csv(tables, tmp_path / "text")), "--project", str(tmp_path / "shop"))
    many, ids = tmp_path / "many.yaml", tmp_path / "ids.parquet"
    listed = [{"name": str(number), "condition": condition} for number, condition in enumerate(asked)]
    many.write_text(yaml.safe_dump([*listed, {"name": "lacking", "condition": {"did": "ticket"}}]), encoding="utf-8")
    told = answer(
        "audience", "--many", str(many), "--as-of", "2026-03-01T09:00", "--ids", str(ids),
        "--project", str(tmp_path / "shop"),
    )  # fmt: skip
    found: dict[str, set[str]] = {name: set() for name in told["sizes"]}
    for name, customer in zip(*pq.read_table(ids).to_pydict().values(), strict=True):
        found[name].add(customer)
    oracle = Oracle(world, {}, {})
    assert found == {str(number): oracle.ids(condition) for number, condition in enumerate(asked)}
    assert all(found.values())
    assert list(told["errors"]) == ["lacking"]
    assert told["errors"]["lacking"].startswith('the customer database has no table "ticket"; add to campanile.yaml')


def test_a_condition_that_cannot_be_asked_stops_no_other(shop: Any, tmp_path: Path) -> None:
    file = tmp_path / "many.yaml"
    file.write_text("- {name: good, condition: {age: known}}\n- {name: bad, condition: {did: boughtt}}\n")
    told = answer("audience", "--many", str(file), "--project", str(shop[0]))
    assert list(told["sizes"]) == ["good"]
    assert told["errors"] == {"bad": 'no event "boughtt"; did you mean "bought"?'}


def test_the_waterfall_adds_up_and_the_ids_are_its_last_line(shop: Any, tmp_path: Path) -> None:
    root, world, _, _ = shop
    ids = tmp_path / "ids.parquet"
    told = answer(
        "audience", "-", "--as-of", "2026-03-01T09:00", "--ids", str(ids), "--sql", "--project", str(root),
        given=yaml.safe_dump(TARGET),
    )  # fmt: skip
    assert {key: told[key] for key in ("contract", "as_of", "engine")} == {
        "contract": 1, "as_of": "2026-03-01T09:00:00+00:00", "engine": "duckdb",
    }  # fmt: skip
    lines = told["waterfall"]
    assert [line["line"] for line in lines] == ["base", "who 1", "who 2", "except 1", "one_per", "keep"]
    assert lines[0]["left"] == len(world.customers)
    assert all(before["left"] - line["lost"] == line["left"] for before, line in pairwise(lines))
    table = pq.read_table(ids)
    assert table.column_names == ["customer_id"]
    oracle = Oracle(world, TARGET["segments"], TARGET["metrics"])
    meant = oracle.ids({"all": [*TARGET["target"]["who"], {"none": TARGET["target"]["except"]}]})
    units = {oracle.rows[customer].get("household") or customer for customer in meant}
    assert (lines[-3]["left"], lines[-2]["left"]) == (len(meant), len(units))
    assert set(table["customer_id"].to_pylist()) <= meant
    assert told["size"] == lines[-1]["left"] == table.num_rows == 5 < len(units)
    assert told["sql"].startswith(("SELECT", "WITH"))


def test_why_somebody_is_in_or_out(shop: Any) -> None:
    root, world, _, _ = shop
    oracle = Oracle(world, TARGET["segments"], TARGET["metrics"])
    who = TARGET["target"]["who"]
    one = next(c for c in sorted(oracle.rows) if oracle.holds(who[0], c) and not oracle.holds(who[1], c))
    told = answer(
        "audience", "-", "--as-of", "2026-03-01T09:00", "--explain", one, "--project", str(root),
        given=yaml.safe_dump(TARGET),
    )["explain"]  # fmt: skip
    assert (told["customer_id"], told["in"]) == (one, False)
    words = {line["line"]: (line["keeps"], line["decides"]) for line in told["lines"]}
    assert words["who 1"] == (True, False)
    assert words["who 2"] == (False, True)
    assert words["keep"] == (None, False)
    unreadable = campanile(
        "audience", "-", "--explain", "\udcff", "--json", "--project", str(root), given=yaml.safe_dump(TARGET)
    )
    assert unreadable.returncode == 1
    assert "not UTF-8" in json.loads(unreadable.stdout)["error"]
    unknown = campanile("audience", "-", "--explain", "nobody", "--project", str(root), given=yaml.safe_dump(TARGET))
    assert (unknown.returncode, 'no customer "nobody"' in unknown.stderr) == (1, True)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("ordr.csv", "customer_id,at\n", 'ordr.csv: no table "ordr"; did you mean "order"?'),
        ("order.csv", "customer_id,at,amont\n", 'order.csv:1: order has no column "amont"; did you mean "amount"?'),
        ("order.csv", "customer_id,amount\n", "order.csv:1: order needs at; add that column"),
        ("order.csv", "customer_id,at,at\n", 'order.csv:1: there are 2 columns "at"; keep one'),
        ("notes.txt", "hello", "no table here"),
    ],
)
def test_a_folder_that_cannot_be_imported_is_told_so(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / name).write_text(text)
    answer("init", str(tmp_path / "shop"))
    done = campanile("import", str(tmp_path / "tables"), "--project", str(tmp_path / "shop"))
    assert done.returncode == 1
    assert said in done.stderr


def test_init_overwrites_nothing_and_refuses_nonsense(tmp_path: Path) -> None:
    answer("init", str(tmp_path / "shop"))
    assert campanile("init", str(tmp_path / "shop")).returncode == 2
    refused = campanile("init", str(tmp_path / "other"), "--currency", "yuan")
    assert refused.returncode == 1
    assert "currency" in refused.stderr
    assert not (tmp_path / "other" / "campanile.yaml").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nowhere.yaml",), 1, "nowhere.yaml: no such file"),
        (("--many", "nowhere.yaml"), 1, "nowhere.yaml: no such file"),
        (("--many", "many.yaml", "--sql"), 2, "--sql and --explain are about one target"),
        (("--many", "many.yaml", "--explain", "C1"), 2, "--sql and --explain are about one target"),
        (("--many", "many.yaml", "--ids", "many.yaml/ids.parquet"), 1, "many.yaml/ids.parquet: "),
    ],
)
def test_a_slip_of_the_pen_is_told_before_the_database_is_opened(
    tmp_path: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    answer("init", str(tmp_path / "shop"))
    (tmp_path / "many.yaml").write_text("- {name: a, condition: {age: known}}\n", encoding="utf-8")
    given = [str(tmp_path / word) if ".yaml" in word else word for word in words]
    done = campanile("audience", *given, "--project", str(tmp_path / "shop"), "--json")
    assert done.returncode == code
    assert said in json.loads(done.stdout)["error"]
    assert not list((tmp_path / "shop").rglob("*.duckdb"))


def test_a_place_that_is_no_folder_of_tables_is_told_so(tmp_path: Path) -> None:
    """Not as a table that nobody maps."""
    answer("init", str(tmp_path / "shop"))
    (tmp_path / "order.csv").write_text("customer_id,at\n", encoding="utf-8")
    for place, said in (("nowhere", "no such folder"), ("order.csv", "is a file; give the folder that holds it")):
        done = campanile("import", str(tmp_path / place), "--project", str(tmp_path / "shop"))
        assert (done.returncode, said in done.stderr) == (2, True)
    twice = campanile("import", str(tmp_path), str(tmp_path), "--project", str(tmp_path / "shop"))
    assert (twice.returncode, "import one folder at a time" in twice.stderr) == (2, True)


@pytest.mark.parametrize(
    ("every", "said"),
    [("5h", "less than a day"), ("-1w", "cannot read"), ("99999y", "longer than a hundred"), ("99999d", "longer than")],
)
def test_past_profiles_lie_apart_by_a_day_to_a_hundred_years(tmp_path: Path, every: str, said: str) -> None:
    answer("init", str(tmp_path))
    done = campanile("profile", "--backfill", "2026-01-01", "--every", every, "--project", str(tmp_path), "--json")
    assert (done.returncode, said in json.loads(done.stdout)["error"]) == (2, True)


_CAMPAIGN = """\
objective: growth
offer: {kind: content}
timing: {start: 2026-03-05, at: "10:30", quiet: "21:00-09:00"}
channel: {use: email, message: hello}
"""
_EXPERIMENT = """\
hypothesis: The mail lifts the 30-day purchase rate.
split: {control: 20%, treatment: 80%}
primary: {metric: response_rate, window: 30d, baseline: 4%, expect: 6%}
decide: {roll_out: profit per customer above 0 at 95%, stop: upper limit below 0.3 points}
"""


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.exists(), reason="the reference ../shared/reference is not here")
def test_every_scenario_is_a_campaign_that_can_be_checked_and_planned(shop: Any, tmp_path: Path) -> None:
    """Committed, in a shop whose customers can be written to; what is lost is what `campanile audience` says."""
    root = tmp_path / "shop"
    shutil.copytree(shop[0], root)
    reachable_too(shop[0].parent / "tables" / "customers.parquet", tmp_path / "tables", root)
    settings = root / "campanile.yaml"
    sender = "{via: outbox, sender: Shop <news@mail.example>, unsubscribe_mailto: stop@mail.example}"
    text = settings.read_text(encoding="utf-8").replace("email: {via: outbox}", f"email: {sender}")
    settings.write_text(text.replace("shop:\n", "shop:\n  base_url: https://t.example\n"), encoding="utf-8")
    for part in ("subject", "html", "txt"):
        (root / "templates" / f"hello.{part}.j2").write_text("Hello {{ unsubscribe_link }}", encoding="utf-8")
    names = []
    for number, target in enumerate(scenarios(), 1):
        names.append(f"scenario-{number}")
        committed = _CAMPAIGN + yaml.safe_dump({"target": target}, allow_unicode=True)
        (root / "campaigns" / f"{names[-1]}.yaml").write_text(committed, encoding="utf-8")
        (root / "experiments" / f"{names[-1]}.yaml").write_text(_EXPERIMENT, encoding="utf-8")
    at = ["--project", str(root), "--as-of", "2026-03-01T09:00", "--json"]
    assert len(names) == 8
    checked = CliRunner().invoke(cli, ["check", "--project", str(root), "--json"])
    assert json.loads(checked.output)["problems"] == []
    reached = 0
    for name in names:
        found = CliRunner().invoke(cli, ["audience", str(root / "campaigns" / f"{name}.yaml"), *at])
        waterfall = json.loads(found.stdout)
        planned = CliRunner().invoke(cli, ["plan", name, *at])
        if not waterfall["size"]:
            assert "nobody" in str(planned.exception), planned.exception
            continue
        assert planned.exit_code == 0, (name, planned.exception)
        told = json.loads(planned.stdout)
        reached += 1
        assert told["audience"] == waterfall["size"] == sum(told["arms"].values())
        lost = {step["line"]: step["lost"] for step in waterfall["waterfall"] if step["lost"]}
        assert sum(lost.values()) == sum(told["excluded"].values())
    assert reached >= 5, "or the shop has nobody to plan for"


def reachable_too(customers: Path, folder: Path, root: Path) -> None:
    """Imports the customers once more, each with an address of their own and consent."""
    folder.mkdir()
    table = pq.read_table(customers)
    new = {
        "email": [f"c{number}@mail.example" for number in range(len(table))],
        **dict.fromkeys(("email_ok", "email_consent"), [True] * len(table)),
        **dict.fromkeys(("do_not_contact", "erasure_requested", "global_holdout"), [False] * len(table)),
    }
    for name, values in new.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    pq.write_table(table, folder / "customers.parquet")
    assert CliRunner().invoke(cli, ["import", str(folder), "--project", str(root)]).exit_code == 0
