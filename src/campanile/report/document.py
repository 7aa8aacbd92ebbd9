"""A report before it is HTML or Markdown: sections of text, key figures, checks, tables and drawings.

Holds finished text only. Whoever draws it decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Tone = Literal["good", "care", "bad", "plain"]


@dataclass(frozen=True)
class Label:
    """The name of a figure; `key` names its definition, "" when it needs none; `href` is where the name leads."""

    text: str
    key: str = ""
    href: str = ""


@dataclass(frozen=True)
class Definition:
    """What a figure means: the text shown on hover and in the appendix."""

    key: str
    label: str
    text: str


@dataclass(frozen=True)
class KeyFigure:
    """One figure that stands for itself, with its interval or what it is measured against."""

    label: Label
    value: str
    detail: str = ""


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    text: str


@dataclass(frozen=True)
class KeyFigures:
    """Figures side by side, the most important first."""

    figures: tuple[KeyFigure, ...]
    note: str = ""


@dataclass(frozen=True)
class Finding:
    """One check with its outcome in a word."""

    label: Label
    tone: Tone
    word: str
    detail: str


@dataclass(frozen=True)
class Findings:
    """Checks, one under the other."""

    items: tuple[Finding, ...]


@dataclass(frozen=True)
class Table:
    """Rows under column labels.

    Attributes:
        rows: Name of the row, and its cells.
        words: How many columns from the left hold words; the others hold figures.
    """

    caption: Label
    columns: tuple[Label, ...]
    rows: tuple[tuple[Label, tuple[str, ...]], ...]
    note: str = ""
    words: int = 1


@dataclass(frozen=True)
class Account:
    """One figure a line, each with a remark (its interval, or what it is measured against)."""

    caption: str
    rows: tuple[KeyFigure, ...]
    note: str = ""


@dataclass(frozen=True)
class Drawing:
    """A chart as inline SVG, with the same content in words."""

    name: str
    title: str
    description: str
    svg: str


@dataclass(frozen=True)
class Drawings:
    """Charts side by side."""

    drawings: tuple[Drawing, ...]


Block = Paragraph | KeyFigures | Findings | Table | Account | Drawings


@dataclass(frozen=True)
class Section:
    """One question and its answer.

    Attributes:
        name: Where links lead.
        tone: How much the answer has to be seen.
    """

    name: str
    title: str
    answer: str
    blocks: tuple[Block, ...] = ()
    tone: Tone = "plain"


@dataclass(frozen=True)
class Headline:
    """The verdict: a word, the sentence, the figures behind it and the reasons."""

    word: str
    tone: Tone
    sentence: str
    figures: KeyFigures
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Document:
    """A whole report.

    Attributes:
        facts: What was read and when, as label and text.
        definitions: Those that the labels name, for the appendix.
        kind: What kind of report it is.
        footer: What may be said of the figures as a whole.
    """

    title: str
    subtitle: str
    facts: tuple[tuple[str, str], ...]
    headline: Headline
    sections: tuple[Section, ...]
    definitions: tuple[Definition, ...]
    kind: str = "Campaign readout"
    footer: str = "Figures are of whole arms; no customer is named or can be told from them."
