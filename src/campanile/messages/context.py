"""What a template sees of one planned message: the customer's frozen fields, the offer, the shop, two links and a code.

Plain values only. Text from data is cleaned of everything that cannot be seen; in an SMS, a value that looks like a
link or a signature counts as missing, so that nobody can put one into our message through a name field.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from campanile.clock import Duration
from campanile.errors import CampanileError
from campanile.events import PlannedMessage
from campanile.messages.environment import Absent
from campanile.messages.filters import plain_amount
from campanile.messages.sms import clean, is_deceptive
from campanile.messages.tokens import KeyRing, Purpose
from campanile.money import Currency
from campanile.spec.campaign import Offer

if TYPE_CHECKING:
    from campanile.spec.settings import Shop

#: What `code:` says in a campaign that gives every customer a code of their own.
ONE_PER_CUSTOMER = "one per customer"
#: Whole floats below this are exact.
_EXACT = 2**53
#: Among the variables of a later message: id and moment of the first one. No field has such a name.
FIRST = "(first)"
#: As long as real ones, so that a sample has as many SMS parts as the message.
_SAMPLE_TOKEN, _SAMPLE_CODE = "sample".ljust(42, "-"), "SAMPLECODE"


@dataclass(frozen=True)
class Links:
    """Makes the links of messages: where the shop answers them, and the keys that sign them.

    Without keys the links are samples that belong to nobody: for previews, so that looking at a message unsubscribes
    nobody.
    """

    base_url: str
    keys: KeyRing | None = None

    def click(self, message_id: str) -> str:
        """The address that leads to the shop and remembers the message."""
        return f"{self.base_url.rstrip('/')}/c/{self._token(Purpose.CLICK, message_id)}"

    def unsubscribe(self, message_id: str) -> str:
        """The address at which the recipient says no to further messages."""
        return f"{self.base_url.rstrip('/')}/u/{self._token(Purpose.UNSUBSCRIBE, message_id)}"

    def status(self, message_id: str) -> str:
        """The address at which a provider reports what becomes of the message."""
        return f"{self.base_url.rstrip('/')}/hooks/twilio/{self._token(Purpose.STATUS, message_id)}"

    def reply(self, message_id: str) -> str:
        """The address of the form on which the recipient answers."""
        return f"{self.base_url.rstrip('/')}/r/{self._token(Purpose.REPLY, message_id)}"

    def pixel(self, message_id: str) -> str:
        """The address of a picture that nobody sees: mail programs that load it say that the mail was opened."""
        return f"{self.base_url.rstrip('/')}/o/{self._token(Purpose.OPEN, message_id)}"

    def code(self, message_id: str) -> str:
        """The coupon code of this message."""
        return self.keys.code(message_id) if self.keys else _SAMPLE_CODE

    def _token(self, purpose: Purpose, message_id: str) -> str:
        return self.keys.sign(purpose, message_id) if self.keys else _SAMPLE_TOKEN


def build_context(
    planned: PlannedMessage, offer: Offer, *, shop: Shop, links: Links, campaign: str
) -> dict[str, object]:
    """Everything that a template may read, for one planned message.

    Fields without a value are `Absent`: false in conditions, replaced by `|default`, refused in output.

    Raises:
        CampanileError: Two fields cannot stand in one message, or a value is not plain.
    """
    context = _customer(planned)
    first_id, first_due = first_of(planned)
    until = _valid_until(first_due, planned.zone, offer.valid) if offer.valid else Absent("offer.valid_until")
    code = _code(offer, links, planned, first_id)
    context["offer"] = {**_offer(offer), "valid_until": until, "code": code}
    context["shop"] = _shop(shop)
    context["link"] = links.click(planned.message_id)
    context["unsubscribe_link"] = links.unsubscribe(planned.message_id)
    context["reply_link"] = links.reply(planned.message_id)
    context["open_pixel"] = links.pixel(planned.message_id)
    context["code"] = code
    context["campaign"] = campaign
    return context


def following(first: PlannedMessage) -> dict[str, object]:
    """The variables of a later message to the same recipient: the offer is that of the first, its code and its end."""
    return {**first.variables, FIRST: f"{first.message_id} {first.due_at.isoformat()}"}


def first_of(planned: PlannedMessage) -> tuple[str, datetime]:
    """Id and planned moment of the first message to the recipient, which is the message itself in the first step."""
    said = planned.variables.get(FIRST)
    if not isinstance(said, str):
        return planned.message_id, planned.due_at
    message_id, _, due_at = said.partition(" ")
    return message_id, datetime.fromisoformat(due_at)


def freeze(
    row: Mapping[str, object], fields: Iterable[str], *, money: Collection[str], currency: Currency
) -> dict[str, object]:
    """The values of the fields as plain JSON values, None where there is none: what a plan keeps for a message.

    Args:
        row: One customer as the database gives it: integer minor units, dates, Python lists.
        fields: The fields that the template reads.
        money: Which of them count minor units; they are kept in major units.
        currency: Of the shop.

    >>> row = {"name": "王伟", "rfm.r": 5.0, "stored_value": 4990, "birth_date": date(1990, 5, 1)}
    >>> freeze(row, [*row, "city"], money={"stored_value"}, currency=Currency("CNY"))
    {'name': '王伟', 'rfm.r': 5, 'stored_value': 49.9, 'birth_date': '1990-05-01', 'city': None}
    """
    frozen: dict[str, object] = {}
    for field in sorted(fields) if isinstance(fields, set | frozenset) else fields:
        value = row.get(field)
        if field in money and isinstance(value, int | float | Decimal):
            value = currency.major(float(value) if isinstance(value, Decimal) else value)
        frozen[field] = _plain(value)
    return frozen


def _plain(value: object) -> object:
    """The value as JSON writes it; None for what is not a number."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float | Decimal):
        number = math.nan if isinstance(value, Decimal) and value.is_snan() else float(value)
        if not math.isfinite(number):
            return None
        return int(number) if number.is_integer() and abs(number) < _EXACT else number
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    raise CampanileError(f"a field of type {type(value).__name__} cannot stand in a message", "import it as text")


def _customer(planned: PlannedMessage) -> dict[str, object]:
    guarded = planned.channel == "sms"
    context: dict[str, object] = {}
    for name, value in planned.variables.items():
        if name == FIRST:
            continue
        shown = _shown(name, value, guarded)
        root, dot, rest = name.partition(".")
        if not dot:
            context[name] = shown
            continue
        group = context.setdefault(root, {})
        if not isinstance(group, dict):
            raise CampanileError(f'the fields "{root}" and "{name}" cannot stand in one message', "use one of them")
        group[rest] = shown
    return context


def _shown(name: str, value: object, guarded: bool) -> object:  # noqa: FBT001
    """The value as a template gets it."""
    if isinstance(value, str):
        text = clean(value)
        return Absent(name) if not text or (guarded and is_deceptive(text)) else text
    if isinstance(value, list | tuple):
        items = [_shown(name, item, guarded) for item in value]
        return [item for item in items if not isinstance(item, Absent)]
    if isinstance(value, bool | int | Decimal | date):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else Absent(name)
    if value is None:
        return Absent(name)
    raise CampanileError(f'the field "{name}" cannot stand in a message', "import it as text, a number or a date")


@lru_cache(maxsize=4096)
def _valid_until(due_at: datetime, zone: str, valid: Duration) -> date:
    """The last day of an offer, where the message's clock hangs."""
    return valid.after(due_at.astimezone(ZoneInfo(zone))).date()


@lru_cache(maxsize=64)
def _offer(offer: Offer) -> Mapping[str, object]:
    """The terms of an offer as people write them: 50, not 50.00; a discount of 10 percent."""

    def amount(name: str, value: Decimal | None) -> object:
        return Absent(f"offer.{name}") if value is None else plain_amount(value)

    return {
        "kind": offer.kind,
        "amount": amount("amount", offer.amount),
        "off": Absent("offer.off") if offer.off is None else offer.off,
        "percent": amount("percent", None if offer.off is None else offer.off * 100),
        "min_spend": amount("min_spend", offer.min_spend),
    }


def _code(offer: Offer, links: Links, planned: PlannedMessage, first_id: str) -> object:
    if offer.codes is not None:
        own = str(planned.variables.get("code") or "")
        sample = (_SAMPLE_CODE * 4)[: len(own)]
        return (own if links.keys else sample) or Absent("code")
    if offer.code is None:
        return Absent("code")
    return links.code(first_id) if offer.code == ONE_PER_CUSTOMER else offer.code


@lru_cache(maxsize=4)
def _shop(shop: Shop) -> Mapping[str, object]:
    return {
        "name": shop.name,
        "currency": shop.currency.code,
        "language": shop.language,
        "base_url": shop.base_url or Absent("shop.base_url"),
        "postal_address": shop.postal_address or Absent("shop.postal_address"),
    }
