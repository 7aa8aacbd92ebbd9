"""A document as Markdown for the repository and for mail. Drawings become their words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from campanile.report.document import (
    Account,
    Block,
    Document,
    Drawings,
    Findings,
    KeyFigure,
    KeyFigures,
    Label,
    Paragraph,
    Section,
    Table,
)
from campanile.report.numbers import WITHHELD

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~])")


def markdown(document: Document) -> str:
    """The report as CommonMark with tables; text from files cannot become markup."""
    headline = document.headline
    parts = [
        f"# {_plain(document.title)}: {headline.word}",
        f"**{_plain(headline.sentence)}**",
        _plain(document.subtitle),
        " · ".join(f"{name}: {_plain(text)}" for name, text in document.facts),
        _block(headline.figures),
        "\n".join(f"- {_plain(reason)}" for reason in headline.reasons),
        *(_section(section) for section in document.sections),
        "## What the figures mean" if document.definitions else "",
        "\n".join(f"- **{entry.label}**: {_plain(entry.text)}" for entry in document.definitions),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _section(section: Section) -> str:
    parts = [f"## {_plain(section.title)}", _plain(section.answer), *(_block(block) for block in section.blocks)]
    return "\n\n".join(part for part in parts if part)


def _block(block: Block) -> str:
    match block:
        case Paragraph(text=text):
            return f"> {_plain(text)}"
        case KeyFigures(figures=figures, note=note):
            return "\n\n".join(filter(None, (_figures(figures), _plain(note))))
        case Findings(items=items):
            return "\n".join(f"- {item.word}: **{_plain(item.label.text)}** {_plain(item.detail)}" for item in items)
        case Table(caption=caption, columns=columns, rows=rows, note=note, words=words):
            cells = [(_named(name), *map(_plain, figures)) for name, figures in rows]
            table = _table([column.text for column in columns], cells, words)
            return "\n\n".join(filter(None, (f"**{_plain(caption.text)}**", table, _plain(note))))
        case Account(caption=caption, rows=rows, note=note):
            return "\n\n".join(filter(None, (f"**{_plain(caption)}**", _figures(rows), _plain(note))))
        case Drawings(drawings=drawings):
            return "\n".join(f"- {_plain(drawing.title)}: {_plain(drawing.description)}" for drawing in drawings)


def _figures(figures: Iterable[KeyFigure]) -> str:
    return "\n".join(
        f"- {_plain(figure.label.text)}: **{_plain(figure.value)}**"
        + (f" ({_plain(figure.detail)})" if figure.detail not in {"", WITHHELD} else "")
        for figure in figures
    )


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], words: int) -> str:
    lines = [columns, ["---"] * words + ["---:"] * (len(columns) - words)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (*lines, *rows))


def _named(label: Label) -> str:
    """The label, as a link where it leads somewhere."""
    return f"[{_plain(label.text)}]({label.href})" if label.href else _plain(label.text)


def _plain(text: str) -> str:
    r"""The text on one line, with Markdown's own characters escaped.

    >>> _plain("2 * 3 | <b>")
    '2 \\* 3 \\| \\<b\\>'
    """
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
