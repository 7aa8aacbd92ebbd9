"""Flows on a real Prefect server: they do what the command line does, show it, and tell Prefect nobody's address."""

from __future__ import annotations

import base64
import json
import re
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from browser.prefect_world import ROOT, PrefectServer, SmallShop, prefect_server, process, small_shop, wait_for
from campanile.cli.main import cli
from campanile.events import MessageState
from campanile.ledger.store import Ledger
from support.smtp_sink import Sink, running_sink

DRIVE = Path(__file__).with_name("drive.py")
STATES = {state.value for state in MessageState}


@dataclass
class World:
    """What the tests of this file share: everything below was run once."""

    server: PrefectServer
    shop: SmallShop
    sink: Sink
    told: dict[str, list[Any]]
    sent: Counter[str]

    def runs(self, name: str) -> list[dict[str, Any]]:
        """Flow runs of that name, the first one first."""
        return list(
            self.server.post("/flow_runs/filter", {"flow_runs": {"name": {"any_": [name]}}, "sort": "START_TIME_ASC"})
        )

    def artifacts(self, key: str) -> list[Any]:
        """Contents of every version of an artifact, the newest first."""
        found = self.server.post("/artifacts/filter", {"artifacts": {"key": {"any_": [key]}}, "sort": "CREATED_DESC"})
        return [json.loads(each["data"]) if each["type"] == "table" else each["data"] for each in found]

    def status(self, campaign: str) -> dict[str, int]:
        """The account as the command line prints it."""
        return counts(json.loads(campanile(self.shop, "status", campaign, "--json")))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A shop whose campaigns were planned, sent, read and made to fail by flows."""
    folder = tmp_path_factory.mktemp("flows")
    campaigns = {"spring": (8, "30d"), "late": (10, "3d"), "halted": (7, "30d")}
    with running_sink() as sink:
        shop = small_shop(folder / "project", port=sink.port, campaigns=campaigns)
        with prefect_server(folder / "prefect") as server:
            name, address, phone = shop.contact_data[:3]
            told = drive(
                server, shop, "schedule", "send:spring", "refresh",
                f"break:spring:{name} {address} {phone}", f"refuse:spring:{address} {phone}",
                "dry-run:spring", "send:spring", "send:spring", "dry-run:spring", "dry-run:late", "send:late",
                "read:spring",
            )  # fmt: skip
            yield World(server, shop, sink, told, Counter(sink.recipients()))


def drive(server: PrefectServer, shop: SmallShop, *steps: str) -> dict[str, list[Any]]:
    """What each run of each step gave, one after the other in a process beside the server."""
    log = server.home / "flows.log"
    with log.open("a") as errors:
        done = subprocess.run(
            [sys.executable, str(DRIVE), *steps], env={**server.environment, **shop.environment}, cwd=ROOT,
            stdout=subprocess.PIPE, stderr=errors, check=True, text=True, timeout=300,
        )  # fmt: skip
    told: dict[str, list[Any]] = {}
    for step, result in json.loads(done.stdout.rpartition("RESULT")[2]):
        told.setdefault(step.rpartition(":")[0] if "inbox" in step else step, []).append(result)
    return told


def campanile(shop: SmallShop, *words: str) -> str:
    """What the command line prints."""
    result = CliRunner().invoke(cli, [*words, "--project", str(shop.root)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def counts(account: Mapping[str, Any]) -> dict[str, int]:
    return {state: account[state] for state in ("planned", *STATES)}


def test_send_without_a_plan_says_what_to_do(world: World) -> None:
    assert world.told["send:spring"][0] == "FlowFailure: spring is not planned; run `campanile plan spring`"
    assert [run["state"]["type"] for run in world.runs("spring-send")][:2] == ["FAILED", "COMPLETED"]


def test_dry_run_shows_the_plan_and_sends_nothing(world: World) -> None:
    planned = world.told["dry-run:spring"][0]
    assert planned["planned"] == planned["due"] == 240
    assert "treatment            240" in world.artifacts("plan-spring")[-1]
    assert world.artifacts("waterfall-spring")[-1][0] == {
        "line": "base", "left": 300, "lost": 0, "text": "everyone in the customer database",
    }  # fmt: skip
    assert "now 240 would go out" in world.artifacts("dry-run-spring")[-1]


def test_send_accounts_for_every_message(world: World) -> None:
    account = world.told["send:spring"][1]
    assert account["planned"] == 240 == sum(account[state] for state in STATES)
    assert account["accepted"] + account["unknown"] == len(world.sent) == sum(world.sent.values())
    assert account["rejected"] > 0
    assert account["unknown"] > 0
    shown = {row["state"]: row["messages"] for row in world.artifacts("status-spring")[0]}
    assert shown == account == world.status("spring")
    assert world.artifacts("progress-spring")[0] == 100.0


def test_a_second_run_of_any_kind_sends_nothing(world: World) -> None:
    """The same plan, the same account, whoever runs it."""
    plan, before = plan_id(world.shop, "spring"), world.status("spring")
    shown = world.artifacts("plan-spring")
    assert len(shown) >= 2
    assert all(f"Plan {plan}" in text for text in shown)
    cli = json.loads(campanile(world.shop, "run", "spring", "--mode", "send", "--json"))
    assert world.told["send:spring"][2] == world.told["dry-run:spring"][1] == counts(cli) == before
    assert Counter(world.sink.recipients()) == world.sent
    assert plan_id(world.shop, "spring") == plan


def test_a_stale_schedule_cannot_send_late(world: World) -> None:
    """However late a run starts, messages past their deadline stay home."""
    account = world.told["send:late"][0]
    assert account["expired"] == account["planned"] == 240


def test_the_readout_is_an_artifact_with_its_charts(world: World) -> None:
    text = world.artifacts("readout-spring")[0]
    assert world.told["read:spring"][0] in {"roll_out", "extend", "stop", "no_verdict"}
    assert text.startswith("# spring: ")
    assert len(charts(text)) >= 2
    assert all(chart.startswith("<svg xmlns=") and "var(--surface)" in chart for chart in charts(text))
    assert (world.shop.home / "readouts" / "spring" / "readout.html").exists()


def test_a_failure_is_a_sentence_without_its_cause(world: World) -> None:
    broken, refused = world.told["break:spring"][0], world.told["refuse:spring"][0]
    assert re.fullmatch(
        r"FlowFailure: ValueError at run_campaign\.py:\d+; do the same with `campanile` in a terminal to see it all",
        broken,
    )
    assert refused.startswith("FlowFailure: the server says 550 no mailbox ")
    logs = "\n".join(
        line["message"] for line in world.server.post("/logs/filter", {"limit": 200, "sort": "TIMESTAMP_ASC"})
    )
    assert f"\n{broken.removeprefix('FlowFailure: ')}" in logs
    assert "flow_engine.py" not in logs
    assert "Traceback" not in logs
    assert "cannot reach [address] [phone]" in logs, "whatever a library logs passes the filter"
    assert "The above exception" not in logs
    assert "During handling" not in logs


def test_a_schedule_makes_runs(world: World) -> None:
    """With SQLAlchemy 2.1 the scheduler of Prefect 3.8.8 fails in silence; hence that pin."""

    def scheduled() -> Any:
        wanted = {"deployment_id": {"any_": world.told["schedule"]}, "state": {"type": {"any_": ["SCHEDULED"]}}}
        return world.server.post("/flow_runs/filter", {"flow_runs": wanted})

    assert wait_for(scheduled, seconds=8, what="a scheduled run")[0]["auto_scheduled"]


def test_sigterm_stops_gently_and_the_command_line_goes_on(world: World) -> None:
    """The command line plans, a flow sends and is told to stop, the command line sends the rest: to everybody once."""
    json.loads(campanile(world.shop, "plan", "halted", "--json"))
    plan, before = plan_id(world.shop, "halted"), len(world.sink.recipients())
    world.sink.settings.pause = 0.05
    command = [sys.executable, str(DRIVE), "send:halted"]
    with process(
        command, {**world.server.environment, **world.shop.environment}, world.server.home / "halted.log"
    ) as flow:
        wait_for(lambda: len(world.sink.recipients()) > before + 10, seconds=90, what="the first mails")
        flow.send_signal(signal.SIGTERM)
        flow.wait(40)
    world.sink.settings.pause = 0.0
    stopped, sure = world.status("halted"), len(world.sink.recipients()) - before
    assert stopped["claimed"] == 0
    assert stopped["due"] > 50
    assert stopped["accepted"] + stopped["unknown"] == sure
    assert world.runs("halted-send")[0]["state"]["type"] == "CRASHED"
    assert "stopped; run again to go on" in world.artifacts("send-halted")[0]
    wanted = {"logs": {"flow_run_id": {"any_": [world.runs("halted-send")[0]["id"]]}}, "limit": 200}
    logged = [line["message"] for line in world.server.post("/logs/filter", wanted)]
    assert any("stopped; run again to go on" in line for line in logged), logged
    done = counts(json.loads(campanile(world.shop, "run", "halted", "--mode", "send", "--json")))
    taken = world.sink.recipients()[before:]
    assert done["due"] == 0
    assert done["accepted"] + done["unknown"] == len(taken) == len(set(taken))
    lost = sum(address.startswith("dropdot") for address in taken)
    assert done["unknown"] == lost, "only answers that the server lost are unknown, none through the stop"
    assert plan_id(world.shop, "halted") == plan


def test_prefect_knows_nobody(world: World) -> None:
    """Promise 6: names, addresses and numbers of all customers are in none of Prefect's tables, files and logs."""
    known = world.shop.contact_data
    assert leaks(known, world.shop.home) >= set(world.shop.people[0].address.split()), "the search finds what is there"
    assert len(world.runs("spring-dry-run")) >= 3
    assert leaks(["spring", "FlowFailure"], world.server.home) == {"spring", "FlowFailure"}
    assert leaks(known, world.server.home) == set()
    assert leaks(known, world.shop.home / "readouts") == set()


def plan_id(shop: SmallShop, campaign: str) -> str:
    with Ledger.open(shop.home / "ledger.sqlite") as ledger:
        plan = ledger.plan(campaign)
        assert plan is not None
        return plan.plan_id


def charts(text: str) -> list[str]:
    """The images of a Markdown text; of one that is cut off, its beginning."""
    found = re.findall(r"data:image/svg\+xml;base64,([\w+/=]+)", text)
    return [base64.b64decode(each[: len(each) // 4 * 4]).decode("utf-8", "replace") for each in found]


def leaks(texts: Iterable[str], folder: Path) -> set[str]:
    """Those of the texts that stand in a file below the folder, in a cell of its databases, or in a chart."""
    everything = "\n".join(contents(folder))
    everything += "".join(charts(everything))
    return {text for text in texts if text in everything or json.dumps(text)[1:-1] in everything}


def contents(folder: Path) -> Iterator[str]:
    """Every file as text, and every row of every SQLite database: a cell may lie on several pages of the file."""
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        yield path.read_bytes().decode("utf-8", "replace")
        if path.suffix in {".db", ".sqlite"}:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
                tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
                for table in tables:
                    for row in database.execute(f'SELECT * FROM "{table}"'):
                        yield "\x1f".join(
                            cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell) for cell in row
                        )
