"""All messages of one campaign: for each arm its template and its offer, and what they share."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from campanile import clock
from campanile.errors import CampanileError, ProblemsError
from campanile.events import Message, PlannedMessage
from campanile.ledger.sent import anything_sent
from campanile.messages.context import Links, build_context
from campanile.messages.mime import Sender
from campanile.messages.templates import MessageTemplates, known_fields, load_each
from campanile.messages.text_rules import text_problems
from campanile.messages.tokens import open_key_ring
from campanile.spec.campaign import REMINDER, Offer
from campanile.spec.quiet import Quiet, quiet_from

if TYPE_CHECKING:
    from campanile.spec.project import Project
    from campanile.spec.settings import Shop
    from campanile.spec.sms_rules import SmsRules


@dataclass(frozen=True)
class CampaignMessages:
    """Renders the messages of one campaign."""

    campaign: str
    shop: Shop
    links: Links
    arms: Mapping[str, tuple[MessageTemplates, Offer]]
    #: For arms that change nothing.
    default: tuple[MessageTemplates, Offer]
    quiet: Quiet | None = None
    #: Templates of later steps by their name; a step that has none gets the arm's own.
    steps: Mapping[str, MessageTemplates] = field(default_factory=dict)

    @property
    def variables(self) -> frozenset[str]:
        """The customer fields that any arm's or step's template reads: what a plan freezes."""
        every = [templates for templates, _ in (self.default, *self.arms.values())]
        return frozenset().union(*(templates.variables for templates in (*every, *self.steps.values())))

    def render(self, planned: PlannedMessage, *, at: datetime | None = None) -> Message:
        """The message for one recipient; RenderError, without any value, when it cannot be made.

        Args:
            planned: To whom, in which arm.
            at: Moment of hand-over for the Date header; default is the planned moment.
        """
        templates, offer = self.arms.get(planned.arm, self.default)
        templates = self.steps.get(planned.step, templates)
        context = build_context(planned, offer, shop=self.shop, links=self.links, campaign=self.campaign)
        message = templates.render(planned, context, at=at)
        if message.channel != "sms":
            return message
        callback = self.links.status(planned.message_id) if self.shop.base_url.startswith("https://") else ""
        return replace(message, callback=callback, good_for=self._good_for(planned, at or planned.due_at))

    def _good_for(self, planned: PlannedMessage, at: datetime) -> float:
        """Seconds from `at` until quiet hours begin where the recipient is, or until the message expires."""
        quiet = quiet_from(at, clock.zone(planned.zone), self.quiet)
        end = min(planned.expires_at, quiet) if quiet else planned.expires_at
        return (end - at).total_seconds()

    def as_samples(self) -> CampaignMessages:
        """The same with links and codes that are samples: for previews, which anybody may click."""
        return replace(self, links=Links(self.links.base_url))


def open_messages(project: Project, campaign: str, *, columns: Collection[str] | None = None) -> CampaignMessages:
    """The messages of a campaign, templates checked and compiled.

    Args:
        project: The project.
        campaign: Name of the campaign.
        columns: Columns of the customer table, which templates may read beside the vocabulary's fields. Without them,
            as when a plan is sent that was checked before, any field is taken on trust.

    Raises:
        ProblemsError: With every problem of every template.
        CampanileError: A setting of the channel or the keys for links is missing.
    """
    spec = project.campaign(campaign)
    medium = spec.channel.use
    settings = project.settings.channels.get(medium)
    if settings is None:
        raise CampanileError(f"the project has no channel {medium}", f"add channels: {medium}: to campanile.yaml")
    shop = project.settings.shop
    if medium == "email":
        _check_mail(shop, settings.sender)
    promotional, remind = spec.purpose == "marketing", spec.timing.remind
    known = None if columns is None else known_fields(project, columns)
    sender = Sender.of(settings, promotional=promotional)
    loaded = load_each(project.root, set(spec.templates), medium, known=known, sender=sender)
    if settings.rules is not None and medium == "sms":
        _check_rules(loaded.values(), settings.rules, settings.signature, promotional=promotional)
    return CampaignMessages(
        campaign,
        shop,
        Links(shop.base_url, open_key_ring(project.home, sent=lambda: anything_sent(project.ledger_place))),
        {arm: (loaded[spec.message_for(arm)], spec.offer_for(arm)) for arm in spec.arms},
        (loaded[spec.channel.message], spec.offer),
        spec.timing.quiet,
        {REMINDER: loaded[remind.message]} if remind and remind.message else {},
    )


def _check_rules(loaded: Iterable[MessageTemplates], rules: SmsRules, signature: str, *, promotional: bool) -> None:
    found = (text_problems(each, rules, signature, promotional=promotional) for each in loaded)
    if problems := {problem for problems in found for problem in problems}:
        raise ProblemsError(problems)


def _check_mail(shop: Shop, sender: str) -> None:
    if not sender:
        raise CampanileError("the channel email has no sender", "add sender: Shop <news@example.com> to campanile.yaml")
    if not shop.base_url.startswith("https://"):
        what = "mail needs links that unsubscribe, and mail programs follow them over https only"
        raise CampanileError(what, "set shop: base_url: https://… in campanile.yaml")
