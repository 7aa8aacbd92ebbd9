"""A document as one self-contained HTML page: no script, no request, readable on a phone, in the dark and on paper."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from campanile.report.document import Document
from campanile.report.numbers import WITHHELD


def html(document: Document) -> str:
    """The page. Every text is escaped; the same document gives the same bytes."""
    environment = _environment()
    return environment.get_template("report.html.j2").render(
        document=document,
        meaning={definition.key: definition.text for definition in document.definitions},
        style=_style(),
        withheld=WITHHELD,
    )


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("campanile.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


@cache
def _style() -> str:
    """The style sheet; written into the page."""
    loader = _environment().loader
    assert loader is not None
    return loader.get_source(_environment(), "report.css")[0].strip()
