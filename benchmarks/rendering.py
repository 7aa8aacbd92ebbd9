"""The mail of every planned message, by the product, by Jinja alone and by the standard library."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from benchmarks.harness import paused
from benchmarks.shop import CAMPAIGN, open_project

if TYPE_CHECKING:
    from email.message import EmailMessage

    from jinja2 import Template

    from campanile.events import Message, PlannedMessage
    from campanile.messages.render import CampaignMessages

_PARTS = ("subject", "html", "txt")
#: Messages that are fetched, rendered and checked before the next.
_CHUNK = 200
#: Mails that the standard library writes; it takes milliseconds for each.
SAMPLE = 1_000
_SENDER, _REPLY_TO = "优选 <news@m.example.com>", "service@m.example.com"


def mails(size: int) -> Callable[[], Any]:
    """Every message by `CampaignMessages.render`: context, links, code, templates, MIME; answers with a checksum."""
    return _rendered(*_open(size))


def texts(size: int) -> Callable[[], Any]:
    """The same without MIME; answers with the same checksum."""
    messages, planned = _open(size)
    templates, offer = messages.default
    return _rendered(replace(messages, default=(replace(templates, skeleton=None), offer)), planned)


def _rendered(messages: CampaignMessages, planned: Iterator[list[PlannedMessage]]) -> Callable[[], Any]:
    def work() -> Any:
        found = _Checksum()
        for chunk in planned:
            rendered = [messages.render(each) for each in chunk]
            with paused():
                found.add((message.subject, message.html, message.text) for message in rendered)
        return found.answer

    return work


def jinja(size: int) -> Callable[[], Any]:
    """The same three templates in Jinja's own sandbox, links and codes given; answers with the same checksum."""
    messages, planned = _open(size)
    templates = _plain_templates(messages)
    shared = _shared_context()

    def work() -> Any:
        found = _Checksum()
        for chunk in planned:
            with paused():
                contexts = [_own_context(messages, each) for each in chunk]
            rendered = [[template.render(shared | own) for template in templates] for own in contexts]
            with paused():
                found.add(rendered)
        return found.answer

    return work


def skeleton(size: int) -> Callable[[], Any]:
    """The bytes of some mails as `Skeleton` joins them, contents given; answers with what a parser reads in them."""
    from campanile.messages import mime

    messages, planned = _open(size)
    letters = [
        mime.Letter(each.message_id, each.to, each.subject, each.text, each.html, when.due_at, dict(each.headers))
        for when, each in _sample(messages, planned)
    ]
    made = messages.default[0].skeleton
    assert made is not None

    def work() -> Any:
        written = [made.write(letter) for letter in letters]
        with paused():
            return _parsed(written)

    return work


def email_message(size: int) -> Callable[[], Any]:
    """The bytes of the same mails by `EmailMessage`; answers with what a parser reads in them."""
    messages, planned = _open(size)
    sample = _sample(messages, planned)

    def work() -> Any:
        written = [_stdlib(when, each).as_bytes() for when, each in sample]
        with paused():
            return _parsed(written)

    return work


def letters(size: int, count: int) -> list[Message]:
    """So many finished mails of the plan."""
    messages, planned = _open(size)
    return [message for _, message in _sample(messages, planned, count)]


def _open(size: int) -> tuple[CampaignMessages, Iterator[list[PlannedMessage]]]:
    """The campaign's messages and the plan's, chunk by chunk; reading these from the ledger is not counted."""
    from campanile.ledger.hand_overs import waiting
    from campanile.ledger.store import Ledger
    from campanile.messages.render import open_messages

    project = open_project(size)
    ledger = Ledger.open(project.ledger_path)
    plan = ledger.plan(CAMPAIGN)
    assert plan is not None
    source = (message for message, _ in waiting(ledger, plan.plan_id))

    def chunks() -> Iterator[list[PlannedMessage]]:
        while True:
            with paused():
                chunk = list(islice(source, _CHUNK))
            if not chunk:
                return
            yield chunk

    return open_messages(project, CAMPAIGN), chunks()


def _sample(
    messages: CampaignMessages, planned: Iterator[list[PlannedMessage]], count: int = SAMPLE
) -> list[tuple[PlannedMessage, Message]]:
    return [(each, messages.render(each)) for each in islice((each for chunk in planned for each in chunk), count)]


class _Checksum:
    """Of texts, in order."""

    def __init__(self) -> None:
        self.messages = self.sum = 0

    def add(self, rendered: Any) -> None:
        for subject, html, text in rendered:
            # Where a subject may hold spaces is the product's own rule.
            for part in (subject.strip(" \n"), html, text):
                self.sum = zlib.crc32(part.encode(), self.sum)
            self.messages += 1

    @property
    def answer(self) -> list[int]:
        return [self.messages, self.sum]


# --- Jinja, as one would use it without us ----------------------------------------------------------------------------
def _plain_templates(messages: CampaignMessages) -> list[Template]:
    """The product's composed sources, CSS inlined, compiled by `SandboxedEnvironment`; HTML escapes."""
    from jinja2.sandbox import SandboxedEnvironment

    parts = messages.default[0].parts
    compiled = []
    for name in _PARTS:
        sandbox = SandboxedEnvironment(autoescape=name == "html", trim_blocks=True, lstrip_blocks=True)
        sandbox.filters |= {"money": _money, "date": _date}
        compiled.append(sandbox.from_string(parts[name].source.text))
    return compiled


def _money(value: int, symbol: str = "") -> str:
    return f"{symbol}{value:,}"


def _date(value: date, language: str, year: bool = True) -> str:  # noqa: FBT001, FBT002 - as templates write it
    if language == "zh":
        return f"{value.year}年{value.month}月{value.day}日" if year else f"{value.month}月{value.day}日"
    return f"{value.day} {value:%B} {value.year}" if year else f"{value.day} {value:%B}"


def _shared_context() -> dict[str, Any]:
    """What is the same for everybody: campaigns/winback.yaml and campanile.yaml, read by a person."""
    shop = {
        "name": "优选",
        "language": "zh",
        "currency": "CNY",
        "base_url": "https://t.example.com",
        "postal_address": "优选商城，上海市黄浦区示例路 1 号，200001",
    }
    offer = {"kind": "coupon", "amount": 50, "min_spend": 199, "valid_until": date(2026, 3, 5) + timedelta(days=14)}
    return {"shop": shop, "offer": offer}


def _own_context(messages: CampaignMessages, planned: PlannedMessage) -> dict[str, Any]:
    """What is the recipient's own; the product's links and codes, so that the texts can be compared."""
    links, who = messages.links, planned.message_id
    own = {"link": links.click(who), "unsubscribe_link": links.unsubscribe(who), "code": links.code(who)}
    return own | {name: value for name, value in planned.variables.items() if value is not None}


# --- the standard library ---------------------------------------------------------------------------------------------
def _stdlib(planned: PlannedMessage, message: Message) -> EmailMessage:
    from email.message import EmailMessage
    from email.policy import SMTP
    from email.utils import format_datetime

    mail = EmailMessage(policy=SMTP)
    mail["From"], mail["Reply-To"], mail["To"] = _SENDER, _REPLY_TO, message.to
    mail["Subject"] = message.subject
    mail["Date"] = format_datetime(planned.due_at)
    mail["Message-ID"] = f"<{message.message_id}@m.example.com>"
    for name, value in message.headers.items():
        mail[name] = value
    mail.set_content(message.text)
    mail.add_alternative(message.html, subtype="html")
    return mail


def _parsed(mails: list[bytes]) -> list[Any]:
    """How many mails there are, and a checksum of what every mail program would read in them."""
    from email import message_from_bytes, policy

    total = 0
    for mail in mails:
        read = message_from_bytes(mail, policy=policy.default)
        bodies = [part.get_content().strip() for part in read.iter_parts()]
        for word in (read["To"], read["Subject"], *(body.replace("\r\n", "\n") for body in bodies)):
            total = zlib.crc32(str(word).encode(), total)
    return [len(mails), total]
