"""The page of methods runs, and names every function that an analyst may call."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from campanile import design, measure

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "method-statistics.md"
ADJUSTED = ("ratio", "cuped", "strata", "compliance")
OTHERS = ("sequential", "group_sequential", "bayes", "prior", "pooling", "nonworse", "cuts")


def test_the_examples_of_the_page_run() -> None:
    found = doctest.testfile(str(PAGE), module_relative=False)
    assert found.attempted >= 5
    assert found.failed == 0


@pytest.mark.parametrize("module", [*ADJUSTED, *OTHERS])
def test_every_module_is_on_the_page_and_in_the_table_of_modules(module: str) -> None:
    assert f"`{module}.py`" in PAGE.read_text(encoding="utf-8")
    assert measure.__doc__ is not None
    assert re.search(rf"^    {module} ", measure.__doc__, flags=re.MULTILINE)


def test_the_table_of_modules_names_each_and_no_other() -> None:
    folder = ROOT / "src" / "campanile" / "measure"
    # These see tables, and are no part of what a notebook calls.
    tables = {"by_channel", "outcomes", "own", "persons", "sums", "units"}
    assert measure.__doc__ is not None
    named = set(re.findall(r"^    (\w+) ", measure.__doc__, flags=re.MULTILINE))
    assert named == {path.stem for path in folder.glob("[a-z]*.py")} - tables


def test_what_sizes_can_show_is_offered_with_the_measurement() -> None:
    assert set(design.__all__) - {"assign"} <= set(measure.__all__)
