"""The audit of the customer database as a document: five questions first, then every check, column and table.

Reads an `Audit` and what its limits say. Returns a `Document` of finished text, without contact data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from campanile.customers.audit.findings import Age, Audit, Completeness
from campanile.customers.audit.limits import Broken, Judged, broken, days_old, judged
from campanile.customers.audit.words import CHECKS, STALE_CURE, age_sentence, percent_of, rows_of, sentence_of
from campanile.customers.tables import CUSTOMERS
from campanile.report.document import (
    Document,
    Finding,
    Findings,
    Headline,
    KeyFigure,
    KeyFigures,
    Label,
    Paragraph,
    Section,
    Table,
    Tone,
)
from campanile.report.numbers import COUNT, moment, money
from campanile.spec.project import Project

_LEVELS: dict[str, tuple[Tone, str]] = {
    "stops": ("bad", "Stops"),
    "many": ("care", "Many"),
    "some": ("plain", "Some"),
    "clean": ("good", "None"),
}
_GRAVITY = ("stops", "many", "some", "clean")
_FOOTER = "Figures are of whole tables. Ids are shown as examples; names, addresses and telephone numbers never are."


@dataclass(frozen=True)
class Judgement:
    """An audit with everything held against its limits: what page, text and JSON show."""

    project: Project
    audit: Audit
    #: The gravest first.
    findings: tuple[Judged, ...]
    broken: tuple[Broken, ...]

    def days(self, age: Age) -> int | None:
        """How many days old a table is."""
        return days_old(age, self.audit.as_of, self.project.zone)

    @property
    def stale(self) -> tuple[Age, ...]:
        """The tables that are older than their limit, or than advised."""
        return tuple(age for age in self.audit.ages if age.stale)


def judge(project: Project, audit: Audit) -> Judgement:
    """The audit held against the limits of the shop, and the product's own where it has none."""
    settings = project.settings.policy.audit
    found = [judged(settings, finding) for finding in audit.findings]
    return Judgement(
        project,
        audit,
        tuple(sorted(found, key=lambda each: (_GRAVITY.index(each.level), -each.finding.share))),
        broken(settings, audit.findings, audit.ages, as_of=audit.as_of, zone=project.zone),
    )


def audit_document(judgement: Judgement) -> Document:
    """The whole page."""
    project, audit = judgement.project, judgement.audit
    return Document(
        title=f"{project.settings.shop.name}: the customer database",
        subtitle="How many, how valuable, which fields, what quality, what to do.",
        facts=(
            ("As of", f"{moment(audit.as_of, project.zone)} ({project.zone.key})"),
            ("Imported tables so far", COUNT.text(audit.serial)),
        ),
        headline=_headline(judgement),
        sections=(
            *_questions(judgement),
            _ages(judgement),
            _columns(judgement),
            *_characters(audit),
            *_refusals(audit),
            _clean(judgement),
        ),
        definitions=(),
        kind="Audit of the customer database",
        footer=_FOOTER,
    )


def headline_of(judgement: Judgement) -> tuple[Tone, str, str]:
    """Tone, word and sentence of the audit as a whole."""
    if judgement.broken:
        many = "a limit is" if len(judgement.broken) == 1 else f"{len(judgement.broken)} limits are"
        return "bad", "Stops campaigns", f"No campaign is planned on this database: {many} broken."
    grave = sum(each.level == "many" for each in judgement.findings) + len(judgement.stale)
    if grave:
        what = "one thing needs" if grave == 1 else f"{grave} things need"
        return "care", "Look at it", f"Campaigns may go on, but {what} a look."
    return "good", "Sound", "Nothing here stops a campaign or needs a look."


def _headline(judgement: Judgement) -> Headline:
    tone, word, sentence = headline_of(judgement)
    audit = judgement.audit
    figures = (
        KeyFigure(Label("Customers"), COUNT.text(audit.customers)),
        *(
            KeyFigure(Label(f"Reachable by {medium}"), COUNT.text(number), "an address and consent")
            for medium, number in audit.reachable.items()
        ),
        KeyFigure(Label("Kinds of fault"), COUNT.text(sum(each.level != "clean" for each in judgement.findings))),
    )
    return Headline(word, tone, sentence, KeyFigures(figures), tuple(each.sentence for each in judgement.broken))


def _questions(judgement: Judgement) -> Iterator[Section]:
    audit = judgement.audit
    yield Section("how-many", "How many?", how_many(judgement))
    yield Section("how-valuable", "How valuable?", how_valuable(judgement))
    yield Section("which-fields", "Which fields?", which_fields(judgement), _needed(audit))
    found = [each for each in judgement.findings if each.level != "clean"]
    quality = (Findings(tuple(_finding(each) for each in found)),) if found else ()
    yield Section("quality", "What quality?", what_quality(judgement), quality)
    steps = [Finding(Label(title), tone, word, cure) for tone, word, title, cure in what_to_do(judgement)]
    answer = "In this order:" if steps else "Nothing: plan the next campaign."
    yield Section("to-do", "What to do?", answer, (Findings(tuple(steps)),) if steps else ())


def how_many(judgement: Judgement) -> str:
    """Customers, and how many of them each medium reaches."""
    audit = judgement.audit
    reached = [
        f"{COUNT.text(number)} ({percent_of(number, audit.customers)}) can be reached by {medium}"
        for medium, number in audit.reachable.items()
    ]
    return f"{'; '.join([f'{COUNT.text(audit.customers)} customers', *reached])}."


def how_valuable(judgement: Judgement) -> str:
    """What they bought in the year before."""
    value, unit = judgement.audit.value, money(judgement.project.currency)
    if not value.orders:
        return "Nobody has a valid order in the 365 days before."
    return (
        f"In the 365 days before, {COUNT.text(value.buyers)} of them bought for {unit.text(value.revenue)} net in "
        f"{COUNT.text(value.orders)} orders: {unit.text(value.revenue / value.buyers)} a buyer, "
        f"{unit.text(value.revenue / value.orders)} an order."
    )


def which_fields(judgement: Judgement) -> str:
    """How many columns there are, and how well the needed ones are filled."""
    audit = judgement.audit
    columns = [each for each in audit.completeness if each.table == CUSTOMERS]
    needed = [each for each in audit.findings if each.check == "required_fields"]
    gaps = [each.field for each in needed if each.count]
    full = "all of them are filled for everybody" if not gaps else f"not filled for everybody: {', '.join(gaps)}"
    if not needed:
        return f"Customers have {len(columns)} columns beside their id; no campaign needs any of them."
    return f"Customers have {len(columns)} columns beside their id; campaigns need {len(needed)}: {full}."


def what_quality(judgement: Judgement) -> str:
    """How many checks found something."""
    found = [each for each in judgement.findings if each.level != "clean"]
    grave = [each for each in found if each.level != "some"]
    if not found:
        return f"{len(judgement.findings)} checks found nothing."
    return f"{len(judgement.findings)} checks: {len(found)} found something, {len(grave)} of them more than is healthy."


def what_to_do(judgement: Judgement) -> list[tuple[Tone, str, str, str]]:
    """The cures, the gravest first, each once: tone, word, title, cure."""
    steps: dict[str, tuple[Tone, str, str, str]] = {}
    stopped = {each.figure for each in judgement.broken}
    for age in judgement.stale:
        sentence = age_sentence(age, judgement.days(age))
        tone, word = _LEVELS["stops" if sentence in stopped else "many"]
        steps[f"age {age.table}"] = (tone, word, "Freshness", f"{sentence}: {STALE_CURE}")
    for each in judgement.findings:
        words = CHECKS[each.finding.check]
        if each.level in ("stops", "many") or (each.level == "some" and each.limit is not None):
            tone, word = _LEVELS[each.level]
            steps.setdefault(each.finding.check, (tone, word, words.title, words.cure))
    return sorted(steps.values(), key=lambda step: ("bad", "care", "plain").index(step[0]))


def _finding(each: Judged) -> Finding:
    tone, word = _LEVELS[each.level]
    parts = [sentence_of(each.finding)]
    if each.finding.examples:
        parts.append(f"for example {' and '.join(each.finding.examples)}")
    if each.level in ("stops", "many"):
        parts.append(f"{'limit' if each.level == 'stops' else 'advice'}: {each.limit}")
    return Finding(Label(CHECKS[each.finding.check].title), tone, word, f"{'; '.join(parts)}.")


def _needed(audit: Audit) -> tuple[Table, ...]:
    needed = [each for each in audit.completeness if each.needed_by]
    if not needed:
        return ()
    rows = tuple((Label(each.column), (", ".join(each.needed_by), *_filled(each))) for each in needed)
    columns = tuple(Label(text) for text in ("Field", "Read by", "Known", "Share"))
    return (Table(Label("Fields that somebody reads"), columns, rows, words=2),)


def _filled(each: Completeness) -> tuple[str, str]:
    return COUNT.text(each.known), percent_of(each.known, each.of)


def _ages(judgement: Judgement) -> Section:
    rows = []
    for age in judgement.audit.ages:
        days = judgement.days(age)
        newest = moment(age.newest, judgement.project.zone) if age.newest else "never"
        verdict = "stale" if age.stale else "fresh" if age.limit else ""
        cells = (COUNT.text(age.rows), newest, "" if days is None else COUNT.text(days), verdict)
        rows.append((Label(age.table), cells))
    columns = tuple(Label(text) for text in ("Table", "Rows", "Newest", "Days old", "Verdict"))
    stale = ", ".join(age.table for age in judgement.stale)
    answer = f"Stale: {stale}." if stale else "Nothing is stale."
    note = "Days are calendar days of the shop, counted from the moment that was looked from."
    return Section("freshness", "How fresh?", answer, (Table(Label("Newest row"), columns, tuple(rows), note),))


def _columns(judgement: Judgement) -> Section:
    tables = dict.fromkeys(each.table for each in judgement.audit.completeness)
    blocks = []
    for table in tables:
        found = [each for each in judgement.audit.completeness if each.table == table]
        rows = tuple((Label(each.column), _filled(each)) for each in found)
        columns = (Label("Column"), Label("Known"), Label("Share"))
        blocks.append(Table(Label(f"{table}: {COUNT.text(found[0].of)} {rows_of(table)}"), columns, rows))
    return Section("completeness", "How complete is each column?", "", tuple(blocks))


def _characters(audit: Audit) -> Iterator[Section]:
    if audit.characters:
        columns = tuple(Label(text) for text in ("Character", "Kind", "Customers"))
        rows = tuple((Label(each.shown), (each.kind, COUNT.text(each.customers))) for each in audit.characters)
        note = "Rare: Chinese characters without a two-byte place in GB18030."
        block = Table(Label("Characters that may not arrive"), columns, rows, note, words=2)
        yield Section("characters", "Which characters?", "", (block,))


def _refusals(audit: Audit) -> Iterator[Section]:
    columns = (Label("Reason"), Label("Rows"))
    blocks = tuple(
        Table(
            Label(f"{each.table}: {COUNT.text(each.rejected)} of {COUNT.text(each.read)} rows refused"),
            columns,
            tuple((Label(reason), (COUNT.text(rows),)) for reason, rows in each.reasons.items()),
        )
        for each in audit.refusals
        if each.rejected
    )
    if blocks:
        answer = "Each row with its file, line and reason stands in the rejects folder beside the customer database."
        yield Section("refused", "What did the last import refuse?", answer, blocks)


def _clean(judgement: Judgement) -> Section:
    """The checks that found nothing, so that it can be seen that they were made."""
    clean: dict[str, list[str]] = {}
    for each in judgement.findings:
        if each.level == "clean":
            place = f"{each.finding.table} {each.finding.field}".strip()
            clean.setdefault(CHECKS[each.finding.check].title, []).append(place)
    rows = tuple((Label(title), (", ".join(dict.fromkeys(places)),)) for title, places in sorted(clean.items()))
    blocks: list[Table | Paragraph] = []
    if rows:
        blocks.append(Table(Label("Checks that found nothing"), (Label("Check"), Label("Where")), rows, words=2))
    if judgement.audit.unjudged_phones:
        blocks.append(
            Paragraph(
                f"{COUNT.text(judgement.audit.unjudged_phones)} telephone numbers without a country code were not "
                "judged: nobody says their country. Write shop: phone_region in campanile.yaml."
            )
        )
    return Section("checked", "What else was looked at?", "", tuple(blocks))
