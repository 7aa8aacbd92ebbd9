"""Which campaign comes next, by rule; and every proposal is one that could be committed."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from benchmarks.team_year import Team, World, first_campaign, first_experiment

from campanile.errors import CampanileError
from campanile.improve.belief import Belief, believed, prior_of
from campanile.improve.closed import Closed, closed
from campanile.improve.decide import Case, decide
from campanile.improve.diagnosis import Diagnosis, diagnose
from campanile.improve.files import problems, texts
from campanile.improve.knowledge import Knowledge, rows_of
from campanile.improve.learned import answer
from campanile.improve.outlook import Metric, sizes
from campanile.improve.parts import Parting, PartWord
from campanile.improve.proposal import Proposal, propose
from campanile.improve.today import Today, next_start
from campanile.measure.lift import Estimate
from campanile.report.readout import Verdict
from campanile.spec.project import Project, load_project
from conftest import ROOT


def belief(mean: float, spread: float = 10.0) -> Belief:
    return Belief(mean, spread**2, Estimate(mean, spread**2), 1.0, 0)


def part(level: str, profit: float, word: str) -> PartWord:
    return PartWord("city_tier", level, 1_000, 900, profit, profit, 1.0, 1, word)


DIAGNOSIS = Diagnosis("treatment", "plan", 0, 0, (), "offer", "The offer was poor.")
APART = Parting("city_tier", 0.01, (part("1", 50.0, "keep"), part("2", -40.0, "drop")))
ALIKE = replace(APART, p_value=0.7)


def case(verdict: Any, **changes: Any) -> Case:
    known: dict[str, Any] = {
        "broken": (), "profit": belief(20.0), "worthwhile": 0.9, "parting": None, "diagnosis": DIAGNOSIS,
        "rolled_out": False, "extended": 0, "fading": False, "possible": ["offer"],
    }  # fmt: skip
    return Case(verdict=verdict, **{**known, **changes})


@pytest.mark.parametrize(
    ("asked", "kind", "factor"),
    [
        (case("roll_out"), "roll_out", "none"),
        (case("roll_out", parting=APART), "roll_out", "target"),
        (case("roll_out", parting=ALIKE), "roll_out", "none"),
        (case("roll_out", rolled_out=True), "change_factor", "offer"),
        (case("roll_out", rolled_out=True, possible=[]), "roll_out", "none"),
        (case("roll_out", fading=True), "follow_up", "target"),
        (case("roll_out", broken=("opt out rate",)), "change_factor", "offer"),
        (case("extend"), "confirm", "none"),
        (case("extend", parting=APART), "narrow", "target"),
        (case("extend", parting=ALIKE), "confirm", "none"),
        (case("extend", parting=ALIKE, profit=belief(-5.0)), "narrow", "target"),
        (case("extend", extended=2), "change_factor", "offer"),
        (case("extend", extended=2, possible=[]), "confirm", "none"),
        (case("extend", profit=belief(-20.0), worthwhile=0.02), "change_factor", "offer"),
        (case("extend", profit=belief(-20.0), worthwhile=0.02, possible=[]), "stop", "none"),
        (case("extend", profit=belief(-5.0), worthwhile=0.02, possible=[]), "confirm", "none"),
        (case("stop"), "change_factor", "offer"),
        (case("stop", possible=[]), "stop", "none"),
        (case("stop", parting=APART), "narrow", "target"),
        (case("stop", broken=("complaint rate",), possible=[]), "stop", "none"),
        (case("extend", extended=2, possible=["message", "channel"]), "change_factor", "message"),
    ],
)
def test_the_first_rule_that_holds_decides(asked: Case, kind: str, factor: str) -> None:
    found = decide(asked)
    assert (found.kind, found.factor) == (kind, factor)
    assert found.why.endswith(".")
    assert found.otherwise.endswith(".")


@pytest.mark.parametrize(
    ("fault", "factor"), [("channel", "channel"), ("message", "message"), ("offer", "offer"), ("cost", "channel")]
)
def test_the_diagnosis_names_the_factor_that_changes(fault: Any, factor: str) -> None:
    asked = case("stop", diagnosis=replace(DIAGNOSIS, fault=fault), possible=["offer", "message", "channel", "timing"])
    assert decide(asked).factor == factor


def test_a_clear_effect_is_believed_and_a_doubtful_one_drawn_to_nothing() -> None:
    clear, doubtful = (believed(Estimate(mean, 0.005**2), [], None, 0.005) for mean in (0.05, 0.005))
    assert clear.kept > 0.9
    assert doubtful.kept == pytest.approx(0.5)
    four = [Estimate(0.01, 1e-6), Estimate(0.012, 1e-6), Estimate(0.008, 1e-6), Estimate(0.011, 1e-6)]
    assert believed(Estimate(0.05, 0.005**2), [], prior_of(four), 0.005).mean < 0.02
    assert prior_of(four[:2]) is None


def test_control_is_as_large_as_the_question_and_never_too_small_to_measure() -> None:
    large = Metric("response_rate", 0.03, 0.02)
    assert sizes(50_000, large, way="try", arms=1, alpha=0.05, power=0.8).control == 0.1
    few = sizes(2_500, large, way="try", arms=1, alpha=0.05, power=0.8)
    assert few.in_control * 0.03 >= 30
    assert sizes(2_500, large, way="sure", arms=1, alpha=0.05, power=0.8).in_control * 0.03 >= 30
    assert sizes(50_000, replace(large, lift=0.001), way="sure", arms=1, alpha=0.05, power=0.8).control == 0.1
    assert sizes(50_000, replace(large, lift=-0.01), way="wary", arms=1, alpha=0.05, power=0.8).control == 0.8
    assert sizes(500_000, large, way="roll_out", arms=1, alpha=0.05, power=0.8).control == 0.05


def test_the_next_day_is_free_and_late_enough() -> None:
    today = Today(date(2026, 4, 6), "x-2", busy={date(2026, 4, 9): ("vip",)})
    found = next_start(today, date(2026, 3, 5), ready=date(2026, 4, 5), cool_down=14)
    assert found.day == date(2026, 4, 16)
    assert found.day.weekday() == date(2026, 3, 5).weekday()
    assert found.conflicts == ("vip on 2026-04-09",)
    assert next_start(today, date(2026, 4, 6), ready=date(2026, 4, 6), cool_down=30).day >= date(2026, 5, 6)


@pytest.fixture(scope="module")
def project() -> Project:
    return load_project(ROOT)


def one_round(seed: int, **changes: Any) -> tuple[Team, Closed]:
    team = Team(World.drawn(seed), load_project(ROOT), {**first_campaign(), **changes}, first_experiment())
    return team, team.round(0)[0]


@pytest.mark.parametrize("seed", range(4))
def test_every_proposal_of_some_rounds_passes_check(seed: int, project: Project) -> None:
    team, found = one_round(seed)
    for number in range(4):
        proposal = propose(found, project, team.known, team.today(found, number))
        assert [each for each in problems(project, proposal) if proposal.name in each.file] == []
        if proposal.next.kind == "stop":
            assert texts(proposal) == {}
            return
        team.known = Knowledge((*team.known.rows, *rows_of(found)))
        team.follow(proposal)
        found, _ = team.round(number + 1)


@pytest.mark.parametrize(
    ("verdict", "today", "kind", "factor"),
    [
        ("stop", {"messages": ("spring",)}, "change_factor", "message"),
        ("stop", {"media": {"sms": Decimal("0.05")}}, "change_factor", "channel"),
        ("stop", {}, "stop", "none"),
    ],
)
def test_what_the_project_has_decides_what_can_change(
    verdict: Any, today: dict[str, Any], kind: str, factor: str, project: Project
) -> None:
    """A campaign without a discount, on a shop where everybody is annoyed."""
    _, found = one_round(0, offer={"kind": "content"})
    found = replace(found, readout=replace(found.readout, verdict=Verdict(verdict, "No."), parts=()))
    proposal = propose(found, project, Knowledge(), Today(date(2026, 4, 6), "year-2", **today))
    assert (proposal.next.kind, proposal.next.factor) == (kind, factor)
    if factor == "channel":
        assert proposal.campaign is not None
        assert proposal.campaign["channel"]["use"] == "sms"
        assert problems(project, proposal) == ()


def test_no_later_readout_and_not_itself_is_looked_at(project: Project) -> None:
    team, found = one_round(3)
    today = team.today(found, 0)
    alone = propose(found, project, Knowledge(), today)
    assert propose(found, project, Knowledge(rows_of(found)), today) == alone
    later, _ = team.round(1)
    assert propose(found, project, Knowledge(rows_of(later)), today) == alone


def test_earlier_readouts_of_the_same_make_the_belief_surer(project: Project) -> None:
    team, second = one_round(3)
    first = [replace(row, experiment="earlier") for row in rows_of(second)]

    def chosen(proposal: Proposal) -> Belief:
        return next(word.profit for word in proposal.offers if word.chosen)

    today = team.today(second, 1)
    alone, after = (propose(second, project, Knowledge(tuple(rows)), today) for rows in ((), first))
    assert chosen(after).variance < chosen(alone).variance
    assert chosen(after).campaigns == 1


@pytest.mark.parametrize("seed", range(3))
def test_the_diagnosis_of_every_shop_adds_up(seed: int) -> None:
    _, found = one_round(seed)
    told = diagnose(found, "treatment")
    assert told.against == "control"
    assert sum(factor.contribution for factor in told.factors) == told.gap
    paid = found.readout.economics[0]
    assert told.actual == pytest.approx(paid.incremental_profit, abs=1)


def test_without_a_verdict_nothing_follows() -> None:
    _, found = one_round(1)
    silent = replace(found.readout, verdict=Verdict("no_verdict", "Arm sizes differ from the plan."))
    with pytest.raises(CampanileError, match=r"there is no verdict on year.*Arm sizes differ"):
        closed(silent, {})


def test_questions_are_answered_by_the_rows_that_every_word_fits() -> None:
    _, mail = one_round(1)
    known = Knowledge(rows_of(mail))
    assert answer(known, ["coupon 50", "Email?"]).together.campaigns == 1
    assert answer(known, ["coupon", "nosuch"]).unknown == ("nosuch",)
    assert answer(known, ["coupon", "6"]).words == ("coupon",)
    doubtful = Knowledge(tuple(replace(row, response=Estimate(0.001, 0.002**2), baseline=0.04) for row in known.rows))
    needed = answer(doubtful, []).needed
    assert needed is not None
    assert needed.control > 100_000


def test_an_effect_that_fades_is_followed_up_with_content_for_who_did_not_buy(project: Project) -> None:
    team, found = one_round(3)
    found = replace(found, readout=replace(found.readout, verdict=Verdict("roll_out", "Yes.", arm="treatment")))
    whole = next(row for row in rows_of(found) if not row.cut)
    high = [
        replace(whole, experiment=f"before-{number}", profit=Estimate(level, 10.0**2))
        for number, level in enumerate((500.0, 300.0))
    ]
    proposal = propose(found, project, Knowledge(tuple(high)), team.today(found, 0))
    assert proposal.next.kind == "follow_up"
    assert proposal.campaign is not None
    assert proposal.campaign["offer"] == {"kind": "content"}
    assert {"did": "contacted", "where": {"campaign": "year"}, "in": "90d"} in proposal.campaign["target"]["who"]
    assert problems(project, proposal) == ()


def test_a_repeating_campaign_runs_on_for_as_long_as_it_did(project: Project) -> None:
    timing = {"start": "2026-01-08", "at": "18:30", "every": "1w", "until": "2026-01-29", "again": "30d"}
    team, found = one_round(3, timing=timing)
    proposal = propose(found, project, Knowledge(), team.today(found, 0))
    assert proposal.campaign is not None
    first, last = (date.fromisoformat(proposal.campaign["timing"][key]) for key in ("start", "until"))
    assert (last - first).days == 21
    assert problems(project, proposal) == ()
