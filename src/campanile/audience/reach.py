"""Who may and can be reached by a medium: consent, a valid address, no refusal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial, reduce
from operator import and_
from typing import cast

import ibis
import ibis.expr.types as ir

from campanile.audience.aggregates import Aggregates, Events
from campanile.audience.compare import surely
from campanile.audience.compile import Verdict, customer_column
from campanile.audience.frame import Frame
from campanile.customers.database import SUPPRESSED
from campanile.customers.people.keys import contact_key
from campanile.customers.people.tables import PEOPLE
from campanile.customers.reach import MAILABLE, mailable
from campanile.customers.tables import CUSTOMERS
from campanile.customers.zones import shop_day
from campanile.errors import CampanileError, did_you_mean
from campanile.spec.conditions import EventUse, Lifetime
from campanile.spec.vocabulary import FieldType


@dataclass(frozen=True)
class Reach:
    """The customer fields that decide whether a medium reaches somebody. A shop need not have `valid`, but consent."""

    address: str
    valid: str
    consent: str


MEDIA: Mapping[str, Reach] = {
    "email": Reach("email", "email_ok", "email_consent"),
    "sms": Reach("phone", "phone_ok", "sms_consent"),
}
#: The events by which customers say that they want no more messages of a medium.
UNSUBSCRIBED = "unsubscribed"
#: Beside channels in the table of suppressions: customers, by id, who refused everything.
EVERYTHING = "customer"
#: Refusals of any contact; a shop that does not record them has none.
_REFUSALS = ("do_not_contact", "erasure_requested")


def reach_of(medium: str) -> Reach:
    """The fields of a medium; CampanileError when there is no such medium."""
    if medium not in MEDIA:
        raise CampanileError(f'nobody can be reached by "{medium}"', did_you_mean(medium, MEDIA))
    return MEDIA[medium]


def reach_text(medium: str) -> str:
    """The rule in words.

    >>> reach_text("sms")
    'sms_consent and phone_ok, phone known, not do_not_contact, not erasure_requested'
    """
    reach = reach_of(medium)
    refusals = ", ".join(f"not {name}" for name in _REFUSALS)
    usable = "well written" if medium == "email" else "known"
    return f"{reach.consent} and {reach.valid}, {reach.address} {usable}, {refusals}"


def reachable(medium: str, frame: Frame) -> Verdict:
    """Whether a customer agreed to the medium, has a valid address there and has not refused contact."""
    reach = reach_of(medium)

    def verdict(joined: ir.Table) -> ir.BooleanValue:
        required = [reach.consent, *({reach.valid} & set(joined.columns))]
        allowed = [_flag(joined, name, frame) for name in required]
        refused = [~_flag(joined, name, frame) for name in _REFUSALS if name in joined.columns]
        address = cast(ir.StringValue, customer_column(joined, reach.address, FieldType.TEXT, frame))
        # A shop may say that an address works; when no mail can be written to it, it does not.
        usable = _mailable(joined, address) if medium == "email" else address.strip() != ""
        return reduce(and_, [*allowed, *refused, surely(usable)])

    return verdict


def _mailable(joined: ir.Table, address: ir.StringValue) -> ir.BooleanValue:
    """Whether a mail can be written to the address: worked out once in the profile, where there is one."""
    return cast(ir.BooleanValue, joined[MAILABLE]) if MAILABLE in joined.columns else mailable(address.strip())


def _flag(joined: ir.Table, name: str, frame: Frame) -> ir.BooleanValue:
    return surely(customer_column(joined, name, FieldType.BOOL, frame))


def address_of(joined: ir.Table, medium: str, frame: Frame) -> ir.StringValue:
    """The contact point as the ledger compares it, however it was typed; empty when unknown."""
    column = cast(ir.StringValue, customer_column(joined, reach_of(medium).address, FieldType.TEXT, frame))
    return cast(ir.StringValue, contact_key(column, medium).fill_null(""))


def suppression_text(medium: str, *, unsubscribes: bool) -> str:
    """The rule in words; `unsubscribes` says whether the shop records them.

    >>> suppression_text("email", unsubscribes=True)
    'email not suppressed in the ledger, not unsubscribed from email since the last email_consent_at'
    """
    reach = reach_of(medium)
    ledger = f"{reach.address} not suppressed in the ledger"
    return f"{ledger}, not unsubscribed from {medium} since the last {reach.consent}_at" if unsubscribes else ledger


def not_suppressed(medium: str, suppressed: ir.Table, frame: Frame) -> Verdict:
    """Whether nobody has suppressed a customer's address; `suppressed` holds addresses as the ledger compares them."""
    addresses = suppressed.filter(suppressed["channel"] == medium)["address"]
    return lambda joined: cast(ir.BooleanValue, ~address_of(joined, medium, frame).isin(addresses))


def not_refusing_everything(aggregates: Aggregates) -> Verdict:
    """Whether the customer, or a record that was merged into them, has not refused everything on every way."""
    database = aggregates.database
    suppressed = database.own(SUPPRESSED)
    refusing = suppressed.filter(suppressed["channel"] == EVERYTHING).select(customer_id="address")
    if database.merged:
        people = database.own(PEOPLE).semi_join(refusing, "customer_id")
        refusing = ibis.union(refusing, people.select(customer_id="person_id"))
    return lambda joined: cast(ir.BooleanValue, ~joined["customer_id"].isin(refusing["customer_id"]))


def no_record_suppressed(medium: str, aggregates: Aggregates) -> Verdict:
    """Whether nobody has suppressed the address of any record of a merged person: a refusal holds for the person."""
    database = aggregates.database
    records, suppressed = database.records(CUSTOMERS), database.own(SUPPRESSED)
    addresses = suppressed.filter(suppressed["channel"] == medium)["address"]
    refusing = records.filter(address_of(records, medium, aggregates.frame).isin(addresses))
    people = database.own(PEOPLE).semi_join(refusing, "customer_id")
    return lambda joined: cast(ir.BooleanValue, ~joined["customer_id"].isin(people["person_id"]))


def not_unsubscribed(medium: str, aggregates: Aggregates) -> Verdict:
    """Whether a customer's latest word on the medium is not that they want no more of it.

    A consent of a later day than the unsubscription is the later word. On the same day nobody knows which came first,
    so the unsubscription holds.
    """
    frame, consent = aggregates.frame, f"{reach_of(medium).consent}_at"
    name = aggregates.ask(EventUse(UNSUBSCRIBED, (), Lifetime()), f"last from {medium}", partial(_last_refusal, medium))

    def verdict(joined: ir.Table) -> ir.BooleanValue:
        refused = cast(ir.TimestampColumn, joined[name])
        if consent not in joined.columns:
            return refused.isnull()
        agreed = cast(ir.DateValue, customer_column(joined, consent, FieldType.DATE, frame))
        later = surely((agreed > shop_day(refused, frame.zone)) & (agreed <= ibis.date(frame.today)))
        return refused.isnull() | later

    return verdict


def _last_refusal(medium: str, events: Events) -> ir.Scalar:
    """When the customer last unsubscribed from the medium, or from everything: no channel is every channel."""
    if "channel" not in events.table.columns:
        return cast(ir.Scalar, events.at.max(where=events.match))
    channel = cast(ir.StringValue, events.field("channel")).fill_null("").strip().lower()
    about = cast(ir.BooleanValue, channel.isin([medium, ""]))
    return cast(ir.Scalar, events.at.max(where=about if events.match is None else about & events.match))
