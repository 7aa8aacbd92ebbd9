"""A small model of how listmonk sends a campaign, for comparison when processes die.

Made after reading what its sender does (internal/manager and the queries of campaigns, July 2026), in our own words:

* A campaign row holds a checkpoint, the highest id of a subscriber that was fetched. There is no row per recipient.
* A batch of 1,000 subscribers behind the checkpoint is fetched, and the checkpoint moves at once, before any of them is
  sent. The checkpoint is read in one statement and moved in another.
* Ten workers take messages from a queue in memory and send them over a pool of connections. An error is tried again
  twice over a new connection, whatever the error was; then it is counted, and the next message is taken.
* When nothing is left behind the checkpoint the campaign is finished. Whoever starts finds campaigns that run and goes
  on behind the checkpoint.
"""

from __future__ import annotations

import queue
import smtplib
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

BATCH = 1000
WORKERS = 10
RETRIES = 2


def prepare(path: Path, addresses: Sequence[str]) -> None:
    """A campaign to these addresses that runs, and of which nothing is sent."""
    with sqlite3.connect(path, isolation_level=None) as database:
        database.executescript(
            "PRAGMA journal_mode=WAL;"
            "CREATE TABLE subscriber (id INTEGER PRIMARY KEY, address TEXT);"
            "CREATE TABLE campaign (status TEXT, checkpoint INTEGER, sent INTEGER);"
        )
        database.executemany("INSERT INTO subscriber (address) VALUES (?)", [(address,) for address in addresses])
        database.execute("INSERT INTO campaign VALUES ('running', 0, 0)")
    database.close()


def run(path: Path, port: int, timeout: float) -> None:
    """Sends until nothing is left behind the checkpoint."""
    database = sqlite3.connect(path, isolation_level=None, timeout=30)
    waiting: queue.Queue[str | None] = queue.Queue()
    workers = [threading.Thread(target=_work, args=(waiting, port, timeout)) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    while batch := _next_batch(database):
        for address in batch:
            waiting.put(address)
    for _ in workers:
        waiting.put(None)
    for worker in workers:
        worker.join()
    database.execute("UPDATE campaign SET status = 'finished'")
    database.close()


def is_finished(path: Path) -> bool:
    """Whether the campaign is done, as it says of itself."""
    database = sqlite3.connect(path)
    status = database.execute("SELECT status FROM campaign").fetchone()[0]
    database.close()
    return bool(status == "finished")


def _next_batch(database: sqlite3.Connection) -> list[str]:
    row = database.execute("SELECT checkpoint FROM campaign WHERE status = 'running'").fetchone()
    if row is None:
        return []
    query = "SELECT id, address FROM subscriber WHERE id > ? ORDER BY id LIMIT ?"
    rows = database.execute(query, (row[0], BATCH)).fetchall()
    if rows:
        database.execute("UPDATE campaign SET checkpoint = ?, sent = sent + ?", (rows[-1][0], len(rows)))
    return [address for _, address in rows]


def _work(waiting: queue.Queue[str | None], port: int, timeout: float) -> None:
    line: smtplib.SMTP | None = None
    while (address := waiting.get()) is not None:
        for _ in range(1 + RETRIES):
            try:
                line = line or smtplib.SMTP("127.0.0.1", port, timeout=timeout)
                line.sendmail("news@m.example.com", [address], f"To: {address}\r\nSubject: Hello\r\n\r\nHello\r\n")
                break
            except (smtplib.SMTPException, OSError):
                with suppress(smtplib.SMTPException, OSError, AttributeError):
                    line.close()  # type: ignore[union-attr]
                line = None
    with suppress(smtplib.SMTPException, OSError, AttributeError):
        line.quit()  # type: ignore[union-attr]
