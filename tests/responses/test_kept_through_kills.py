"""kill -9 under load: everything that was answered 2xx is there, once."""

from __future__ import annotations

import random
import threading
from collections import Counter
from pathlib import Path

import httpx
import pytest

from campanile.ledger.response_tables import delivery_event, inbox
from support.plans import message_id
from support.service import SendGrid, Service, rows, sendgrid_body, sendgrid_event, serving, shop

pytestmark = pytest.mark.crash

KILLS, THREADS, EVENTS = 4, 4, 5


class Provider:
    """Sends batches of events as fast as it can, each of them again until it is confirmed, some of them twice."""

    def __init__(self, sendgrid: SendGrid, seed: int) -> None:
        self.sendgrid = sendgrid
        self.random = random.Random(seed)
        self.seed = seed
        self.confirmed: list[str] = []
        self.sent = 0

    def send_until_it_dies(self, service: Service) -> None:
        with httpx.Client(base_url=service.url, timeout=5) as web:
            while True:
                numbers = range(self.sent, self.sent + EVENTS)
                events = [sendgrid_event(message_id("winback", n % 20), n) for n in numbers]
                for event in events:
                    event["sg_event_id"] += f"-{self.seed}"
                body = sendgrid_body(events)
                try:
                    for _ in range(self.random.choice((1, 1, 2))):
                        answer = web.post("/hooks/sendgrid", content=body, headers=self.sendgrid.headers(body))
                        if answer.status_code == 204:
                            self.confirmed += [event["sg_event_id"] for event in events]
                except httpx.HTTPError:
                    return
                self.sent += EVENTS


def test_everything_confirmed_is_there_once(tmp_path: Path) -> None:
    project, sendgrid = shop(tmp_path, 20), SendGrid()
    providers = [Provider(sendgrid, seed) for seed in range(THREADS)]
    chance = random.Random(7)
    for _ in range(KILLS):
        with serving(project, keys=sendgrid.public) as service:
            threads = [threading.Thread(target=each.send_until_it_dies, args=(service,)) for each in providers]
            for thread in threads:
                thread.start()
            chance_of_dying = 0.5 + chance.random()
            threading.Event().wait(chance_of_dying)
            service.kill()
            for thread in threads:
                thread.join()
    with serving(project, keys=sendgrid.public) as service, service.client() as web:
        assert web.get("/health").status_code == 200
        while any(row["state"] == 0 for row in rows(project, inbox)):
            threading.Event().wait(0.2)
    confirmed = {each for provider in providers for each in provider.confirmed}
    assert len(confirmed) > 200, "the load was real"
    for table in (inbox, delivery_event):
        kept = Counter(row["event_id"] for row in rows(project, table))
        assert confirmed <= kept.keys()
        assert set(kept.values()) == {1}
