"""YAML as plain data: text, whole numbers, decimals, true, false, null, lists and keys; nothing is guessed.

YAML 1.1 makes 480 of `8:00`, false of `NO` and 8 of `010`; here all three stay text. Aliases, anchors, tags and keys
that come twice are problems, and every place in the data knows its line. Never raises for what a file holds.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from yaml import events

from campanile.errors import Problem
from campanile.spec.syntax import explain_syntax

Path_ = tuple[str | int, ...]
Report = Callable[[Path_, str, str], None]

MAX_BYTES = 256_000
MAX_DEPTH = 50

_UNSTORABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
_TAG = "tag:yaml.org,2002:"


@dataclass
class FileReport:
    """Collects the problems of one file; a `Report` that knows the line of every place."""

    file: str
    #: In order of appearance; a dict, so that saying the same twice counts once.
    problems: dict[Problem, None] = field(default_factory=dict)
    lines: dict[Path_, int] = field(default_factory=dict)
    #: Places that need no further word, such as a pasted secret that no message may repeat.
    silent: set[Path_] = field(default_factory=set)

    def __call__(self, at: Path_, what: str, cure: str = "") -> None:
        """Records a problem at a place of the document."""
        if at not in self.silent:
            self.at_line(nearest_line(self.lines, at), what, cure)

    def at_line(self, line: int, what: str, cure: str = "") -> None:
        """Records a problem at a line; once, and in one line whatever text it quotes."""
        self.problems[Problem(self.file, line, _one_line(what), _one_line(cure))] = None


def _one_line(text: str) -> str:
    return " ".join(part.strip() for part in text.splitlines())


@dataclass(frozen=True)
class Document:
    """The data of one file. Keys are text; values are text, int, Decimal, bool, None, list or dict."""

    data: object
    file: str
    lines: Mapping[Path_, int]

    def line(self, at: Path_) -> int:
        """The line of a place, or of the nearest place around it; 0 when the file is empty."""
        return nearest_line(self.lines, at)


def nearest_line(lines: Mapping[Path_, int], at: Path_) -> int:
    """The line of a place, or of the nearest place around it; 0 when there is none.

    >>> nearest_line({(): 1, ("offer",): 4}, ("offer", "amount"))
    4
    """
    return next((lines[at[:end]] for end in range(len(at), -1, -1) if at[:end] in lines), 0)


def load_document(path: Path, root: Path, report: FileReport) -> Document | None:
    """The data of the file; None when it cannot be read at all, which is then reported."""
    source = _read(path, report)
    if source is None:
        return None
    reader: _StrictReader | None = None
    try:
        reader = _StrictReader(source, report)
        data = reader.document()
    except (yaml.YAMLError, ValueError, OverflowError, IndexError, TypeError, AttributeError) as error:
        report.at_line(*explain_syntax(error, source, reader.line + 1 if reader else 1))
        return None
    return Document(data, path.relative_to(root).as_posix(), report.lines)


def _read(path: Path, report: FileReport) -> str | None:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            report.at_line(0, "is no file that can be read", "put a plain file there, or remove it")
            return None
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        report.at_line(0, "no such file")
        return None
    except OSError as error:
        report.at_line(0, f"cannot be read ({error.strerror or type(error).__name__})", "check its permissions")
        return None
    if len(content) > MAX_BYTES:
        report.at_line(0, f"larger than {MAX_BYTES // 1000} kB", "split it into several files")
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        report.at_line(line, "this text is not UTF-8", "save the file with the encoding UTF-8")
        return None


class _TooDeep(yaml.YAMLError):
    """Lists and keys are nested deeper than anyone can read."""


class _StrictReader(yaml.SafeLoader):
    """Builds plain data straight from the events of the parser, so that nothing is resolved behind our back."""

    # Only these are not text when written without quotes; longer numbers stay text, digit by digit.
    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML wants a class attribute
        **{first: [(f"{_TAG}bool", re.compile(r"(?:true|false)\Z"))] for first in "tf"},
        **{
            first: [
                (f"{_TAG}int", re.compile(r"(?:0|-?[1-9][0-9]{0,17})\Z")),
                (f"{_TAG}float", re.compile(r"-?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,18}\Z")),
            ]
            for first in "-0123456789"
        },
        "n": [(f"{_TAG}null", re.compile(r"null\Z"))],
        "": [(f"{_TAG}null", re.compile(r"\Z"))],
    }

    def __init__(self, source: str, report: FileReport) -> None:
        super().__init__(source)
        self.report = report

    def _take(self) -> Any:
        """The next event, taken off the stream."""
        return self.get_event()  # type: ignore[no-untyped-call]

    def _line(self) -> int:
        """The line of the next event."""
        return int(self.peek_event().start_mark.line) + 1  # type: ignore[no-untyped-call]

    def document(self) -> object:
        """The data of the one document of the stream; None when it is empty."""
        self._take()
        if self.check_event(events.StreamEndEvent):
            return None
        self._take()
        self.report.lines[()] = self._line()
        data = self._value(())
        self._take()
        if not self.check_event(events.StreamEndEvent):
            line = self._line()
            self.report.at_line(line, "a second document starts here", "keep one document in a file, without ---")
        return data

    def _value(self, at: Path_) -> object:
        if len(at) > MAX_DEPTH:
            raise _TooDeep
        event = self._take()
        self._refuse_tricks(event, at)
        if isinstance(event, events.ScalarEvent):
            return self._scalar(event, at)
        if isinstance(event, events.SequenceStartEvent):
            return self._list(at)
        return self._keys(at) if isinstance(event, events.MappingStartEvent) else None

    def _refuse_tricks(self, event: Any, at: Path_) -> None:
        line = event.start_mark.line + 1
        if isinstance(event, events.AliasEvent):
            self.report.at_line(
                line, f"the alias *{event.anchor} is not read", "write the value out, or put it in quotes"
            )
            self.report.silent.add(at)
        elif getattr(event, "anchor", None) is not None:
            self.report.at_line(line, f"the anchor &{event.anchor} is not read", "remove it, or put the text in quotes")
        if getattr(event, "tag", None) is not None:
            self.report.at_line(line, "a tag that starts with ! is not read", "remove it, or put the text in quotes")
            self.report.silent.add(at)

    def _scalar(self, event: Any, at: Path_) -> object:
        if _UNSTORABLE.search(event.value):
            self.report.at_line(event.start_mark.line + 1, "an invisible control character in the text", "remove it")
            self.report.silent.add(at)
            return None
        kind = self._kind(event)
        if kind == "int":
            return int(event.value)
        if kind == "float":
            return Decimal(event.value)
        if kind == "null":
            return None
        return event.value == "true" if kind == "bool" else event.value

    def _kind(self, event: Any) -> str:
        """int, float, bool, null or str; only text without quotes can be anything but str."""
        tag = self.resolve(yaml.ScalarNode, event.value, (event.style is None, False))  # type: ignore[no-untyped-call]
        return str(tag).removeprefix(_TAG)

    def _list(self, at: Path_) -> list[object]:
        items: list[object] = []
        while not self.check_event(events.SequenceEndEvent):
            place = (*at, len(items))
            self.report.lines[place] = self._line()
            items.append(self._value(place))
        self._take()
        return items

    def _keys(self, at: Path_) -> dict[str, object]:
        entries: dict[str, object] = {}
        while not self.check_event(events.MappingEndEvent):
            line = self._line()
            key = self._key(at, line)
            known = key in entries
            if known:
                first = self.report.lines[(*at, str(key))]
                self.report.at_line(line, f'the key "{key}" comes twice', f"keep one; the other is in line {first}")
            if key is None or known:
                self._value((*at, "(left out)"))
                continue
            self.report.lines[(*at, key)] = line
            entries[key] = self._value((*at, key))
        self._take()
        return entries

    def _key(self, at: Path_, line: int) -> str | None:
        """The key as text; None when it is not text, which is then reported."""
        if not self.check_event(events.ScalarEvent):
            self._value((*at, "(key)"))
            self.report.at_line(line, "a key must be a word", "put text that starts with { or [ in quotes")
            return None
        event = self._take()
        self._refuse_tricks(event, at)
        if not event.value or _UNSTORABLE.search(event.value):
            self.report.at_line(line, "a colon without a key before it", "write key: value")
            return None
        return str(event.value)
