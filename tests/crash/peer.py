"""The same deaths, met by the model of listmonk's algorithm."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from benchmarks import listmonk_model

from crash.stories import KIND, MESSAGES, UNKIND, Account, Stage, killed

TIMEOUT = 0.3


def on(stage: Stage, deaths: int) -> Iterator[tuple[str, Account]]:
    """Kind of death, and what came of it."""
    for kind, fates, processes in (
        ("at random moments", KIND, 1),
        ("provider hangs, cuts, lies", UNKIND, 1),
        ("two processes at once", KIND, 2),
    ):
        account = Account()
        while account.kills < deaths:
            account.add(_story(stage, fates, processes))
        yield kind, account


def _story(stage: Stage, fates: tuple[str, ...], processes: int) -> Account:
    """One campaign: its senders die once, and one more runs to its end."""
    path = stage.root / "listmonk.sqlite"
    for old in stage.root.glob("listmonk.sqlite*"):
        old.unlink()
    stage.record.write_text("")
    addresses = [f"{stage.random.choice(fates)}.{n}@mail.example" for n in range(MESSAGES)]
    listmonk_model.prepare(path, addresses)
    pids = [_start(path, stage.port) for _ in range(processes)]
    time.sleep(stage.random.random() * 0.12)
    kills = sum(killed(pid) for pid in pids)
    for _ in range(3):
        os.waitpid(_start(path, stage.port), 0)
        if listmonk_model.is_finished(path):
            break
    return _account(stage, addresses, kills)


def _start(path: Path, port: int) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            with suppress(Exception):
                listmonk_model.run(path, port, TIMEOUT)
        finally:
            os._exit(0)
    return pid


def _account(stage: Stage, addresses: list[str], kills: int) -> Account:
    """It keeps no account of recipients: what it does not know of itself is `uncounted`."""
    taken = stage.taken_mails()
    never = [address for address in addresses if not taken[address] and not address.startswith("rcpt550")]
    return Account(
        kills=kills,
        stories=1,
        messages=len(addresses),
        accepted=sum(taken[address] > 0 for address in addresses),
        twice=sum(taken[address] > 1 for address in addresses),
        lost=len(never),
        uncounted=len(addresses),
    )
