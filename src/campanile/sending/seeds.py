"""Samples to a seed list: the shop's own people see a campaign in their own mailboxes before anybody else does.

No customer's record leaves the house: every value is the commonest of some hundred sampled customers. Links and codes
are samples. The ledger knows nothing of it, so nobody's caps change.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from campanile import clock
from campanile.channels import open_channel
from campanile.errors import CampanileError, cure_of
from campanile.events import CONTROL, Message, Outcome, PlannedMessage, Receipt
from campanile.ledger import Ledger
from campanile.ledger.hand_overs import sample
from campanile.messages.render import open_messages
from campanile.sending.frozen import planned_record
from campanile.spec.project import Project

#: In the home of the project, not committed: one address or number a line.
FILE = "seeds.txt"
MOST = 50
_SAMPLED = 200


def send_to_seeds(project: Project, campaign: str, ledger: Ledger) -> Mapping[Outcome, int]:
    """How many samples came to which outcome: one for each arm to each seed.

    Raises:
        CampanileError: There is no seed list or plan, a message cannot be rendered, or the provider refuses us.
    """
    plan = planned_record(ledger, campaign)
    medium = project.campaign(campaign).channel.use
    seeds = read_seeds(project.home / FILE, medium)
    arms = [arm for arm in plan.arms if arm != CONTROL]
    typical = [found for arm in arms if (found := commonest(sample(ledger, plan.plan_id, arm, _SAMPLED)))]
    render = open_messages(project, campaign).as_samples().render
    messages = [render(each, at=clock.now()) for each in _addressed(typical, seeds)]
    folder = project.home / "previews" / campaign / "seeds"
    receipts = asyncio.run(_hand_over(project, medium, folder, messages))
    return Counter(receipt.outcome for receipt in receipts)


def read_seeds(path: Path, medium: str) -> list[str]:
    """The seeds of a medium: lines with @ are of mail, lines that begin with + of SMS; others are remarks."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except OSError as error:
        cure = f"write addresses of your own people into {path}, one a line" if not path.exists() else cure_of(error)
        raise CampanileError(f"the seed list {path} cannot be read ({error.strerror})", cure) from None
    fits = {"email": lambda line: "@" in line and not line.startswith("#"), "sms": lambda line: line.startswith("+")}
    seeds = list(dict.fromkeys(filter(fits[medium], lines)))
    if not 0 < len(seeds) <= MOST:
        what = f"{path} has {len(seeds)} seeds for {medium}"
        raise CampanileError(what, f"write 1 to {MOST}: addresses with @ for mail, numbers with + for SMS")
    return seeds


def commonest(messages: Sequence[PlannedMessage]) -> PlannedMessage | None:
    """One message that no customer gets: of every value the commonest; None when there is no message."""
    if not messages:
        return None
    names = dict.fromkeys(name for message in messages for name in message.variables)
    values: dict[str, Any] = {name: _mode([message.variables.get(name) for message in messages]) for name in names}
    return replace(messages[0], customer_id="seed", variables=values)


def _mode(values: Sequence[object]) -> object:
    """The commonest value that is one; of equals the first.

    >>> _mode([None, "b", "a", "a"])
    'a'
    """
    counted = Counter(repr(value) for value in values if value is not None)
    if not counted:
        return None
    wanted = counted.most_common(1)[0][0]
    return next(value for value in values if repr(value) == wanted)


def _addressed(typical: Sequence[PlannedMessage], seeds: Sequence[str]) -> Iterator[PlannedMessage]:
    for message in typical:
        for seed in seeds:
            yield replace(message, message_id=secrets.token_hex(16), address=seed)


async def _hand_over(project: Project, medium: str, folder: Path, messages: Sequence[Message]) -> list[Receipt]:
    channel = open_channel(medium, project.settings.channels[medium], folder, run="preview")
    try:
        await channel.open()
        # Samples may come at any hour, and no service tells what became of them.
        return [await channel.hand_over(replace(message, callback="", good_for=None)) for message in messages]
    finally:
        await channel.close()
