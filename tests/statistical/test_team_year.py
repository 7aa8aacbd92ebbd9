"""Following the proposals for a year earns more than every other team that does not know the truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.team_year import DOCS, ROUNDS, TEAMS, Team, World, chart, first_campaign, first_experiment, table, year

from campanile.spec.project import load_project

pytestmark = pytest.mark.statistical
SEEDS = range(100, 118)


@pytest.fixture(scope="module")
def years() -> list[dict[str, list[float]]]:
    """Shops that the documentation does not show."""
    return [year(seed)[0] for seed in SEEDS]


def sums(years: list[dict[str, list[float]]], team: str) -> np.ndarray:
    return np.array([sum(earned[team]) for earned in years])


@pytest.mark.parametrize("other", ["nobody", "everyone", "best rate wins"])
def test_the_proposals_earn_more(other: str, years: list[dict[str, list[float]]]) -> None:
    assert sums(years, "proposals").mean() > sums(years, other).mean()


def test_nobody_beats_who_knows_the_truth(years: list[dict[str, list[float]]]) -> None:
    for name in TEAMS:
        assert (sums(years, name) <= sums(years, "oracle") + 1e-6).all(), name


def test_where_mailing_everybody_loses_the_proposals_lose_a_quarter_of_it_at_most(
    years: list[dict[str, list[float]]],
) -> None:
    bad = [earned for earned in years if sum(earned["everyone"]) < 0]
    assert len(bad) >= 5
    assert sums(bad, "proposals").sum() > sums(bad, "everyone").sum() / 4


def test_a_seed_gives_the_same_year() -> None:
    first, second = (
        Team(World.drawn(3), load_project(DOCS.parent), first_campaign(), first_experiment()).year() for _ in range(2)
    )
    assert first == second
    assert len(first) == ROUNDS


def test_the_page_shows_a_table_and_a_chart(years: list[dict[str, list[float]]], tmp_path: Path) -> None:
    page = (DOCS / "method-team-year.md").read_text(encoding="utf-8")
    for name in TEAMS:
        assert f"| {name} | " in page
        assert f"| {name} | " in table(years)
        assert f">{name}<" in chart(years)
    assert (DOCS / "team-year.svg").read_text(encoding="utf-8").count("<path") > len(TEAMS)
