"""The plan handed to a mail server, by the product and by a bare loop of aiosmtplib."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from email.utils import parseaddr
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

from benchmarks.harness import paused
from benchmarks.rendering import letters
from benchmarks.shop import CAMPAIGN, PLANNED, SENT, SENT_AT, home, open_project
from benchmarks.sink import running_sink

if TYPE_CHECKING:
    from aiosmtplib import SMTP

#: Finished mails that the bare loop sends again and again.
_READY = 500


def ours(size: int) -> Callable[[], Any]:
    """`run_campaign` over a plan of which nothing is sent yet; answers with the mails that the server took."""
    from campanile.sending.run import run_campaign

    for file in home(size).glob(f"{SENT}*"):
        file.unlink()
    shutil.copyfile(home(size) / PLANNED, home(size) / SENT)
    (home(size) / SENT).chmod(0o600)
    stack = ExitStack()
    sink = stack.enter_context(running_sink())
    project = open_project(size, ledger=SENT, port=sink.port)

    def work() -> Any:
        began = time.monotonic()
        report = run_campaign(
            project,
            CAMPAIGN,
            mode="send",
            now=lambda: SENT_AT + timedelta(seconds=time.monotonic() - began),
            moved=True,  # it is a copy of the planned one
        )
        with paused(), stack:
            return [report.status["accepted"], sink.stop().mails]

    return work


def bare(size: int) -> Callable[[], Any]:
    """As many finished mails over as many connections, nothing written down; answers with the mails the server took."""
    import asyncio

    from campanile.ledger.store import Ledger

    project = open_project(size)
    settings = project.settings.channels["email"]
    sender = parseaddr(settings.sender)[1]
    ready = [(letter.to, letter.mime) for letter in letters(size, _READY)]
    with Ledger.open(project.ledger_path) as ledger:
        plan = ledger.plan(CAMPAIGN)
        assert plan is not None
        count = ledger.tally(plan.plan_id).planned
    stack = ExitStack()
    sink = stack.enter_context(running_sink())

    def work() -> Any:
        mails = islice(cycle(ready), count)
        asyncio.run(_send(mails, sender, sink.port, settings.connections))
        with paused(), stack:
            return [count, sink.stop().mails]

    return work


async def _send(mails: Iterator[tuple[str, bytes]], sender: str, port: int, connections: int) -> None:
    import asyncio

    import aiosmtplib

    lines = [aiosmtplib.SMTP(hostname="127.0.0.1", port=port, start_tls=False) for _ in range(connections)]
    await asyncio.gather(*(_one_line(line, mails, sender) for line in lines))


async def _one_line(line: SMTP, mails: Iterator[tuple[str, bytes]], sender: str) -> None:
    async with line:
        for to, mail in mails:
            await line.sendmail(sender, [to], mail)
