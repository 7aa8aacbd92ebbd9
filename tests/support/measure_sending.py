"""Speed and memory of sending over SMTP to the sink in a process of its own, beside bare aiosmtplib in the same run.

PYTHONPATH=tests python -m support.measure_sending --messages 20000
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine
from pathlib import Path

import aiosmtplib

from campanile.channels import SmtpChannel
from campanile.events import Message, MessageState, PlannedMessage
from campanile.ledger import Ledger
from campanile.sending.send import send_batch
from campanile.spec.settings import ChannelSettings
from support.plans import NOW, planned, register

BODY = (b"x" * 76 + b"\r\n") * 190
BATCH = 5_000


def mail(message: PlannedMessage) -> Message:
    head = f"Message-ID: <{message.message_id}@m.example.com>\r\nTo: {message.address}\r\nSubject: Hello\r\n\r\n"
    return Message(message.message_id, message.channel, message.address, mime=head.encode() + BODY)


async def campanile(folder: Path, settings: ChannelSettings, messages: int, in_flight: int) -> None:
    with Ledger.open(folder / "ledger.sqlite") as ledger:
        plan = ledger.plan("winback")
        assert plan is not None
        channel = SmtpChannel(settings)
        await channel.open()
        for batch in ledger.batches(plan.plan_id):
            await send_batch(
                ledger,
                plan,
                batch,
                channel=channel,
                render=mail,
                now=lambda: NOW,
                stop=asyncio.Event(),
                in_flight=in_flight,
            )
        await channel.close()
        assert ledger.tally(plan.plan_id)[MessageState.ACCEPTED] == messages


async def reference(settings: ChannelSettings, messages: int) -> None:
    async def line(count: int) -> None:
        smtp = aiosmtplib.SMTP(hostname=settings.host, port=settings.port, start_tls=False, local_hostname="x")
        await smtp.connect()
        for number in range(count):
            await smtp.sendmail("news@m.example.com", [f"c{number}@mail.example"], BODY)
        await smtp.quit()

    await asyncio.gather(*(line(messages // settings.connections) for _ in range(settings.connections)))


def timed(name: str, messages: int, work: Coroutine[None, None, None]) -> None:
    wall, cpu = time.monotonic(), time.process_time()
    asyncio.run(work)
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{name}: {messages / wall:,.0f} messages/s, {cpu / messages * 1e6:,.0f} us CPU per message, {rss} MB",
        flush=True,
    )


def main() -> None:
    """Prints both figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--per-connection", type=int, default=4)
    parser.add_argument("--pause", default="0")
    parser.add_argument("--no-reference", action="store_true")
    options = parser.parse_args()
    sink = Path(__file__).with_name("smtp_sink.py")
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen([sys.executable, sink, "--pause", options.pause], stdout=subprocess.PIPE, text=True) as server,
    ):
        assert server.stdout is not None
        settings = ChannelSettings(
            via="smtp",
            host="127.0.0.1",
            port=int(server.stdout.readline()),
            security="none",
            sender="news@m.example.com",
            connections=options.connections,
        )
        try:
            with Ledger.open(Path(folder) / "ledger.sqlite") as ledger:
                register(ledger, (planned(n, batch=n // BATCH) for n in range(options.messages)))
            in_flight = options.connections * options.per_connection
            timed("campanile", options.messages, campanile(Path(folder), settings, options.messages, in_flight))
            if not options.no_reference:
                timed("aiosmtplib alone", options.messages, reference(settings, options.messages))
        finally:
            server.kill()


if __name__ == "__main__":
    main()
