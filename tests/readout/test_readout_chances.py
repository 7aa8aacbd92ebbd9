"""The effect in chances: alone, and after what past campaigns did."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from campanile.measure.lift import Estimate
from campanile.readout import read_out
from campanile.readout.evidence import read_again
from campanile.registry.past import past_lifts
from campanile.report.compose import document
from campanile.report.files import write_readout
from campanile.report.jsonable import jsonable
from campanile.report.markdown import markdown
from campanile.report.readout import Readout
from readout.readout_world import AFTER, DUE, golden, read, stores

#: Half the treatments before did next to nothing, the others gave a tenth.
PAST = [Estimate(lift, 0.05**2) for lift in (0.0, 0.1, 0.02, 0.08)]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Readout:
    return read(golden(tmp_path_factory.mktemp("plain")).build())


def test_the_chance_is_that_of_two_beta_laws(plain: Readout) -> None:
    """44 of 2,000 and 264 of 8,000, every rate believed alike beforehand: drawn a million times."""
    draw = np.random.default_rng(1)
    control, treated = draw.beta(45, 1957, 10**6), draw.beta(265, 7737, 10**6)
    (found,) = plain.chances
    assert found.chance == pytest.approx((treated > control).mean(), abs=5e-4)
    assert found.loss == pytest.approx(np.maximum(control - treated, 0).mean(), abs=2e-6)
    assert (found.campaigns, found.lift, found.chance_with_past) == (0, None, None)
    assert "a chance of 99.5%" in markdown(document(plain))


def test_past_campaigns_draw_a_lift_towards_what_they_did(tmp_path: Path, plain: Readout) -> None:
    with stores(golden(tmp_path).build()) as (database, ledger):
        project = golden(tmp_path / "again").build()
        asked: list[str] = []

        def past(metric: str) -> list[Estimate]:
            asked.append(metric)
            return PAST

        found = read_out(project, "winback", database=database, ledger=ledger, now=AFTER, past=past)
    (drawn,) = found.chances
    observed = plain.comparisons[0].lift
    assert asked == ["response_rate"]
    assert 0.05 < drawn.lift < observed / 2
    assert drawn.lift_low < drawn.lift < drawn.lift_high
    assert drawn.campaigns == 4
    assert "After 4 past results the lift to believe is" in markdown(document(found))
    assert found.verdict == plain.verdict, "chances judge nothing"
    write_readout(found, tmp_path / "files")
    assert jsonable(read_again(tmp_path / "files" / "evidence.json"))["chances"] == jsonable(found)["chances"]


def test_two_campaigns_are_too_few_for_a_prior(tmp_path: Path) -> None:
    project = golden(tmp_path).build()
    with stores(project) as (database, ledger):
        found = read_out(project, "winback", database=database, ledger=ledger, now=AFTER, past=lambda _metric: PAST[:2])
    assert found.chances[0].lift is None


def test_past_lifts_are_those_of_other_experiments_that_ended_and_can_be_trusted(tmp_path: Path) -> None:
    shop = golden(tmp_path)
    project = shop.build()
    early, ended = read(project, DUE), read(project)
    write_readout(ended, project.readouts_dir / "spring")
    write_readout(ended, project.readouts_dir / "winback")
    write_readout(early, project.readouts_dir / "autumn")
    (found,) = past_lifts(project, "winback", "response_rate")
    assert found.mean == pytest.approx(0.033 / 0.022 - 1)
    assert found.variance**0.5 == pytest.approx(1.5 * (0.978 / 44 + 0.967 / 264) ** 0.5, rel=1e-3)
    assert past_lifts(project, "winback", "revenue_per_customer") == ()
    project.readouts_dir.joinpath("broken").mkdir()
    project.readouts_dir.joinpath("broken", "readout.json").write_text("{}")
    assert len(past_lifts(project, "winback", "response_rate")) == 1
