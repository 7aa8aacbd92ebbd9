"""The decision as a table: trust, then harm, then the two registered rules."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from campanile.measure import ArmCosts, ArmStatistics, compare, economics, scaled
from campanile.measure.types import Comparison
from campanile.money import Currency
from campanile.readout.verdict import ArmCase, Judgement, decide, judge
from campanile.report.numbers import POINTS, money
from campanile.report.readout import Check, GuardFinding, Trust
from campanile.spec.rules import Rule, rule

CNY = Currency("CNY")
FINE = Trust(None, (Check("srm", passed=True, detail="fine", consequence="no verdict"),))
FATAL = Trust(None, (Check("srm", passed=False, detail="80 are missing.", consequence="no verdict"),))
WEAK = Trust(None, (Check("control_buyers", passed=False, detail="3 bought.", consequence="no roll-out"),))
NOTED = Trust(None, (Check("power", passed=False, detail="weak.", consequence="noted"),))
PAYS, WORTHLESS = (
    rule("profit per customer above 0 at 95%"),
    replace(rule("upper limit below 0.3 points"), metric="response_rate"),
)


def arms() -> tuple[ArmStatistics, ArmStatistics]:
    control = ArmStatistics.from_values(
        "control", {"response_rate": [1] * 40 + [0] * 960, "revenue": [500] * 40 + [0] * 960}
    )
    treated = ArmStatistics.from_values(
        "sms", {"response_rate": [1] * 80 + [0] * 920, "revenue": [500] * 80 + [0] * 920}
    )
    return control, treated


def compared(arm: str = "sms") -> tuple[Comparison, Comparison]:
    control, treated = arms()
    treated = replace(treated, arm=arm)
    return (
        compare(control, treated, "response_rate", kind="rate"),
        compare(control, treated, "revenue", kind="money"),
    )


def guard(state: str, arm: str = "sms") -> GuardFinding:
    return GuardFinding("opt_out_rate", arm, "under 1%", state, "30 of 1,000 customers written to.")  # type: ignore[arg-type]


def case(
    pays: bool, worthless: bool, guards: tuple[GuardFinding, ...] = (), *, arm: str = "sms", cost: float = 2000
) -> ArmCase:
    response, revenue = compared(arm)
    paid = economics(response, revenue, scaled(revenue, 0.4, "margin_per_customer"), ArmCosts(contact=cost))
    return ArmCase(
        arm,
        Judgement(PAYS, 1.0, pays, f"roll out {pays}"),
        Judgement(WORTHLESS, 1.0, worthless, f"stop {worthless}"),
        paid,
        response,
        guards,
    )


@pytest.mark.parametrize(
    ("trust", "pays", "worthless", "states", "decision"),
    [
        (FINE, True, False, (), "roll_out"),
        (FINE, True, False, ("kept",), "roll_out"),
        (FINE, True, False, ("open",), "roll_out"),
        (FINE, True, False, ("unknown",), "extend"),
        (FINE, False, True, ("unknown",), "stop"),
        (FINE, True, False, ("kept", "broken"), "stop"),
        (FINE, False, False, (), "extend"),
        (FINE, False, False, ("broken",), "stop"),
        (FINE, False, True, (), "stop"),
        (FINE, True, True, (), "extend"),
        (WEAK, True, False, (), "extend"),
        (WEAK, False, True, (), "stop"),
        (WEAK, False, False, (), "extend"),
        (NOTED, True, False, (), "roll_out"),
        (FATAL, True, False, (), "no_verdict"),
        (FATAL, False, True, ("broken",), "no_verdict"),
    ],
)
def test_decision(trust: Trust, pays: bool, worthless: bool, states: tuple[str, ...], decision: str) -> None:
    found = decide(trust, [case(pays, worthless, tuple(guard(state) for state in states))], CNY)
    assert found.decision == decision
    assert found.reasons


@pytest.mark.parametrize(
    ("decisions", "overall", "arm"),
    [
        ([(True, False), (False, False)], "roll_out", "a"),
        ([(False, False), (True, False)], "roll_out", "b"),
        ([(False, True), (False, False)], "extend", "b"),
        ([(False, True), (False, True)], "stop", "b"),
        ([(True, False), (True, False)], "roll_out", "b"),
    ],
)
def test_several_arms(decisions: list[tuple[bool, bool]], overall: str, arm: str) -> None:
    """The more profitable of the arms that share the decision is the one the verdict speaks of; b costs less."""
    cases = [
        case(pays, worthless, arm=name, cost=cost)
        for (pays, worthless), name, cost in zip(decisions, "ab", (3000, 2000), strict=True)
    ]
    found = decide(FINE, cases, CNY)
    assert (found.decision, found.arm) == (overall, arm)
    assert f"arm {arm} " in found.sentence.lower()
    assert all(reason.startswith(("a: ", "b: ")) for reason in found.reasons)


def test_broken_guard_of_one_arm_does_not_stop_the_other() -> None:
    found = decide(FINE, [case(True, False, (guard("broken", "a"),), arm="a"), case(True, False, arm="b")], CNY)
    assert (found.decision, found.arm) == ("roll_out", "b")


def test_a_guard_that_was_not_measured_keeps_a_roll_out_back_and_an_open_one_is_named() -> None:
    unknown = replace(guard("unknown"), detail="The customer database has no table unsubscribed.")
    found = decide(FINE, [case(True, False, (unknown,))], CNY)
    assert found.decision == "extend"
    assert (
        "no roll-out before this is mended: opt-out rate under 1% was not measured. "
        "The customer database has no table unsubscribed."
    ) in found.reasons
    found = decide(FINE, [case(True, False, (guard("open"),))], CNY)
    assert found.decision == "roll_out"
    assert "not shown to be kept: opt-out rate under 1%." in found.reasons


def test_sentences_say_money_interval_and_rates() -> None:
    earned = decide(FINE, [case(True, False)], CNY).sentence
    assert earned.startswith("The campaign earned 60.00 CNY after all costs (95% interval ")
    assert "8.00% of its customers responded, 4.00% of control" in earned
    lost = decide(FINE, [case(False, True, cost=20_000)], CNY).sentence
    assert lost.startswith("Do not repeat it as it is: the campaign lost 120.00 CNY")
    harm = decide(FINE, [case(True, False, (guard("broken"),))], CNY).sentence
    assert "sms broke a guard: opt-out rate under 1%, 30 of 1,000 customers written to." in harm
    assert decide(FATAL, [case(True, False)], CNY).sentence == (
        "No verdict, because the result cannot be trusted: Arm sizes as planned: 80 are missing."
    )


def test_roll_out_that_has_not_earned_its_fixed_cost_says_so() -> None:
    """The rule is on profit per customer; the sentence is on the wave, all costs included."""
    found = decide(FINE, [case(True, False, cost=20_000)], CNY)
    assert found.decision == "roll_out"
    assert found.sentence.startswith("It pays for each customer, though the campaign lost 120.00 CNY after all costs")
    assert found.reasons[-1].endswith("whether this wave also earned its fixed cost back is open.")
    assert not any("fixed cost" in reason for reason in decide(FINE, [case(True, False, cost=0)], CNY).reasons)


@pytest.mark.parametrize(
    ("words", "low", "high", "holds"),
    [
        ("profit per customer above 0 at 95%", 0.1, 9, True),
        ("profit per customer above 0 at 95%", 0.0, 9, False),
        ("profit per customer above 0 at 95%", -0.1, 9, False),
        ("profit per customer above 0.05 at 95%", 5.1, 9, True),  # 0.05 yuan are 5 minor units
        ("profit per customer above 0.05 at 95%", 4.9, 9, False),
        ("profit per customer below 0", -9, -0.1, True),
        ("profit per customer below 0", -9, 0.1, False),
    ],
)
def test_rule_on_money_reads_the_limit_in_minor_units(words: str, low: float, high: float, holds: bool) -> None:
    _, revenue = compared()
    found = judge(
        rule(words), replace(revenue, metric="profit_per_customer", low=low, high=high), CNY.scale, money(CNY)
    )
    assert found.holds is holds
    assert words in found.words


@pytest.mark.parametrize(("high", "holds"), [(0.0029, True), (0.003, False), (0.0031, False), (None, False)])
def test_rule_on_a_rate_reads_points(high: float | None, holds: bool) -> None:
    response, _ = compared()
    assert judge(WORTHLESS, replace(response, high=high), 1, POINTS).holds is holds


def test_rule_of_another_metric_is_refused() -> None:
    response, _ = compared()
    with pytest.raises(ValueError, match="a rule on profit_per_customer cannot judge response_rate"):
        judge(Rule("profit_per_customer", "lower", Decimal(0), Decimal("0.95")), response, CNY.scale, POINTS)
