"""Senders killed at any moment: nobody gets a mail twice, nobody is lost, and everything adds up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from campanile.ledger import Ledger, tables
from campanile.spec.project import Project
from support.sent_project import write_project

pytestmark = pytest.mark.crash

TESTS = Path(__file__).parents[1]
MESSAGES = 400
#: Two connections, four attempts each.
IN_FLIGHT = 8


@pytest.fixture(scope="module")
def sink(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """Port of a mail server in a process of its own, and the file in which it records every mail it has taken."""
    record = tmp_path_factory.mktemp("sink") / "taken.jsonl"
    command = [sys.executable, str(TESTS / "support" / "smtp_sink.py"), "--record", str(record), "--pause", "0.001"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield int(server.stdout.readline()), record
        finally:
            server.kill()


def drive(root: Path, record: Path, *options: str) -> dict[str, int]:
    """What the driver says of its kills."""
    command = [sys.executable, "-m", "support.crash_driver", str(root), str(record), *options]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    found: dict[str, int] = json.loads(done.stdout)
    return found


def states(project: Project) -> dict[str, str]:
    """State by address, of every message of the plan; its counts must add up to the plan."""
    table = tables.message.c
    with Ledger.open(project.ledger_place) as ledger:
        plan = ledger.plan("winback")
        assert plan is not None
        assert plan.state == "sent"
        tally = ledger.tally(plan.plan_id)
        assert tally.planned == MESSAGES
        assert tally.adds_up
        with ledger.reading() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
            rows = connection.execute(select(table.address, table.state, table.reason)).all()
    assert all(row.reason for row in rows)
    return {row.address: row.state for row in rows}


KILLS: Counter[str] = Counter()


@pytest.mark.parametrize("seed", range(4))
def test_over_smtp_at_most_one_mail_each(sink: tuple[int, Path], tmp_path: Path, seed: int) -> None:
    port, record = sink
    record.unlink(missing_ok=True)
    project = write_project(tmp_path, port=port)
    with (tmp_path / "campanile.yaml").open("a", encoding="utf-8") as file:
        file.write("\nsending: {breakers: {bounces: {above: 50%, of: 200}}}\n")  # one in twenty is refused on purpose
    found = drive(tmp_path, record, "--seed", str(seed), "--kills", "13")
    KILLS.update(registering=found["registering"], sending=found["sending"])
    taken = Counter(json.loads(line)["to"] for line in record.read_text().splitlines())
    state = states(project)

    assert max(taken.values()) == 1, "nobody gets it twice"
    for address, found_state in state.items():
        fate = address.split(".")[0]
        possible = {"accepted": {1}, "rejected": {0}, "unknown": {0, 1}}[found_state]
        assert taken[address] in possible, f"{fate} is {found_state} and arrived {taken[address]} times"
        if fate == "rcpt550":
            assert found_state in ("rejected", "unknown")
    lost = [address for address, found_state in state.items() if found_state == "unknown"]
    cut = sum(address.startswith("dropdot.") for address in lost)
    assert len(lost) - cut <= found["sending"] * IN_FLIGHT
    assert found["before"] == found["after"], "a finished campaign sends nothing more"
    assert sum(taken.values()) >= MESSAGES // 2, "the kills left enough to look at"


def test_into_the_outbox_every_mail_once(tmp_path: Path) -> None:
    project = write_project(tmp_path)
    found = drive(tmp_path, project.outbox_dir, "--seed", "7", "--messages", str(MESSAGES), "--kills", "8")
    KILLS.update(registering=found["registering"], sending=found["sending"])
    assert set(states(project).values()) == {"accepted"}, "writing a file again is harmless, so nothing is unknown"
    assert found["before"] == found["after"] == MESSAGES


def test_enough_were_killed() -> None:
    """Runs last: the tests above would prove nothing if their children had ended by themselves."""
    if not KILLS:
        pytest.skip("the tests that kill did not run in this process")
    assert KILLS["sending"] >= 50
    assert KILLS["registering"] >= 8
