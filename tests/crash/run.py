"""`make crash`: a thousand deaths of senders, and a table of what came of them.

`python -m crash.run --kills 1000 --write docs/method-crash-safety.md` (with tests/ on the path).
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from crash import peer, stories
from crash.stories import Account, Stage
from support.ledgers import postgres_schema

#: Kind of death, ledger and channel, and the account of all stories of it.
Row = tuple[tuple[str, str, str], Account]
#: Kinds of deaths, where they are possible, and the share of all kills that each gets.
PLAY: tuple[tuple[str, Callable[[Stage, int], Account], tuple[str, ...], tuple[str, ...], float], ...] = (
    ("at random moments", stories.at_random, ("sqlite", "postgres"), ("smtp", "outbox", "sendgrid"), 0.30),
    ("provider hangs, cuts, lies", stories.unkind, ("sqlite", "postgres"), ("smtp", "sendgrid"), 0.10),
    ("two processes at once", stories.two_at_once, ("sqlite", "postgres"), ("smtp", "outbox", "sendgrid"), 0.12),
    ("lease ends while it lives", stories.taken_for_dead, ("postgres",), ("smtp",), 0.06),
    ("clock jumps", stories.clock_jumps, ("sqlite", "postgres"), ("smtp",), 0.08),
    ("power cut", stories.power_cuts, ("sqlite",), ("smtp",), 0.08),
    ("database restarts", stories.restarts, ("postgres",), ("smtp",), 0.08),
)
#: Deaths in one story.
DEATHS = 10
#: Where the tables of some channels stand on the page.
MARKS = {
    "smtp,outbox": ("<!-- measured by make crash -->", "<!-- end -->"),
    "sendgrid": ("<!-- measured by make crash, over HTTP -->", "<!-- end of HTTP -->"),
}
HEAD = (
    "| deaths | ledger | channel | kills | messages | accepted | rejected | unknown (taken) | expired "
    "| twice | lost | uncounted |"
)


def main() -> int:
    """0 when nobody got a message twice, none is lost and all are counted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--channels", choices=list(MARKS), default=next(iter(MARKS)))
    parser.add_argument("--write", type=Path, help="The page whose table is renewed.")
    options = parser.parse_args()
    began = time.monotonic()
    rows, peers = play(options.kills, options.seed, options.channels.split(","))
    total = Account()
    for _, account in rows:
        total.add(account)
    lines = [*table(rows, total), "", conditions(options.seed, total, time.monotonic() - began)]
    lines += ["", *peer_table(peers)] if peers else []
    print("\n".join(lines))
    if options.write is not None:
        renew(options.write, MARKS[options.channels], lines)
    return int(bool(total.twice or total.lost or total.uncounted or total.beyond))


def play(kills: int, seed: int, channels: list[str]) -> tuple[list[Row], list[tuple[str, Account]]]:
    """What came of every kind of death on every stage, and, over SMTP, of a few of them by the other algorithm."""
    rows: list[Row] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crash-")))
        server = stories.web_server if channels == ["sendgrid"] else stories.mail_server
        port, record = stack.enter_context(server(folder))
        try:
            schema = stack.enter_context(postgres_schema())
        except pytest.skip.Exception as reason:
            print(f"without PostgreSQL: {reason}", file=sys.stderr)
            schema = ""
        dice = random.Random(seed)
        for ledger in ("sqlite", "postgres") if schema else ("sqlite",):
            for channel in channels:
                stage = Stage(folder / f"{ledger}-{channel}", ledger, channel, port, record, schema, dice)
                stage.set()
                for kind, account in on(stage, kills, channels):
                    print(f"{kind}, {ledger}, {channel}: {account}", file=sys.stderr, flush=True)
                    rows.append(((kind, ledger, channel), account))
        if "smtp" not in channels:
            return rows, []
        other = Stage(folder / "sqlite-smtp", "sqlite", "smtp", port, record, "", dice)
        return rows, list(peer.on(other, max(3, kills // 33)))


def on(stage: Stage, kills: int, channels: list[str]) -> Iterator[tuple[str, Account]]:
    """Every kind of death that is possible on this stage; of a run over these channels, its part of the kills."""
    possible = {kind: len(ledgers) * len(set(played) & set(channels)) for kind, _, ledgers, played, _ in PLAY}
    shares = sum(share for kind, *_, share in PLAY if possible[kind])
    for kind, story, ledgers, played, share in PLAY:
        if stage.ledger in ledgers and stage.channel in played:
            account = Account()
            wanted = kills * share / shares / possible[kind]
            while account.kills < wanted:
                account.add(story(stage, min(DEATHS, max(2, round(wanted)))))
            yield kind, account
    yield "at each commit, before and after", _at_commits(stage, most=max(3, kills // 40))


def _at_commits(stage: Stage, *, most: int) -> Account:
    """One death at each commit of a sender, until one ends by itself."""
    account = Account()
    for number in range(1, most + 1):
        for after in (False, True):
            found = stories.at_commit(stage, number, after=after)
            account.add(found)
            if not found.kills:
                return account
    return account


def table(rows: list[Row], total: Account) -> list[str]:
    """The accounts as Markdown."""
    lines = [HEAD, "|---|---|---|" + "---:|" * 9]
    for (kind, ledger, channel), account in [*rows, (("**all**", "", ""), total)]:
        figures = (
            *(account.kills, account.messages, account.accepted, account.rejected),
            *(f"{account.unknown} ({account.taken_unknown})", account.aside),
            *(account.twice, account.lost, account.uncounted),
        )
        lines.append(f"| {kind} | {ledger} | {channel} | " + " | ".join(map(str, figures)) + " |")
    return lines


def peer_table(rows: list[tuple[str, Account]]) -> list[str]:
    """The accounts of the other algorithm as Markdown."""
    lines = [
        "| the model of listmonk | kills | messages | arrived | twice or more | never |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for kind, account in rows:
        figures = (account.kills, account.messages, account.accepted, account.twice, account.lost)
        lines.append(f"| {kind} | " + " | ".join(map(str, figures)) + " |")
    return lines


def conditions(seed: int, total: Account, seconds: float) -> str:
    """Where and how it was measured."""
    return (
        f"{total.stories} stories, seed {seed}, {seconds / 60:.0f} minutes on {os.cpu_count()} cores, "
        f"Python {platform.python_version()}."
    )


def renew(page: Path, marks: tuple[str, str], lines: list[str]) -> None:
    """Puts the lines between the marks of the page."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(marks[0])
    _, _, after = rest.partition(marks[1])
    page.write_text("\n".join([before + marks[0], "", *lines, "", marks[1] + after]), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
