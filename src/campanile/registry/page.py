"""The index of all experiments as one page that links to their readouts.

Reads the entries of the registry. Returns a `Document` of finished text. Whole arms only: no customer can be told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from campanile import clock
from campanile.errors import CampanileError, cure_of
from campanile.registry.effects import chosen, profit_words, roi_words, short_effect, trust_words
from campanile.registry.entries import Entry, registry
from campanile.registry.kept import Reading
from campanile.report.compose import WORDS
from campanile.report.document import (
    Document,
    Finding,
    Findings,
    Headline,
    KeyFigure,
    KeyFigures,
    Label,
    Section,
    Table,
)
from campanile.report.files import write_text
from campanile.report.html import html
from campanile.report.numbers import COUNT, WITHHELD, moment
from campanile.spec.project import Project

#: The file of the page.
PAGE = "index.html"
_ORDER = ("roll_out", "extend", "stop", "no_verdict")


def write_page(project: Project, now: datetime | None = None) -> Path:
    """The path of the page, renewed.

    Raises:
        CampanileError: It cannot be written.
    """
    path = project.readouts_dir / PAGE
    at = now or clock.now()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return write_text(path, html(page(project, registry(project, at), at)))
    except OSError as error:
        raise CampanileError(f"{path} cannot be written ({error.strerror})", cure_of(error)) from error


def page(project: Project, entries: Sequence[Entry], now: datetime) -> Document:
    """The page of these experiments."""
    return _Page(project, tuple(entries), now).document()


class _Page:
    """The page at a moment."""

    def __init__(self, project: Project, entries: tuple[Entry, ...], now: datetime) -> None:
        self.project, self.entries, self.now = project, entries, now
        self.read = [each for each in entries if each.state == "read"]

    def document(self) -> Document:
        headline = self.headline()
        sections = (self.to_do(), self.results(), self.under_way(), self.designs(), self.readings())
        shown = tuple(section for section in sections if section is not None)
        return Document(
            title=f"{self.project.settings.shop.name}: experiments",
            subtitle="Every campaign is an experiment: what was asked, what came out, and what it earned.",
            facts=(("Made", f"{self.moment(self.now)} ({self.project.zone.key})"),),
            headline=headline,
            sections=shown,
            definitions=(),
            kind="Registry of experiments",
        )

    def moment(self, at: datetime | None) -> str:
        return moment(at, self.project.zone) if at else WITHHELD

    def headline(self) -> Headline:
        states = Counter(each.state for each in self.entries)
        found = [each.latest.decision for each in self.read if each.latest]
        decisions = Counter(found)
        told = ", ".join(f"{WORDS[name][0].lower()} {decisions[name]}" for name in _ORDER if decisions[name])
        waiting = states["ready to read"]
        sentence = f"{len(self.read)} read" + (f" ({told})" if told else "")
        sentence += f", {len(self.entries) - len(self.read)} under way."
        sentence += f" {waiting} can be read now." if waiting else ""
        count = len(self.entries)
        figures = (
            KeyFigure(Label("Experiments"), COUNT.text(count)),
            KeyFigure(Label("Read"), COUNT.text(len(self.read)), told),
            KeyFigure(Label("Ready to read"), COUNT.text(waiting)),
            KeyFigure(Label("Readouts kept"), COUNT.text(sum(len(each.readings) for each in self.entries))),
        )
        word = f"{count} experiment{'s' if count != 1 else ''}" if count else "No experiment yet"
        return Headline(word, "care" if waiting else "plain", sentence, KeyFigures(figures))

    def to_do(self) -> Section | None:
        items = [
            Finding(Label(each.name), "care", "Read", f"The window ended on {self.moment(each.window_ends)}: "
                    f"campanile readout {each.name}")
            for each in self.entries
            if each.state == "ready to read"
        ]  # fmt: skip
        items += [
            Finding(Label(each.name), "bad", "Mend", problem) for each in self.entries for problem in each.problems
        ]
        return Section("to-do", "What waits for somebody", "", (Findings(tuple(items)),)) if items else None

    def results(self) -> Section | None:
        rows = tuple(
            (Label(each.name, href=link(each.latest)), self.result(each, each.latest))
            for each in self.read
            if each.latest
        )
        names = ("Experiment", "Decision", "Effect on the primary", "Incremental profit", "Trust", "ROI", "Read")
        columns = tuple(map(Label, names))
        table = Table(Label("The latest readout of each"), columns, rows, _INTERVALS, words=5)
        return Section("results", "What came out?", "", (table,)) if rows else None

    def result(self, entry: Entry, reading: Reading) -> tuple[str, ...]:
        effect, word = chosen(reading), WORDS[reading.decision][0]
        checks, read = len(reading.failed), self.moment(reading.read_at)
        trust = f"{checks} check{'s' if checks > 1 else ''} failed" if checks else "no check failed"
        if effect is None:
            return (word, WITHHELD, WITHHELD, trust, WITHHELD, read)
        primary = entry.design.primary.replace("_", " ") if entry.design else ""
        words = f"{primary} {short_effect(reading, effect)}"
        return (word, words, profit_words(reading, effect) or WITHHELD, trust, roi_words(effect) or WITHHELD, read)

    def under_way(self) -> Section | None:
        rows = tuple(
            (
                Label(each.name, href=link(each.latest)),
                (
                    each.state,
                    each.design.hypothesis if each.design else WITHHELD,
                    self.moment(each.window_ends),
                    sizes(each),
                ),
            )
            for each in self.entries
            if each.state != "read"
        )
        columns = tuple(map(Label, ("Experiment", "State", "Hypothesis", "Window ends", "Units")))
        table = Table(Label("Not yet read"), columns, rows, words=3)
        return Section("under-way", "What is under way?", "", (table,)) if rows else None

    def designs(self) -> Section | None:
        rows = tuple((Label(each.name, href=link(each.latest)), self.design(each)) for each in self.entries)
        columns = tuple(map(Label, ("Experiment", "Hypothesis", "Primary", "Rule", "Split", "Units", "Versions")))
        table = Table(Label("What was agreed beforehand"), columns, rows, words=6)
        return Section("designs", "What is asked?", "", (table,)) if rows else None

    def design(self, entry: Entry) -> tuple[str, ...]:
        design = entry.design
        if design is None:
            return (WITHHELD,) * 6
        terms = dict(design.terms)
        within = f" within {design.window}" if design.window else ""
        split = terms.get("Split") or ", ".join(design.split)
        prints = dict.fromkeys(version.fingerprint[:12] for version in entry.versions)
        return (
            design.hypothesis or WITHHELD,
            f"{design.primary.replace('_', ' ')}{within}",
            terms.get("Roll out when", WITHHELD),
            split,
            sizes(entry),
            ", ".join(prints) or WITHHELD,
        )

    def readings(self) -> Section | None:
        found = [reading for each in self.entries for reading in each.readings]
        found.sort(key=lambda each: (each.read_at, each.name), reverse=True)
        rows = tuple(
            (
                Label(each.experiment, href=link(each)),
                (WORDS[each.decision][0], trust_words(each), each.sentence, self.moment(each.read_at)),
            )
            for each in found
        )
        columns = tuple(map(Label, ("Experiment", "Decision", "Trust", "Verdict", "Read")))
        table = Table(Label("Everything that was read, the latest first"), columns, rows, words=4)
        return Section("readings", "All readouts", "", (table,)) if rows else None


_INTERVALS = (
    "Ranges are intervals at the level that each experiment registered. The best of many experiments looks better than "
    "it is: expect less when it is repeated."
)


def sizes(entry: Entry) -> str:
    """Units by arm, once planned."""
    arms = entry.design.arms if entry.design else {}
    return ", ".join(f"{arm} {n:,}" for arm, n in arms.items()) or WITHHELD


def link(reading: Reading | None) -> str:
    """Where the page of a readout is, from the index; "" of none."""
    if reading is None:
        return ""
    parts = [reading.folder.parent.name, reading.folder.name] if reading.name != "last" else [reading.folder.name]
    return "/".join(quote(part) for part in (*parts, "readout.html"))
