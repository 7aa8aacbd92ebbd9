"""Maps of RFM segments: which cells of scores have which name. Data files of the product, or a file of the shop."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from campanile.errors import Problem, ProblemsError, did_you_mean
from campanile.spec.fields import shown
from campanile.spec.loader import FileReport, load_document

_OWN = Path(__file__).parent / "segments"
#: The maps of the product, by the word in campanile.yaml.
MAPS = ("default", "putler", "klaviyo", "shopify", "eight")
_AXES = (("r", "f"), ("r", "fm"), ("r", "f", "m"))
_KEYS = ("scores", "axes", "precedence", "high_low", "segments")
_RANGE = re.compile(r"(\d)(?:\.\.(\d))?")

Cell = tuple[int, ...]


@dataclass(frozen=True)
class SegmentRule:
    """One segment: its name, its Chinese name, and from which to which score on each axis, once or several times."""

    name: str
    zh: str
    boxes: tuple[tuple[tuple[int, int], ...], ...]

    def holds(self, cell: Cell) -> bool:
        """Whether the cell belongs to it, if nothing before it claims the cell."""
        return any(
            all(low <= score <= high for (low, high), score in zip(box, cell, strict=True)) for box in self.boxes
        )


@dataclass(frozen=True)
class SegmentMap:
    """A checked map; of several segments that claim a cell, the first has it."""

    name: str
    scores: int
    #: r, f, m, or fm: the mean of frequency and money, halves rounded up.
    axes: tuple[str, ...]
    rules: tuple[SegmentRule, ...]
    #: Whether letters are only high (2) or low (1) in it.
    high_low: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its segments, in its order."""
        return tuple(rule.name for rule in self.rules)

    def name_of(self, r: int, f: int, m: int) -> str:
        """The segment of three scores.

        >>> own_map("default").name_of(5, 5, 1), own_map("eight").name_of(1, 1, 2)
        ('champion', '重要挽留')
        """
        scores = {"r": r, "f": f, "m": m, "fm": (f + m + 1) // 2}
        cell = tuple(scores[axis] for axis in self.axes)
        return next(rule.name for rule in self.rules if rule.holds(cell))


@cache
def own_map(name: str) -> SegmentMap:
    """One of the product's own maps."""
    report = FileReport(f"rfm_{name}.yaml")
    found = _read(_OWN / report.file, _OWN, name, report)
    if found is None or report.problems:
        raise ProblemsError(report.problems)
    return found


def segment_map(choice: str, root: Path) -> SegmentMap:
    """The map that `policy: rfm: segments` chooses: one of the product's, or a file of the project.

    Raises:
        ProblemsError: Every problem of the shop's own file.
    """
    if choice in MAPS:
        return own_map(choice)
    report = FileReport(choice)
    path = root / choice
    if path.suffix != ".yaml" or not path.is_file() or not path.resolve().is_relative_to(root.resolve()):
        cure = did_you_mean(choice, MAPS) or f"write one of {', '.join(MAPS)}, or the file of your own map"
        raise ProblemsError([Problem("campanile.yaml", 0, f'no map of segments "{choice}"', cure)])
    found = _read(path, root, path.stem, report)
    if found is None or report.problems:
        raise ProblemsError(report.problems)
    return found


def _read(path: Path, root: Path, name: str, report: FileReport) -> SegmentMap | None:
    """The map in a file; None after reporting why there is none. Reports whatever else is wrong with it."""
    document = load_document(path, root, report)
    data = document.data if document else None
    if not isinstance(data, Mapping):
        report((), "the file holds no map of segments", "write scores:, axes: and segments:")
        return None
    for key in data.keys() - set(_KEYS):
        report((key,), f'unknown key "{key}"', did_you_mean(str(key), _KEYS))
    scores, axes = data.get("scores"), data.get("axes")
    axes = tuple(axes) if isinstance(axes, list) else ()
    if isinstance(scores, bool) or not isinstance(scores, int) or not 2 <= scores <= 9:
        report(("scores",), "scores wants a number from 2 to 9", "write scores: 5")
        return None
    if axes not in _AXES:
        report(("axes",), "axes wants [r, f], [r, fm] or [r, f, m]", "fm is the mean of frequency and money")
        return None
    rules = tuple(_Rules(scores, axes, report).read(data.get("segments")))
    found = SegmentMap(name, scores, axes, rules, high_low=data.get("high_low") is True)
    if not report.problems:
        _check_cells(found, report, precedence=data.get("precedence") is True)
    return found


@dataclass(frozen=True)
class _Rules:
    """Reads the list of segments."""

    scores: int
    axes: tuple[str, ...]
    report: FileReport
    _names: set[str] = field(default_factory=set)

    def read(self, items: object) -> Iterator[SegmentRule]:
        """The segments that can be read; reports the others."""
        if not isinstance(items, list) or not items:
            self.report(
                ("segments",), f"segments wants a list, got {shown(items)}", "write - {name: loyal, r: 5, f: 5}"
            )
            return
        for index, item in enumerate(items):
            place = ("segments", index)
            name = item.get("name") if isinstance(item, Mapping) else None
            if not isinstance(item, Mapping) or not isinstance(name, str) or not name:
                self.report(place, "a segment wants a name and its scores", "write - {name: loyal, r: 5, f: 5}")
            elif name in self._names:
                self.report(place, f'the segment "{name}" comes twice', "put all its codes in one list, or rename one")
            else:
                self._names.add(name)
                yield SegmentRule(name, str(item.get("zh", name)), self._boxes(item, index))

    def _boxes(self, item: Mapping[str, object], index: int) -> tuple[tuple[tuple[int, int], ...], ...]:
        known = ("name", "zh", "codes", *self.axes)
        for key in item.keys() - set(known):
            self.report(("segments", index, key), f'unknown key "{key}"', did_you_mean(key, known))
        if "codes" in item:
            codes = item["codes"] if isinstance(item["codes"], list) else [item["codes"]]
            return tuple(self._code(str(code), index) for code in codes)
        return (tuple(self._range(item.get(axis), index, axis) for axis in self.axes),)

    def _code(self, code: str, index: int) -> tuple[tuple[int, int], ...]:
        digits = [int(digit) for digit in code if digit.isdigit()]
        if len(digits) != len(code) or len(code) != len(self.axes) or not all(1 <= d <= self.scores for d in digits):
            letters = ", ".join(self.axes)
            self.report(
                ("segments", index),
                f'cannot read the code "{code}"',
                f"one digit each for {letters}, 1 to {self.scores}",
            )
            return tuple((1, 1) for _ in self.axes)
        return tuple((digit, digit) for digit in digits)

    def _range(self, value: object, index: int, axis: str) -> tuple[int, int]:
        match = _RANGE.fullmatch(str(value))
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
        if not 1 <= low <= high <= self.scores:
            what = f"{axis} wants scores from 1 to {self.scores}, got {shown(value)}"
            self.report(("segments", index, axis), what, f"write {axis}: {self.scores}, or {axis}: 1..2")
            return (1, 1)
        return (low, high)


def _check_cells(found: SegmentMap, report: FileReport, *, precedence: bool) -> None:
    """Reports cells that no segment claims, and those that several claim where no order decides."""
    claims = Counter[Cell]()
    cells = list(itertools.product(range(1, found.scores + 1), repeat=len(found.axes)))
    for cell in cells:
        claims[cell] = sum(rule.holds(cell) for rule in found.rules)
    axes = "".join(found.axes) if "fm" not in found.axes else "r, fm"
    empty = ["".join(map(str, cell)) for cell in cells if not claims[cell]]
    double = ["".join(map(str, cell)) for cell in cells if claims[cell] > 1]
    if empty:
        report(("segments",), f"no segment has the cells ({axes}) {', '.join(empty)}", "give each to a segment")
    if double and not precedence:
        cure = "part them, or write precedence: true so that the first one has them"
        report(("segments",), f"several segments have the cells ({axes}) {', '.join(double)}", cure)
    _check_reached(found, cells, report)


def _check_reached(found: SegmentMap, cells: list[Cell], report: FileReport) -> None:
    """Reports segments that nobody can be in, because those before them have all their cells."""
    taken = {next((rule.name for rule in found.rules if rule.holds(cell)), "") for cell in cells}
    for index, rule in enumerate(found.rules):
        if rule.name not in taken:
            report(("segments", index), f'nobody can be "{rule.name}"', "put it before those that have its cells")
