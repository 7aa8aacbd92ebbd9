"""A matplotlib figure as SVG that lives inside a page: themed by the page's colours, reproducible, readable aloud.

Colours are drawn as place-holders and become CSS variables, so that light, dark and print are the page's business. The
same figure gives the same bytes; nothing in it points outside the page.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

#: Place-holder colour → CSS variable of the page.
INK, MUTED, GRID, SURFACE = "#010101", "#020202", "#030303", "#040404"
_SERIES = ("#110000", "#120000", "#130000", "#140000", "#150000", "#160000")
_STATES = {"good": "#210000", "care": "#220000", "bad": "#230000", "wait": "#240000"}
_VARIABLES = {
    INK: "--ink", MUTED: "--muted", GRID: "--line", SURFACE: "--surface",
    **{colour: f"--series-{number}" for number, colour in enumerate(_SERIES)},
    **{colour: f"--{tone}" for tone, colour in _STATES.items()},
}  # fmt: skip

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "campanile",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "text.parse_math": False,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": GRID,
    "xtick.color": MUTED,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


def series(number: int) -> str:
    """The colour of an arm: control is 0, treatments follow."""
    return _SERIES[number % len(_SERIES)]


def tone(name: str) -> str:
    """The colour of a state: good, care, bad or wait."""
    return _STATES[name]


@contextmanager
def canvas(width: float, height: float) -> Iterator[Figure]:
    """A figure of that many inches in the page's style."""
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # Names in scripts that the measuring font lacks are drawn by the reader's own fonts.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield Figure(figsize=(width, height), layout="constrained")


def to_svg(figure: Figure, *, name: str, title: str, description: str) -> str:
    """The figure as an `svg` element; ids start with `name`, so that several fit on one page."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    drawn = buffer.getvalue()
    view = re.search(r'viewBox="[^"]*"', drawn)
    inner = drawn[drawn.index(">", drawn.index("<svg")) + 1 : drawn.rindex("</svg>")]
    head = (
        f'<svg {view[0] if view else ""} role="img" aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>'
    )
    return head + _themed(_prefixed(inner.strip(), name)) + "</svg>"


def _prefixed(inner: str, name: str) -> str:
    inner = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->\s*", "", inner, flags=re.DOTALL)
    inner = re.sub(r'\bid="', f'id="{name}-', inner)
    inner = re.sub(r"url\(#", f"url(#{name}-", inner)
    return re.sub(r'(?:xlink:)?href="#', f'href="#{name}-', inner)


def _themed(inner: str) -> str:
    for colour, variable in _VARIABLES.items():
        inner = inner.replace(colour, f"var({variable})")
    return re.sub(r"(font: [^;\"]*?px) [^;\"]*", r"\1 var(--sans)", inner)
