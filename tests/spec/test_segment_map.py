"""Maps of segments: the published figures of the product's own, and what is wrong with a shop's."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from campanile.errors import ProblemsError
from campanile.spec.segment_map import MAPS, own_map, segment_map


def claims(name: str) -> Counter[int]:
    """How many cells so many segments claim."""
    chosen = own_map(name)
    cells = itertools.product(range(1, chosen.scores + 1), repeat=len(chosen.axes))
    return Counter(sum(rule.holds(cell) for rule in chosen.rules) for cell in cells)


def test_putlers_ranges_overlap_as_published() -> None:
    """domain.md §2.4: of 25 cells 5 match one segment, 12 two, 7 three and 1 five; with hibernating as published."""
    putler = own_map("putler")
    assert len(putler.rules) == 11
    published = [
        replace(rule, boxes=(((1, 2), (1, 2)),)) if rule.name == "hibernating" else rule for rule in putler.rules
    ]
    cells = itertools.product(range(1, 6), repeat=2)
    counts = Counter(sum(rule.holds(cell) for rule in published) for cell in cells)
    assert counts == {1: 5, 2: 12, 3: 7, 5: 1}


@pytest.mark.parametrize(("name", "cells"), [("default", 25), ("klaviyo", 27), ("shopify", 25), ("eight", 8)])
def test_the_other_maps_cover_every_cell_exactly_once(name: str, cells: int) -> None:
    assert claims(name) == {1: cells}


def test_the_eight_way_map_is_the_published_one() -> None:
    names = {
        "111": "重要价值", "101": "重要发展", "011": "重要保持", "001": "重要挽留",
        "110": "一般价值", "100": "一般发展", "010": "一般保持", "000": "一般挽留",
    }  # fmt: skip
    for code, name in names.items():
        assert own_map("eight").name_of(*(int(digit) + 1 for digit in code)) == name
    assert len(MAPS) == 5


BAD = {
    "scores: 5\naxes: [r, f]\nsegments:\n  - {name: all, r: 1..5, f: 1..4}\n":
        "own.yaml:3: no segment has the cells (rf) 15, 25, 35, 45, 55; give each to a segment",
    "scores: 2\naxes: [r, f]\nsegments:\n  - {name: a, r: 1..2, f: 1..2}\n  - {name: b, r: 1, f: 1}\n":
        "own.yaml:3: several segments have the cells (rf) 11; part them, or write precedence: true so that the first "
        "one has them\nown.yaml:5: nobody can be \"b\"; put it before those that have its cells",
    "scores: 2\naxes: [r, f]\nsegments:\n  - {name: a, r: 1..3, f: 1..2}\n":
        "own.yaml:4: r wants scores from 1 to 2, got text \"1..3\"; write r: 2, or r: 1..2",
    "scores: 2\naxes: [r, m]\nsegments: []\n":
        "own.yaml:2: axes wants [r, f], [r, fm] or [r, f, m]; fm is the mean of frequency and money",
    "scores: 2\naxes: [r, f]\nsegment: []\nsegments:\n  - {name: a, codes: [11, 12, 21, 29]}\n":
        "own.yaml:3: unknown key \"segment\"; did you mean \"segments\"?\n"
        "own.yaml:5: cannot read the code \"29\"; one digit each for r, f, 1 to 2",
    "[]\n": "own.yaml:1: the file holds no map of segments; write scores:, axes: and segments:",
}  # fmt: skip


@pytest.mark.parametrize("text", BAD)
def test_a_map_of_the_shop_is_checked(tmp_path: Path, text: str) -> None:
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(ProblemsError) as error:
        segment_map("own.yaml", tmp_path)
    assert sorted(map(str, error.value.problems)) == sorted(BAD[text].splitlines())


def test_a_map_of_the_shop_is_used(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        "scores: 2\naxes: [r, f, m]\nprecedence: true\n"
        "segments:\n  - {name: best, codes: 222}\n  - {name: rest, r: 1..2, f: 1..2, m: 1..2}\n"
    )
    assert segment_map("own.yaml", tmp_path).name_of(2, 2, 2) == "best"


@pytest.mark.parametrize("choice", ["putle", "../own.yaml", "nothing.yaml"])
def test_a_map_that_is_not_there_is_named(tmp_path: Path, choice: str) -> None:
    with pytest.raises(ProblemsError, match="no map of segments"):
        segment_map(choice, tmp_path)
