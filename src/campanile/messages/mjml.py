"""MJML templates: turned into HTML once, when they are loaded. Every Jinja tag is hidden meanwhile, and put back."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from campanile.messages.compose import Piece, Report, assemble

#: A word that neither MJML nor HTML changes.
_MARK = "jinja{}tag"
_MARKED = re.compile(r"jinja(\d+)tag")
_INLINED = re.compile(r"""(<mj-style\b[^>]*?)\s+inline\s*=\s*["']inline["']""")
_CURE = "put it into mj-text, or alone into mj-raw"


def as_html(pieces: Sequence[Piece], file: str, report: Report) -> tuple[Piece, ...] | None:
    """The pieces as those of an HTML template; None after reporting why it cannot be one.

    Tags keep their file and line. What MJML makes of the text between has the place of the tag before it.
    """
    import mrml

    hidden = assemble(pieces, show=lambda number, _: _MARK.format(number)).text
    if _MARKED.search("".join(piece.text for piece in pieces if piece.kind == "text")):
        report(file, 0, "the text holds a word that is kept for tags", "change words like jinja1tag")
        return None
    try:
        # Styles are written into the elements by us, around the tags; and no mail loads fonts from anywhere.
        html: str = mrml.to_html(_INLINED.sub(r"\1", hidden), None, mrml.RenderOptions(fonts={})).content
    except OSError as error:
        report(file, 0, f"the MJML cannot be read: {error}", "close every element, and write & as &amp;")
        return None
    found = [int(number) for number in _MARKED.findall(html)]
    if not _all_there(pieces, found, report):
        return None
    return tuple(_split(html, pieces, file))


def _all_there(pieces: Sequence[Piece], found: Sequence[int], report: Report) -> bool:
    """Whether every tag has come through: statements once and in order, values at least once."""
    good = True
    for number, piece in enumerate(pieces):
        if piece.kind == "text":
            continue
        count = found.count(number)
        if count == 0 or (piece.kind == "statement" and count > 1):
            report(piece.file, piece.line, f"MJML takes no {piece.text.strip()[:40]} at this place", _CURE)
            good = False
    statements = [number for number in found if pieces[number].kind == "statement"]
    if good and statements != sorted(statements):
        piece = pieces[statements[0]]
        report(piece.file, piece.line, "MJML would change the order of these statements", _CURE)
        return False
    return good


def _split(html: str, pieces: Sequence[Piece], file: str) -> Iterator[Piece]:
    line = 1
    for index, part in enumerate(_MARKED.split(html)):
        if index % 2:
            tag = pieces[int(part)]
            line = tag.line
            yield tag
        elif part:
            yield Piece(part, file, line, "text")
