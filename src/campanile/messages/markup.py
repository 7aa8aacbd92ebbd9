"""HTML templates as mail: where values may stand in the markup, and their CSS written into the elements once.

Mail clients drop style sheets, so css-inline copies each rule into the elements it fits. It is an HTML parser and knows
no Jinja; every tag is therefore hidden behind a placeholder and put back afterwards, and a document whose structure the
parser would change is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html.parser import HTMLParser
from typing import Literal

from jinja2 import Environment, nodes

from campanile.messages.compose import Piece, Report, assemble
from campanile.messages.names import OUR_LINKS

_URL_ATTRIBUTES = frozenset(
    {"href", "src", "background", "action", "formaction", "poster", "cite", "data", "srcset", "xlink:href"}
)
_RAW_ELEMENTS = frozenset({"style", "script", "title", "textarea"})
_REFUSED_ELEMENTS = frozenset({"script", "link", "iframe", "frame", "form", "object", "embed", "base", "applet"})
#: Elements that an HTML parser adds by itself.
_IMPLIED = frozenset({"html", "head", "body", "tbody", "colgroup"})
#: What may stand before data in an address, so that data decides neither scheme nor host; \0 is a checked value.
_SAFE_PREFIX = re.compile(r"(?i)\s*(?:https?://[a-z0-9.:-]+[/?#]|\0[^\0]*[/?#]|mailto:|tel:|cid:|#)")
#: Invisible characters that css-inline has decoded, written as references again so that English mail stays ASCII.
_REFERENCES = {0xA0: "&nbsp;", 0xAD: "&shy;", 0x200B: "&#8203;", 0x200C: "&zwnj;", 0x200D: "&zwj;", 0x34F: "&#847;"}

_MARKUP = re.compile(r"<!--|<(/?)([A-Za-z!?][^\s/>]*)")
_TAG_STOP = re.compile(r"[\"'>]")
_ATTRIBUTE = re.compile(r"([^\s\"'<>/=]+)\s*=\s*$")

State = Literal["text", "tag", "quoted", "comment", "raw"]


@dataclass(frozen=True, slots=True)
class Spot:
    """Where in the markup a Jinja tag stands."""

    state: State
    #: Element for `tag`, `quoted` and `raw`.
    element: str = ""
    attribute: str = ""
    #: What stands before it in the attribute's value.
    before: str = ""


class _Scanner:
    """Reads markup stretch by stretch and knows at its end where it is."""

    def __init__(self) -> None:
        self.state: State = "text"
        self.element = ""
        self._tag = ""
        self._quote = ""
        self._value = ""
        self.elements: list[tuple[str, int]] = []
        self._steps: dict[State, Callable[[str, int], int]] = {
            "text": self._in_text,
            "tag": self._in_tag,
            "quoted": self._in_quotes,
            "comment": self._in_comment,
            "raw": self._in_raw,
        }

    @property
    def spot(self) -> Spot:
        """Where the markup read so far ends."""
        name = _ATTRIBUTE.search(self._tag)
        attribute = name[1].lower() if name and self.state == "quoted" else ""
        return Spot(self.state, self.element, attribute, self._value)

    def feed(self, text: str) -> None:
        """Read on."""
        at = 0
        while at < len(text):
            at = self._steps[self.state](text, at)

    def restart_value(self) -> None:
        """Forget what stands before in an attribute's value: another branch begins."""
        self._value = ""

    def value_goes_on(self) -> None:
        """Note that a checked value stands at this place of an attribute."""
        self._value += "\0"

    def _in_text(self, text: str, at: int) -> int:
        found = _MARKUP.search(text, at)
        if found is None:
            return len(text)
        if found[0] == "<!--":
            self.state = "comment"
        else:
            self.state, self._tag, self.element = "tag", "", found[1] + found[2].lower()
            if not found[1]:
                self.elements.append((self.element, text.count("\n", 0, found.start())))
        return found.end()

    def _in_tag(self, text: str, at: int) -> int:
        found = _TAG_STOP.search(text, at)
        end = found.start() if found else len(text)
        self._tag += text[at:end]
        if found is None:
            return end
        if found[0] == ">":
            self.state = "raw" if self.element in _RAW_ELEMENTS else "text"
        else:
            self.state, self._quote, self._value = "quoted", found[0], ""
        return found.end()

    def _in_quotes(self, text: str, at: int) -> int:
        end = text.find(self._quote, at)
        self._value += text[at : end if end >= 0 else len(text)]
        if end < 0:
            return len(text)
        self.state, self._tag = "tag", ""
        return end + 1

    def _in_comment(self, text: str, at: int) -> int:
        end = text.find("-->", at)
        if end < 0:
            return len(text)
        self.state = "text"
        return end + 3

    def _in_raw(self, text: str, at: int) -> int:
        found = re.compile(rf"(?i)</{self.element}").search(text, at)
        if found is None:
            return len(text)
        self.state, self._tag, self.element = "tag", "", f"/{self.element}"
        return found.end()


def scan(pieces: Iterable[Piece], report: Report) -> list[Spot | None]:
    """For each piece its spot in the markup, None for text. Reports elements that no mail may have."""
    scanner = _Scanner()
    spots: list[Spot | None] = []
    for piece in pieces:
        if piece.kind == "text":
            scanner.elements = []
            scanner.feed(piece.text)
            spots.append(None)
            for element, line in scanner.elements:
                if element in _REFUSED_ELEMENTS:
                    cure = "put styles into <style>" if element == "link" else "remove it"
                    report(piece.file, piece.line + line, f"mail clients drop <{element}>, or the whole mail", cure)
            continue
        spots.append(scanner.spot)
        scanner.restart_value() if piece.kind == "statement" else scanner.value_goes_on()
    return spots


def check_spots(
    pieces: Sequence[Piece], spots: Sequence[Spot | None], environment: Environment, report: Report
) -> None:
    """Nothing; reports every value that stands where escaping does not protect, as in an unquoted attribute."""
    for piece, spot in zip(pieces, spots, strict=True):
        if spot is None:
            continue
        problem = _spot_problem(piece, spot, environment)
        if problem:
            report(piece.file, piece.line, *problem)


def _spot_problem(piece: Piece, spot: Spot, environment: Environment) -> tuple[str, str] | None:
    if spot.state == "tag":
        return f"Jinja inside <{spot.element}> but outside of quotes", 'write the attribute as name="{{ … }}"'
    if spot.state == "raw" and spot.element in {"style", "script"}:
        return f"Jinja inside <{spot.element}>", "choose between classes in the element instead"
    if spot.attribute == "style" or spot.attribute.startswith("on"):
        return f"Jinja inside the attribute {spot.attribute}", "choose between classes instead"
    return _value_problem(piece, spot, environment) if piece.kind == "value" else None


def _value_problem(piece: Piece, spot: Spot, environment: Environment) -> tuple[str, str] | None:
    in_url = spot.attribute in _URL_ATTRIBUTES and not _is_anchored(spot.before)
    if in_url and not _is_safe_link(piece, environment):
        return f"the attribute {spot.attribute} takes this value unchecked", "let it go through the filter |url"
    if spot.state == "comment" and not (_is_safe_link(piece, environment) or _is_ours(piece, environment)):
        return "data inside of a comment", "only offer, shop and links may stand there"
    return None


def _is_anchored(before: str) -> bool:
    return _SAFE_PREFIX.match(before) is not None


def _expression(piece: Piece, environment: Environment) -> nodes.Node | None:
    output = environment.parse(piece.text).body[0]
    return output.nodes[0] if isinstance(output, nodes.Output) else None


def _is_safe_link(piece: Piece, environment: Environment) -> bool:
    """Whether the value is one of our own links, or is checked by |url."""
    expression = _expression(piece, environment)
    if isinstance(expression, nodes.Filter):
        return expression.name == "url"
    if isinstance(expression, nodes.Getattr):
        owner = expression.node
        return isinstance(owner, nodes.Name) and (owner.name, expression.attr) == ("shop", "base_url")
    return isinstance(expression, nodes.Name) and expression.name in OUR_LINKS


def _is_ours(piece: Piece, environment: Environment) -> bool:
    """Whether every name in the value belongs to the campaign and the shop, not to a customer."""
    expression = _expression(piece, environment)
    names = [] if expression is None else [*expression.find_all(nodes.Name)]
    names += [expression] if isinstance(expression, nodes.Name) else []
    return bool(names) and all(name.name in OUR_LINKS | {"offer", "shop"} for name in names)


def inline_css(pieces: Sequence[Piece], spots: Sequence[Spot | None], report: Report) -> tuple[Piece, ...]:
    """The pieces of the document with CSS written into its elements; the same pieces after reporting a problem."""
    import css_inline

    nonce = "q" + sha256("".join(piece.text for piece in pieces).encode()).hexdigest()[:12]

    def show(index: int, piece: Piece) -> str:  # noqa: ARG001 - the interface of assemble
        spot = spots[index]
        return f"<!--{nonce}x{index}x-->" if spot is not None and spot.state == "text" else f"{nonce}x{index}x"

    hidden = assemble(pieces, show)
    inliner = css_inline.CSSInliner(keep_style_tags=True, keep_at_rules=True, load_remote_stylesheets=False)
    try:
        inlined = inliner.inline(hidden.text)
    except (css_inline.InlineError, ValueError) as error:
        report(pieces[0].file, 0, f"the styles cannot be written into the elements: {error}", "")
        return tuple(pieces)
    changed = _first_change(hidden.text, inlined)
    if changed is not None:
        file, line = hidden.place(changed)
        report(file, line, "the markup is not well formed here, mail clients would rearrange it",
               "close in the same branch what the branch opens, and keep rows inside of tables")  # fmt: skip
        return tuple(pieces)
    return tuple(_restored(inlined, pieces, nonce))


def _restored(text: str, pieces: Sequence[Piece], nonce: str) -> Iterator[Piece]:
    """The inlined text cut at its placeholders, with the hidden tags back in place."""
    last = pieces[0]
    parts = re.split(rf"(?:<!--)?{nonce}x(\d+)x(?:-->)?", text)
    for number, part in enumerate(parts):
        if number % 2:
            last = pieces[int(part)]
            yield last
        elif part:
            yield Piece(part.translate(_REFERENCES), last.file, last.line, "text")


class _Outline(HTMLParser):
    """The elements and comments of a document in order, without what parsers add by themselves."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.steps: list[str] = []
        self.lines: list[int] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self._add(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self._add(tag)

    def handle_endtag(self, tag: str) -> None:
        self._add(f"/{tag}")

    def handle_comment(self, data: str) -> None:
        self._add(f"!{data}")

    def _add(self, step: str) -> None:
        if step.lstrip("/") not in _IMPLIED:
            self.steps.append(step)
            self.lines.append(self.getpos()[0])


def _first_change(before: str, after: str) -> int | None:
    """The line of `before` at which the order of elements differs in `after`; None when it is the same."""
    old, new = _Outline(before), _Outline(after)
    if old.steps == new.steps:
        return None
    same = next((i for i, (a, b) in enumerate(zip(old.steps, new.steps, strict=False)) if a != b), len(new.steps))
    return old.lines[min(same, len(old.lines) - 1)] if old.lines else 1
