"""SendGrid's stand-in as a process of its own: prints its port, and writes down each mail that it has taken."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.sendgrid_fake import SendgridFake
from support.web_fake import Reply, Request, running


class Recording(SendgridFake):
    """Writes a line for each mail before it answers."""

    def __init__(self, record: Path) -> None:
        super().__init__()
        self.record = record

    def answer(self, request: Request) -> Reply:
        before = len(self.taken)
        reply = super().answer(request)
        handle = os.open(self.record, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        for mail in self.taken[before:]:
            os.write(handle, (json.dumps({"to": mail.to, "message_id": mail.message_id}) + "\n").encode())
        os.close(handle)
        self.taken.clear()
        self.requests.clear()
        self.replies.clear()
        return reply


def main() -> None:
    """Serves until its input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--record", type=Path, required=True)
    with running(Recording(parser.parse_args().record)) as fake:
        print(fake.port, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
