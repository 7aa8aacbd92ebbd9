"""Reads template files and puts them together into one flat list of pieces that remember their file and line.

`{% extends %}`, `{% block %}`, `{{ super() }}` and `{% include %}` are resolved here, once per template, so that
rendering loads no file and CSS can be inlined over the whole document. Files come from one folder only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jinja2 import Environment, TemplateSyntaxError

from campanile.errors import did_you_mean

#: (file, line, what is wrong, cure)
Report = Callable[[str, int, str, str], None]

_MAX_BYTES = 256_000
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,120}\.j2")
_SUPER = re.compile(r"\{\{[-+]?\s*super\(\)\s*[-+]?\}\}")
_OPENING = re.compile(r"\{[{%][-+]?")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a template: text between tags, `{{ … }}` or `{% … %}`, and where it was written."""

    text: str
    file: str
    line: int
    kind: Literal["text", "value", "statement"]
    #: The words of a statement without quotes: ("extends", "_base.html.j2").
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """A named part of a template that a template extending it may replace."""

    name: str
    items: tuple[Item, ...]
    opening: Piece


Item = Piece | Block
Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Source:
    """One template text, and for each of its lines the file and line it came from."""

    text: str
    places: tuple[Place, ...]

    def place(self, line: int) -> Place:
        """File and line of a 1-based line of the text; its ends when it lies outside."""
        return self.places[min(max(line, 1), len(self.places)) - 1]


class Composer:
    """Puts templates of one folder together. `shown` is the folder as problems name it."""

    def __init__(self, folder: Path, shown: str, environment: Environment, report: Report) -> None:
        self._folder = folder
        self._shown = shown
        self._environment = environment
        self._report = report

    def exists(self, name: str) -> bool:
        """Whether the folder has this template."""
        return _FILE_NAME.fullmatch(name) is not None and (self._folder / name).is_file()

    def compose(self, name: str) -> tuple[Piece, ...] | None:
        """The pieces of a template with everything it extends and includes; None after reporting problems."""
        chain = self._chain(name)
        if chain is None:
            return None
        replacing: dict[str, list[Block]] = {}
        for items in chain:
            for block in _blocks(items):
                replacing.setdefault(block.name, []).append(block)
        return tuple(_flatten(chain[-1], replacing))

    def _chain(self, name: str) -> list[tuple[Item, ...]] | None:
        """The items of a template, of the one that it extends, and so on; the last extends nothing."""
        chain: list[tuple[Item, ...]] = []
        seen = {name}
        while True:
            items = self._items(name)
            if items is None:
                return None
            parent = next((item for item in items if _says(item, "extends")), None)
            if not isinstance(parent, Piece):
                chain.append((*self._settings(chain), *items))
                return chain if self._blocks_are_known(chain) else None
            if not self._only_blocks(items):
                return None
            chain.append(tuple(item for item in items if item is not parent))
            target = self._named(parent, "extends")
            if target is None or target in seen:
                if target is not None:
                    self._report(parent.file, parent.line, f'"{target}" extends itself', "")
                return None
            seen.add(target)
            name = target

    def _settings(self, chain: Iterable[tuple[Item, ...]]) -> list[Item]:
        """What extending templates set outside of blocks, furthest ancestor first."""
        return [item for items in reversed(list(chain)) for item in items if _says(item, "set")]

    def _only_blocks(self, items: Iterable[Item]) -> bool:
        """Whether a template that extends another holds blocks and settings only, else reports it."""
        for item in items:
            setting = _says(item, "set") and isinstance(item, Piece) and "=" in item.words
            if isinstance(item, Block) or setting or _says(item, "extends"):
                continue
            if item.text.strip():
                blank = item.text[: len(item.text) - len(item.text.lstrip())]
                line = item.line + blank.count("\n")
                what = "this stands outside of every block and would never be shown"
                self._report(item.file, line, what, "move it into a block")
                return False
        return True

    def _blocks_are_known(self, chain: Sequence[tuple[Item, ...]]) -> bool:
        known = {block.name for block in _blocks(chain[-1])}
        good = True
        for items in reversed(chain[:-1]):
            for block in (item for item in items if isinstance(item, Block)):
                if block.name not in known:
                    at = block.opening
                    self._report(at.file, at.line, f'no block "{block.name}" in the template extended',
                                 did_you_mean(block.name, known))  # fmt: skip
                    good = False
            known |= {block.name for block in _blocks(items)}
        return good

    def _items(self, name: str) -> tuple[Item, ...] | None:
        pieces = self._expanded(name, ())
        return None if pieces is None else self._tree(pieces)

    def _expanded(self, name: str, above: tuple[str, ...]) -> list[Piece] | None:
        """The pieces of one file with its includes in place."""
        read = self._read(name)
        if read is None:
            return None
        result: list[Piece] = []
        for piece in read:
            if not _says(piece, "include"):
                result.append(piece)
                continue
            target = self._named(piece, "include")
            if target in (name, *above):
                self._report(piece.file, piece.line, f'"{target}" includes itself', "")
                return None
            inner = None if target is None else self._expanded(target, (name, *above))
            if inner is None:
                return None
            result += inner
        return result

    def _named(self, piece: Piece, statement: str) -> str | None:
        """The file that a statement names; None after reporting why it cannot be used."""
        target = piece.words[1] if len(piece.words) == 2 else ""
        if not _FILE_NAME.fullmatch(target):
            cure = f'write {{% {statement} "name.j2" %}} with a file of {self._shown}/'
            self._report(piece.file, piece.line, f"{{% {statement} %}} wants the name of one file", cure)
            return None
        if not self._is_inside(target):
            known = (path.name for path in self._folder.glob("*.j2"))
            self._report(piece.file, piece.line, f'no template "{target}"', did_you_mean(target, known))
            return None
        return target

    def _is_inside(self, name: str) -> bool:
        path = self._folder / name
        return path.is_file() and path.resolve().parent == self._folder.resolve()

    def _read(self, name: str) -> tuple[Piece, ...] | None:
        file = f"{self._shown}/{name}"
        if not self._is_inside(name):
            self._report(file, 0, "no such file", f"write {file}")
            return None
        raw = (self._folder / name).read_bytes()
        if len(raw) > _MAX_BYTES:
            self._report(file, 0, f"larger than {_MAX_BYTES // 1000} kB", "mail clients cut such mail off")
            return None
        try:
            text = raw.decode("utf-8-sig")
            self._environment.parse(text)
            return tuple(_pieces(text, file, self._environment))
        except UnicodeDecodeError:
            self._report(file, 0, "not UTF-8 text", "save it as UTF-8")
        except TemplateSyntaxError as error:
            self._report(file, error.lineno, sentence_of(error), "")
        except RecursionError:
            self._report(file, 0, "nested too deeply", "")
        return None

    def _tree(self, pieces: Sequence[Piece]) -> tuple[Item, ...]:
        """The pieces with each block gathered. Blocks are balanced: Jinja has parsed the file."""
        open_blocks: list[tuple[Piece | None, list[Item]]] = [(None, [])]
        for piece in pieces:
            if _says(piece, "block"):
                open_blocks.append((piece, []))
            elif _says(piece, "endblock"):
                opening, items = open_blocks.pop()
                if opening is not None:
                    open_blocks[-1][1].append(Block(opening.words[1], tuple(items), opening))
            else:
                open_blocks[-1][1].append(piece)
        return tuple(open_blocks[0][1])


def sentence_of(error: TemplateSyntaxError) -> str:
    """What Jinja says about a syntax error, as part of a sentence.

    >>> sentence_of(TemplateSyntaxError("Unexpected end of template.", 3))
    'unexpected end of template'
    """
    words = (error.message or "cannot be read").strip().rstrip(".")
    return words[:1].lower() + words[1:]


def _says(item: Item, keyword: str) -> bool:
    return isinstance(item, Piece) and item.kind == "statement" and item.words[:1] == (keyword,)


def _blocks(items: Iterable[Item]) -> Iterator[Block]:
    for item in items:
        if isinstance(item, Block):
            yield item
            yield from _blocks(item.items)


def _flatten(items: Iterable[Item], replacing: Mapping[str, Sequence[Block]]) -> Iterator[Piece]:
    for item in items:
        if isinstance(item, Piece):
            yield item
        else:
            yield from _emit(item.name, 0, replacing)


def _emit(name: str, level: int, replacing: Mapping[str, Sequence[Block]]) -> Iterator[Piece]:
    """The pieces of a block in its version at `level`, 0 being the one nearest to the template rendered."""
    versions = replacing[name]
    for item in versions[level].items if level < len(versions) else ():
        if isinstance(item, Block):
            yield from _emit(item.name, 0, replacing)
        elif _SUPER.fullmatch(item.text):
            yield from _emit(name, level + 1, replacing)
        else:
            yield item


def _pieces(text: str, file: str, environment: Environment) -> Iterator[Piece]:
    """The pieces of one file's text; comments are left out. TemplateSyntaxError when it cannot be read."""
    gathered: list[tuple[str, str]] = []
    start = 0
    for line, kind, value in environment.lex(text):
        if kind == "data" and not gathered:
            yield Piece(value, file, line, "text")
            continue
        start = start if gathered else line
        gathered.append((kind, value))
        if kind in {"variable_end", "block_end", "raw_end", "comment_end"}:
            piece = _tag(gathered, file, start)
            if piece is not None:
                yield piece
            gathered = []


def _tag(tokens: Sequence[tuple[str, str]], file: str, line: int) -> Piece | None:
    text = "".join(value for _, value in tokens)
    if tokens[0][0] == "comment_begin":
        return None
    if tokens[0][0] == "variable_begin":
        return Piece(text, file, line, "value")
    inner = tokens[1:-1] if tokens[0][0] == "block_begin" else ()
    words = tuple(value.strip("\"'") if kind == "string" else value for kind, value in inner if kind != "whitespace")
    return Piece(text, file, line, "statement", words)


def assemble(pieces: Iterable[Piece], show: Callable[[int, Piece], str] | None = None) -> Source:
    """One template text of the pieces, in which every tag has lines of its own.

    The line break goes inside of the tag, where Jinja ignores it. `show` writes tags otherwise, by number and piece.
    """
    parts: list[str] = []
    places: list[Place] = []
    open_line = False
    for index, piece in enumerate(pieces):
        if piece.kind == "text":
            written, first = piece.text, piece.line
        elif show is not None:
            written, first = show(index, piece), piece.line
        else:
            written, first = _OPENING.sub(lambda match: match[0] + "\n", piece.text, count=1), piece.line - 1
        parts.append(written)
        lines = [(piece.file, first + offset) for offset in range(written.count("\n") + 1)]
        places += lines[1:] if open_line else lines
        open_line = True
    return Source("".join(parts), tuple(places) or (("", 0),))
