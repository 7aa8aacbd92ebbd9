"""A shorter run of `make crash`: each kind of death on each ledger, and a proof that the trial can fail."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from campanile.ledger import Mode, repair
from campanile.sending import recover
from crash import stories
from crash.run import PLAY, table
from crash.stories import Account, Stage
from crash.wal import committed
from support.ledgers import KINDS, postgres_schema


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[int, Path]]]:
    folder = tmp_path_factory.mktemp("servers")
    with stories.mail_server(folder) as mail, stories.web_server(folder) as web:
        yield {"smtp": mail, "outbox": mail, "sendgrid": web}


@pytest.fixture
def stage(servers: dict[str, tuple[int, Path]], tmp_path: Path) -> Iterator[Callable[[str, str], Stage]]:
    with ExitStack() as stack:

        def make(ledger: str, channel: str) -> Stage:
            schema = stack.enter_context(postgres_schema()) if ledger == "postgres" else ""
            found = Stage(tmp_path / "shop", ledger, channel, *servers[channel], schema, random.Random(11))
            found.set()
            return found

        yield make


#: A sender may be through before its death comes: then the story is told again.
TRIES = 6


def check(account: Account) -> None:
    assert account.kills > 0, "somebody died"
    assert (account.twice, account.lost, account.uncounted, account.beyond) == (0, 0, 0, 0)
    assert account.accepted + account.rejected + account.unknown + account.aside == account.messages


CASES = [
    pytest.param(story, ledger, channel, id=f"{kind}, {ledger}, {channel}")
    for kind, story, ledgers, channels, _ in PLAY
    for ledger in ledgers
    for channel in channels
]


@pytest.mark.crash
@pytest.mark.parametrize(("story", "ledger", "channel"), CASES)
def test_nobody_gets_it_twice_and_nobody_is_lost(
    stage: Callable[[str, str], Stage], story: Callable[[Stage, int], Account], ledger: str, channel: str
) -> None:
    here, account = stage(ledger, channel), Account()
    for _ in range(TRIES):
        account.add(story(here, 4))
        if account.kills:
            break
    check(account)


@pytest.mark.crash
@pytest.mark.parametrize("ledger", KINDS)
@pytest.mark.parametrize("number", [2, 4, 6])
def test_at_a_commit(stage: Callable[[str, str], Stage], ledger: str, number: int) -> None:
    here, account = stage(ledger, "smtp"), Account()
    for after in (False, True):
        account.add(stories.at_commit(here, number, after=after))
    check(account)


@pytest.mark.crash
def test_the_trial_finds_a_sender_that_sends_again_what_it_does_not_know(
    stage: Callable[[str, str], Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    careless, real = Mode("smtp", idempotent=True), repair.recover
    monkeypatch.setattr(recover, "recover_claims", lambda ledger, plan, _, now: real(ledger, plan, careless, now))
    here, account = stage("sqlite", "smtp"), Account()
    for _ in range(3):
        account.add(stories.at_random(here, 5))
    assert account.twice > 0


def test_what_sqlite_has_promised_of_its_log_ends_at_the_last_commit() -> None:
    """A header of 32 bytes, frames of 24 and a page; the size of the database stands in the frame of a commit."""

    def frame(size: int, salts: bytes = b"saltsalt") -> bytes:
        return struct.pack(">II", 1, size) + salts + bytes(8) + bytes(512)

    head = struct.pack(">II", 0x377F0682, 3007000) + struct.pack(">I", 512) + bytes(4) + b"saltsalt" + bytes(8)
    log = head + frame(0) + frame(5)
    assert committed(log) == len(log)
    assert committed(log + frame(0)) == len(log)
    assert committed(log + frame(0) + frame(6)[:100]) == len(log)
    assert committed(log + frame(7, b"old salt")) == len(log), "a frame of an earlier turn of the log"
    assert committed(head) == len(head)


def test_the_table_adds_up() -> None:
    one, total = Account(kills=3, messages=40, accepted=39, unknown=1, taken_unknown=1), Account()
    total.add(one)
    total.add(one)
    lines = table([(("at random moments", "sqlite", "smtp"), one)], total)
    assert lines[2] == "| at random moments | sqlite | smtp | 3 | 40 | 39 | 0 | 1 (1) | 0 | 0 | 0 | 0 |"
    assert lines[3].startswith("| **all** |  |  | 6 | 80 | 78 |")
