"""The templates of one message: read, checked and compiled once, then rendered for one recipient after the other.

A mail is three files, `winback.subject.j2`, `winback.html.j2` (or `winback.mjml.j2`) and `winback.txt.j2`; an SMS is
one, `winback.sms.j2`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from jinja2 import Template, TemplateSyntaxError
from jinja2.exceptions import SecurityError, UndefinedError

from campanile.errors import CampanileError, Problem, ProblemsError, did_you_mean
from campanile.events import Message, PlannedMessage
from campanile.messages import markup, mime, sms
from campanile.messages.compose import Composer, Piece, Place, Report, Source, assemble, sentence_of
from campanile.messages.environment import WORK_LIMIT, MessageEnvironment, NoValue
from campanile.messages.filters import BadValue
from campanile.messages.mjml import as_html
from campanile.messages.names import Use, check_names, check_words, customer_fields, uses
from campanile.spec.vocabulary import load_vocabulary

if TYPE_CHECKING:
    from campanile.spec.campaign import CampaignSpec
    from campanile.spec.channel_settings import ChannelSettings
    from campanile.spec.project import Project
    from campanile.spec.shop_tables import ShopTables

FOLDER = "templates"
#: Parts of a message by medium: what the file name ends with.
PARTS: Mapping[str, tuple[str, ...]] = {"email": ("subject", "html", "txt"), "sms": ("sms",)}
#: Gmail cuts larger mail off; larger than the second is refused. Bytes of HTML.
HTML_CLIPPED, HTML_REFUSED = 102_000, 1_000_000


class RenderError(CampanileError):
    """A message that cannot be rendered. Names the customer by id, never by a value.

    Attributes:
        customer_id: Whose message it is.
        reason: What is wrong, without the customer.
        fault: Whether the template itself is wrong, whoever the recipient is.
    """

    def __init__(self, place: str, customer_id: str, reason: str, cure: str = "", *, fault: bool = False) -> None:
        self.customer_id = customer_id
        self.reason = f"{place}: {reason}"
        self.fault = fault
        super().__init__(self.reason if fault else f"{place}: customer {customer_id} {reason}", cure)


@cache
def environment(*, autoescape: bool) -> MessageEnvironment:
    """The sandbox for HTML, or the one for plain text."""
    return MessageEnvironment(autoescape=autoescape)


@dataclass(frozen=True)
class Part:
    """One compiled file with everything it extends and includes."""

    file: str
    source: Source
    template: Template
    reads: tuple[Use, ...]

    def render(self, context: Mapping[str, object], customer_id: str) -> str:
        """The text for one recipient; RenderError, without any value, when it cannot be made."""
        self.template.environment.work.left = WORK_LIMIT  # type: ignore[attr-defined]
        try:
            return "".join(self.template.root_render_func(self.template.new_context(dict(context))))
        except Exception as error:  # whatever a template does becomes a sentence
            failure = self._explained(error, customer_id)
        raise failure

    def _explained(self, error: Exception, customer_id: str) -> RenderError:
        file, line = self._place(error.__traceback__)
        place = f"{file}:{line}" if line else file
        if isinstance(error, NoValue):
            return RenderError(place, customer_id, f"has {error.message}", _default_for(error.message or ""))
        if isinstance(error, BadValue):
            return RenderError(place, customer_id, f"cannot be written to: {error}")
        if isinstance(error, SecurityError | UndefinedError):
            return RenderError(place, customer_id, self._without_values(error.message or ""), fault=True)
        if isinstance(error, RecursionError):
            return RenderError(place, customer_id, "the template calls itself without end", fault=True)
        return RenderError(place, customer_id, f"has a value that does not fit here ({type(error).__name__})")

    def _place(self, traceback: TracebackType | None) -> Place:
        """File and line of the innermost step inside this template."""
        line = 0
        while traceback is not None:
            if traceback.tb_frame.f_globals.get("__jinja_template__") is self.template:
                line = self.template.get_corresponding_lineno(traceback.tb_lineno)
            traceback = traceback.tb_next
        return self.source.place(line) if line else (self.file, 0)

    def _without_values(self, message: str) -> str:
        """Jinja's sentence if every quoted word of it stands in the template, so that it quotes no customer's value."""
        quoted = message.split("'")[1::2]
        own = all(word in self.source.text or word.endswith(" object") for word in quoted)
        return message.rstrip(".") if own else "reads something that does not exist"


@dataclass(frozen=True)
class MessageTemplates:
    """One message in one medium, ready to be rendered."""

    name: str
    medium: str
    parts: Mapping[str, Part]
    #: Customer fields that the template reads: what a plan freezes for each recipient.
    variables: frozenset[str]
    sender: mime.Sender | None = None
    skeleton: mime.Skeleton | None = None

    def render(self, planned: PlannedMessage, context: Mapping[str, object], *, at: datetime | None = None) -> Message:
        """The message for one recipient.

        Args:
            planned: To whom.
            context: What the template may read, see `build_context`.
            at: Moment of hand-over for the Date header; default is the planned moment.

        Raises:
            RenderError: A value is missing or does not fit, or a limit is exceeded.
        """
        try:
            if self.medium == "sms":
                return self._sms(planned, context)
            return self._mail(planned, context, at or planned.due_at)
        except RenderError:
            raise
        except CampanileError as error:
            failure = RenderError(self._file, planned.customer_id, f"cannot be written to: {error}")
        raise failure

    @property
    def _file(self) -> str:
        return next(iter(self.parts.values())).file

    def _sms(self, planned: PlannedMessage, context: Mapping[str, object]) -> Message:
        part = self.parts["sms"]
        text = part.render(context, planned.customer_id).strip()
        signature, rules = (self.sender.signature, self.sender.rules) if self.sender else ("", None)
        text = text if text.startswith(signature) else signature + text
        if rules and self.sender and text != signature:
            text = rules.finished(text, promotional=self.sender.promotional)
            if broken := next(rules.broken(text, signature), None):
                raise RenderError(part.file, planned.customer_id, f"gets a text that {broken}")
        text = sms.fold_quotes(text)
        if not text or len(text) > sms.MAX_CHARACTERS:
            reason = f"gets {len(text)} characters, more than {sms.MAX_CHARACTERS}" if text else "gets an empty SMS"
            raise RenderError(part.file, planned.customer_id, reason)
        return Message(planned.message_id, planned.channel, planned.address, text=text)

    def _mail(self, planned: PlannedMessage, context: Mapping[str, object], at: datetime) -> Message:
        subject, html, text = (self.parts[name].render(context, planned.customer_id) for name in PARTS["email"])
        if len(html) * 4 > HTML_REFUSED and len(html.encode("utf-8", "replace")) > HTML_REFUSED:
            reason = f"gets more than {HTML_REFUSED // 1000} kB of HTML"
            raise RenderError(self.parts["html"].file, planned.customer_id, reason)
        to, subject = mime.recipient(planned.address), mime.subject_line(subject)
        if self.sender is None or self.skeleton is None:
            return Message(planned.message_id, planned.channel, to, subject, text, html)
        extra = mime.list_headers(
            self.sender,
            campaign=str(context["campaign"]),
            step=planned.step,
            unsubscribe_link=str(context["unsubscribe_link"]),
        )
        letter = mime.Letter(planned.message_id, to, subject, text, html, at, extra)
        return Message(planned.message_id, planned.channel, to, subject, text, html, self.skeleton.write(letter), extra)


def load_templates(
    root: Path, name: str, medium: str, *, known: Collection[str] | None = None, sender: mime.Sender | None = None
) -> MessageTemplates:
    """The templates of one message.

    Args:
        root: Folder of the project, in which templates/ lies.
        name: Name of the message: `winback`.
        medium: `email` or `sms`.
        known: Customer fields that a message can have; without them, any field is taken on trust.
        sender: From whom mail comes; without it, messages have no `mime`.

    Raises:
        ProblemsError: With every problem of every file.
    """
    problems: set[Problem] = set()

    def report(file: str, line: int, what: str, cure: str) -> None:
        problems.add(Problem(file, line, what, cure))

    parts = {part: _load(root, _file_of(root, name, part), known, report) for part in _parts_of(medium)}
    if all(parts.values()):
        _check_unsubscribe(parts, report)
    if problems:
        raise ProblemsError(problems)
    loaded = {key: part for key, part in parts.items() if part is not None}
    reads = [use for part in loaded.values() for use in part.reads]
    skeleton = mime.Skeleton(sender) if sender is not None and medium == "email" else None
    return MessageTemplates(name, medium, loaded, customer_fields(reads, known), sender, skeleton)


def load_each(
    root: Path, names: Collection[str], medium: str, *, known: Collection[str] | None, sender: mime.Sender | None = None
) -> dict[str, MessageTemplates]:
    """The templates of several messages by name; ProblemsError with the problems of all of them."""
    loaded: dict[str, MessageTemplates] = {}
    problems: set[Problem] = set()
    for name in sorted(names):
        try:
            loaded[name] = load_templates(root, name, medium, known=known, sender=sender)
        except ProblemsError as error:
            problems.update(error.problems)
    if problems:
        raise ProblemsError(problems)
    return loaded


def known_fields(project: Project, columns: Collection[str] = ()) -> frozenset[str]:
    """The customer fields that templates may read: the vocabulary's, the imported ones, and `columns`."""
    imported = project.settings.imports.get("customers")
    return frozenset({*load_vocabulary().fields, *(imported.columns_of_all() if imported else ()), *columns})


def check_templates(
    root: Path,
    campaigns: Iterable[CampaignSpec],
    shop: ShopTables | None = None,
    channels: Mapping[str, ChannelSettings] | None = None,
) -> tuple[Problem, ...]:
    """Every problem of every template that these campaigns of the project in `root` use.

    A message without all of its files is a problem of the campaign that names it, and left out here. With `shop`,
    fields that it has no data for are problems; with `channels`, what breaks the rules of one.
    """
    from campanile.messages.text_rules import text_problems

    problems: set[Problem] = set()
    known = load_vocabulary().fields
    for spec in campaigns:
        named = set(spec.templates)
        whole = {name for name in named if _is_whole(root, name, spec.channel.use)}
        try:
            loaded = load_each(root, whole, spec.channel.use, known=known)
        except ProblemsError as error:
            problems.update(error.problems)
            continue
        problems.update(_lacking(loaded.values(), known, shop) if shop else ())
        channel = (channels or {}).get(spec.channel.use)
        if channel is not None and channel.rules is not None and spec.channel.use == "sms":
            promotional = spec.purpose == "marketing"
            for each in loaded.values():
                problems.update(text_problems(each, channel.rules, channel.signature, promotional=promotional))
    return tuple(sorted(problems))


def _lacking(loaded: Iterable[MessageTemplates], known: Collection[str], shop: ShopTables) -> Iterator[Problem]:
    """What the templates read that the shop has no data for."""
    for part in (part for templates in loaded for part in templates.parts.values()):
        for use in part.reads:
            for field in customer_fields([use], known):
                if lack := shop.lacks_field(field):
                    yield Problem(*part.source.place(use.line), *lack)


def _is_whole(root: Path, name: str, medium: str) -> bool:
    return all((root / FOLDER / _file_of(root, name, part)).is_file() for part in _parts_of(medium))


def _default_for(message: str) -> str:
    """The cure for a value that some customers do not have.

    >>> _default_for("no value for employees")
    'write {{ employees or "…" }}'
    """
    field = message.removeprefix("no value for ") if message.startswith("no value for ") else "…"
    return f'write {{{{ {field} or "…" }}}}'


def _parts_of(medium: str) -> tuple[str, ...]:
    if medium not in PARTS:
        raise CampanileError(f'no templates for "{medium}"', did_you_mean(medium, PARTS))
    return PARTS[medium]


def _file_of(root: Path, name: str, part: str) -> str:
    """The file of a part; the HTML of a mail may be written as MJML."""
    mjml = f"{name}.mjml.j2"
    return mjml if part == "html" and (root / FOLDER / mjml).is_file() else f"{name}.{part}.j2"


def _load(root: Path, file_name: str, known: Collection[str] | None, report: Report) -> Part | None:
    """One part, read and compiled; None after reporting problems."""
    is_mjml = file_name.endswith(".mjml.j2")
    is_html = is_mjml or file_name.endswith(".html.j2")
    sandbox = environment(autoescape=is_html)
    found: list[str] = []

    def count(file: str, line: int, what: str, cure: str) -> None:
        found.append(file)
        report(file, line, what, cure)

    pieces = Composer(root / FOLDER, FOLDER, sandbox, count).compose(file_name)
    if not pieces:
        if pieces is not None:
            count(f"{FOLDER}/{file_name}", 0, "the file is empty", "")
        return None
    made = as_html(pieces, f"{FOLDER}/{file_name}", count) if is_mjml else pieces
    if made is None:
        return None
    pieces = _as_mail(made, sandbox, count) if is_html else made
    part = _compiled(f"{FOLDER}/{file_name}", assemble(pieces), sandbox, count)
    if part is not None:
        check_names(part.reads, known, part.source, count)
    return None if found else part


def _as_mail(pieces: tuple[Piece, ...], sandbox: MessageEnvironment, report: Report) -> tuple[Piece, ...]:
    spots = markup.scan(pieces, report)
    markup.check_spots(pieces, spots, sandbox, report)
    return markup.inline_css(pieces, spots, report)


def _compiled(file: str, source: Source, sandbox: MessageEnvironment, report: Report) -> Part | None:
    sandbox.work.left = WORK_LIMIT
    try:
        tree = sandbox.parse(source.text)
        if not check_words(tree, sandbox, source, report):
            return None
        reads = tuple(uses(tree))
        return Part(file, source, sandbox.from_string(source.text), reads)
    except TemplateSyntaxError as error:
        report(*source.place(error.lineno), sentence_of(error), "")
    except (RecursionError, SyntaxError, MemoryError, SecurityError):
        report(file, 0, "nested too deeply", "simplify the template")
    return None


def _check_unsubscribe(parts: Mapping[str, Part | None], report: Report) -> None:
    """Nothing; reports the parts of a mail that do not show how to unsubscribe."""
    for name in ("html", "txt"):
        part = parts.get(name)
        if part is not None and all(use.path != "unsubscribe_link" for use in part.reads):
            report(part.file, 0, "every marketing mail must show how to unsubscribe", "add {{ unsubscribe_link }}")
