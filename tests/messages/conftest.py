"""A small shop, its offer and its keys, and short ways to write templates into a folder and render them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import settings

from campanile.clock import Duration
from campanile.events import PlannedMessage
from campanile.messages.context import Links, build_context
from campanile.messages.mime import Sender
from campanile.messages.templates import load_templates
from campanile.messages.tokens import KeyRing
from campanile.money import Currency
from campanile.spec.campaign import Offer
from campanile.spec.settings import Shop

settings.register_profile("messages", deadline=None)
settings.load_profile("messages")

DUE = datetime(2026, 3, 5, 2, 30, tzinfo=UTC)


@pytest.fixture
def shop() -> Shop:
    return Shop(
        name="优选",
        currency=Currency("CNY"),
        timezone=ZoneInfo("Asia/Shanghai"),
        language="zh",
        base_url="https://t.youxuan.example",
        postal_address="上海市示例路 100 号",
    )


@pytest.fixture
def offer() -> Offer:
    return Offer(
        kind="coupon",
        amount=Decimal("50.00"),
        min_spend=Decimal("199"),
        valid=Duration.parse("14d"),
        code="one per customer",
    )


@pytest.fixture
def links() -> Links:
    return Links("https://t.youxuan.example", KeyRing({1: b"a key of the tests" * 2}))


@pytest.fixture
def sender() -> Sender:
    return Sender("优选 <news@youxuan.example>", "hi@youxuan.example", "unsubscribe@youxuan.example", "【优选】")


@pytest.fixture
def planned() -> Callable[..., PlannedMessage]:
    """Makes a planned message; the variables are keyword arguments or a mapping."""

    def make(
        channel: str = "email",
        variables: Mapping[str, object] | None = None,
        *,
        customer: str = "1007",
        address: str = "",
        arm: str = "treatment",
    ) -> PlannedMessage:
        return PlannedMessage(
            message_id=f"{int(customer):032x}",
            customer_id=customer,
            arm=arm,
            step="message",
            channel=channel,
            address=address or ("+8610000000000" if channel == "sms" else "li.wei@mail.example"),
            variables=variables or {},
            due_at=DUE,
            expires_at=DUE,
            zone="Asia/Shanghai",
            batch=0,
        )

    return make


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes template files, named by keyword `winback_html` or by mapping, and returns the project's root."""

    def files(sources: Mapping[str, str | bytes]) -> Path:
        folder = tmp_path / "templates"
        folder.mkdir(exist_ok=True)
        for name, source in sources.items():
            (folder / name).write_bytes(source if isinstance(source, bytes) else source.encode())
        return tmp_path

    return files


@pytest.fixture
def render_sms(write, planned, shop, offer, links) -> Callable[..., str]:
    """The text of an SMS from a template's source and the customer's variables."""

    def render(source: str, **variables: object) -> str:
        root = write({"x.sms.j2": source})
        message = planned("sms", variables)
        context = build_context(message, offer, shop=shop, links=links, campaign="winback")
        return load_templates(root, "x", "sms").render(message, context).text

    return render


MAIL_TEXT = "Hello {{ unsubscribe_link }}"
MAIL_SUBJECT = "Hello"


@pytest.fixture
def render_mail(write, planned, shop, offer, links, sender) -> Callable[..., object]:  # noqa: PLR0917 - fixtures
    """The mail from the sources of its parts and the customer's variables."""

    def render(html: str, *, subject: str = MAIL_SUBJECT, text: str = MAIL_TEXT, **variables: object):
        html = html if "unsubscribe_link" in html else html + '<a href="{{ unsubscribe_link }}">no</a>'
        root = write({"x.html.j2": html, "x.txt.j2": text, "x.subject.j2": subject})
        message = planned("email", variables)
        context = build_context(message, offer, shop=shop, links=links, campaign="winback")
        return load_templates(root, "x", "email", sender=sender).render(message, context)

    return render
