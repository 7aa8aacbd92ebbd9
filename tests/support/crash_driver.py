"""Kills senders. A process of its own: it forks children that have everything imported, so that they start at once.

Each child runs one action on a project and ends; most of them are killed by SIGKILL at a random moment before.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

from campanile.events import PlannedMessage
from campanile.sending.run import run_campaign
from campanile.spec.project import load_project
from support.plans import NOW, planned
from support.sent_project import write_plan

#: A sender lives at most this many mails longer than the one before.
STRIDE = 12
#: Fates of recipients: most are fine; the rest keep the sender's other paths busy while it is being killed.
FATES = ("fine",) * 16 + ("dropdot", "rcpt550", "once-rcpt451", "once-dropdata")


def register(root: Path, count: int, *, seconds: float = 0.0) -> None:
    """Registers the plan, taking its time over it; a file says when it has begun."""

    def messages() -> Iterator[PlannedMessage]:
        (root / "begun").touch()
        for n in range(count):
            time.sleep(seconds / count)
            yield planned(n, address=f"{FATES[n % len(FATES)]}.{n}@mail.example")

    write_plan(load_project(root), messages())


def send(root: Path, minute: int) -> None:
    moment = NOW + timedelta(minutes=minute)
    run_campaign(load_project(root), "winback", mode="send", now=lambda: moment)


class Driver:
    """Starts children and kills them."""

    def __init__(self, root: Path, record: Path, seed: int) -> None:
        self.root, self.record = root, record
        self.random = random.Random(seed)
        self.kills = 0

    def seen(self) -> int:
        """How far the other end has got."""
        if self.record.is_dir():
            return sum(1 for _ in self.record.rglob("*.eml"))
        return self.record.read_bytes().count(b"\n") if self.record.exists() else 0

    def child(self, action: Callable[[], None]) -> int:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                action()
                status = 0
            finally:
                os._exit(status)
        return pid

    def killed(self, action: Callable[[], None], wait: Callable[[], bool], most: float, then: float = 0.004) -> None:
        """Kills the child up to `then` seconds after what it waits for, or after `most` seconds."""
        pid = self.child(action)
        end = time.monotonic() + most
        while not wait() and time.monotonic() < end:
            time.sleep(0.0005)
        time.sleep(self.random.random() * then)
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        self.kills += os.WIFSIGNALED(status)

    def finished(self, action: Callable[[], None]) -> None:
        _, status = os.waitpid(self.child(action), 0)
        assert os.waitstatus_to_exitcode(status) == 0, "the last child failed"

    def kill_while_registering(self, count: int, kills: int) -> None:
        begun = self.root / "begun"
        for _ in range(kills):
            begun.unlink(missing_ok=True)
            self.killed(lambda: register(self.root, count, seconds=1.0), begun.exists, 60.0, self.random.random())
        self.finished(lambda: register(self.root, count))

    def kill_while_sending(self, kills: int, stride: int) -> None:
        for minute in range(kills):
            # Most die after some mails more, some by the clock alone: while they open, recover or say goodbye.
            goal = self.seen() + self.random.randrange(stride)
            by_clock = self.random.random() < 0.2
            most = self.random.random() * 0.2 if by_clock else 5.0
            self.killed(
                lambda: send(self.root, minute),  # noqa: B023 - called before the next turn
                lambda: not by_clock and self.seen() > goal,  # noqa: B023
                most,
            )
        for minute in (kills + 20, kills + 40):
            self.finished(lambda: send(self.root, minute))  # noqa: B023


def main() -> None:
    """Prints what was killed, and how much the other end saw before and after a last run that has nothing to send."""
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("record", type=Path)
    parser.add_argument("--messages", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--register-kills", type=int, default=2)
    parser.add_argument("--kills", type=int, default=10)
    options = parser.parse_args()
    driver = Driver(options.root, options.record, options.seed)
    driver.kill_while_registering(options.messages, options.register_kills)
    registering = driver.kills
    driver.kill_while_sending(options.kills, stride=STRIDE)
    before = driver.seen()
    driver.finished(lambda: send(options.root, 500))
    sending = driver.kills - registering
    print(json.dumps({"registering": registering, "sending": sending, "before": before, "after": driver.seen()}))


if __name__ == "__main__":
    main()
