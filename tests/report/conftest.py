"""Hand-made readouts: the golden money case of domain.md §2.11, one that is too early, and an A/B with trouble."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from campanile.clock import Duration
from campanile.measure import (
    ArmCosts,
    ArmStatistics,
    Profit,
    adjust,
    compare,
    compare_profit,
    economics,
    scaled,
    srm,
    wilson,
)
from campanile.measure.counts import Count
from campanile.money import Currency
from campanile.report.readout import (
    ArmFigures,
    Check,
    Curve,
    Delivery,
    Deviation,
    GuardFinding,
    Moment,
    Readout,
    Setting,
    Trust,
    Verdict,
)

RATE = 0.4


def setting(**changes: object) -> Setting:
    due = datetime(2026, 3, 5, 2, 30, tzinfo=UTC)
    base = Setting(
        campaign="winback",
        wave="1",
        shop="优选 Market",
        hypothesis="A 50-yuan coupon by SMS lifts the 30-day purchase rate of sleeping customers from 2% to 3%.",
        currency=Currency("CNY"),
        zone=ZoneInfo("Asia/Shanghai"),
        primary="response_rate",
        alpha=0.05,
        window=Duration.parse("30d"),
        as_of=datetime(2026, 3, 1, 1, 0, tzinfo=UTC),
        first_due=due,
        window_ends=due + timedelta(days=30),
        read_at=datetime(2026, 4, 5, 1, 0, tzinfo=UTC),
        plan_id="winback-1-0f3c",
        fingerprint="9d2c41f0aa5e77",
        registered_at=datetime(2026, 3, 5, 2, 30, tzinfo=UTC),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def arm(name: str, n: int, buyers: int, revenue: int) -> ArmStatistics:
    """An arm whose buyers spend half or one and a half of the mean each."""
    mean = revenue / buyers
    each = [mean * (0.5 if number % 2 else 1.5) for number in range(buyers)]
    centre = revenue / n
    spread = sum((value - centre) ** 2 for value in each) + (n - buyers) * centre**2
    return ArmStatistics(
        arm=name,
        n=n,
        sums={"response_rate": buyers, "orders_per_customer": buyers, "revenue_per_customer": revenue},
        squares={
            "response_rate": buyers * (n - buyers) / n,
            "orders_per_customer": buyers * (n - buyers) / n,
            "revenue_per_customer": spread,
        },
        nonzero=dict.fromkeys(("response_rate", "orders_per_customer", "revenue_per_customer"), buyers),
        negative={},
    )


def figures(found: ArmStatistics, share: float) -> ArmFigures:
    metrics = {name: Moment(found.mean(name), found.sums[name], found.variance(name)) for name in found.sums}
    low, high = wilson(Count(found.sums["response_rate"], found.n))
    metrics["response_rate"] = replace(metrics["response_rate"], low=low, high=high)
    return ArmFigures(found.arm, found.n, share, metrics)


def measured(arms: list[ArmStatistics], costs: dict[str, ArmCosts]) -> tuple[list, list]:
    control, comparisons, paid = arms[0], [], []
    for treated in arms[1:]:
        response = compare(control, treated, "response_rate", kind="rate")
        revenue = compare(control, treated, "revenue_per_customer", kind="money")
        margin = scaled(revenue, RATE, "margin_per_customer")
        cost = costs[treated.arm]
        profit = compare_profit(control, treated, Profit("revenue_per_customer", RATE, cost.contact / treated.n))
        comparisons += [response, revenue, margin, profit]
        paid.append(economics(response, revenue, margin, cost))
    by_metric: dict[str, list] = {}
    for found in comparisons:
        by_metric.setdefault(found.metric, []).append(found)
    return [found for family in by_metric.values() for found in adjust(family)], paid


def curve(name: str, n: int, total: int, days: int = 30) -> Curve:
    return Curve(name, n, tuple(round(total * (1 - (1 - day / days) ** 2)) for day in range(1, days + 1)))


CHECKS = (
    Check("srm", True, "2,000 and 8,000 against 20% and 80%: p 1.00.", "no verdict"),
    Check("registered_first", True, "Registered 2026-03-05 10:30, first hand-over 2026-03-05 10:30.", "no verdict"),
    Check("snapshot_intact", True, "The hash of the assignment is the one the ledger holds.", "no verdict"),
    Check("control_untouched", True, "None of 8,000 messages was for one of 2,000 customers of control.", "no verdict"),
    Check("orders_current", True, "The newest order is of 2026-04-04 21:14.", "no verdict"),
    Check("sent", True, "7,948 of 8,000 messages were handed over (99.35%).", "noted"),
    Check("balance", True, "Largest standardised difference 0.02 (orders, treatment).", "no verdict"),
    Check("control_buyers", True, "44 customers of control bought.", "no roll-out"),
    Check("power", False, "It finds 1.15 points with 80% power; 1.00 point was expected.", "noted"),
    Check("baseline", True, "Control showed 2.20% (1.64% to 2.94%), 2% was expected.", "noted"),
    Check("contamination", None, "The customer database has no table contacted.", "noted"),
)

TERMS = (
    ("Hypothesis", setting().hypothesis),
    ("Split", "control 20%, treatment 80%"),
    ("Primary metric", "response_rate within 30d, 2% expected to become 3%"),
    ("Comparisons", "treatment against control"),
    ("Alpha and power", "5%, 80%"),
    ("Roll out when", "profit per customer above 0 at 95%"),
    ("Stop when", "upper limit below 0.3 points"),
    ("Guards", "opt_out_rate under 1%, return_rate at most control + 3%"),
    ("Economics", "margin 40% of net revenue, 0.05 CNY a message, 500 CNY fixed"),
)


@pytest.fixture(scope="session")
def golden() -> Readout:
    arms = [arm("control", 2000, 44, 1_232_000), arm("treatment", 8000, 264, 7_920_000)]
    costs = {"treatment": ArmCosts(contact=40_000, fixed=50_000, discounts=400_000)}
    comparisons, paid = measured(arms, costs)
    return Readout(
        setting=setting(),
        verdict=Verdict(
            "roll_out",
            "Roll out: the campaign earned 11,068 CNY more than it cost, because 3.30% of the treated bought against "
            "2.20% of control.",
            ("profit per customer above 0 at 95%: the lower limit is 0.24 CNY.", "No guard is broken."),
            "treatment",
        ),
        trust=Trust(srm({"control": 2000, "treatment": 8000}, {"control": 0.2, "treatment": 0.8}), CHECKS),
        arms=tuple(figures(found, share) for found, share in zip(arms, (0.2, 0.8), strict=True)),
        comparisons=tuple(comparisons),
        economics=tuple(paid),
        guards=(
            GuardFinding(
                "opt_out_rate",
                "treatment",
                "under 1%",
                "kept",
                "31 of 7,948 customers.",
                False,
                None,
                0.0039,
                0.0028,
                0.0055,
            ),
            GuardFinding(
                "return_rate",
                "treatment",
                "at most control + 3%",
                "open",
                "12 of 264 and 2 of 44 buyers.",
                True,
                0.0455,
                0.0455,
                -0.102,
                0.055,
            ),
        ),
        delivery=(
            Delivery(
                "treatment",
                {"accepted": 7945, "unknown": 3, "rejected": 40, "suppressed": 12},
                {
                    ("rejected", "550 no such mailbox"): 40,
                    ("suppressed", "unsubscribed"): 12,
                    ("unknown", "lost answer"): 3,
                },
            ),
        ),
        curves=(curve("control", 2000, 44), curve("treatment", 8000, 264)),
        terms=TERMS,
        deviations=(
            Deviation("experiments/winback.yaml", "primary.window", "30d", "45d", "Li Wei", "2026-03-20"),
            Deviation("campanile.yaml", "margin_rate", "0.4", "0.45"),
        ),
    )


@pytest.fixture(scope="session")
def early(golden: Readout) -> Readout:
    read = datetime(2026, 3, 20, 1, 0, tzinfo=UTC)
    return replace(
        golden,
        setting=setting(read_at=read),
        verdict=Verdict(
            "no_verdict",
            "No verdict yet: the window ends on 2026-04-04 10:30.",
            ("the window ends on 2026-04-04 10:30",),
        ),
        arms=tuple(replace(found, metrics=None) for found in golden.arms),
        comparisons=(),
        economics=(),
        curves=(),
    )


@pytest.fixture(scope="session")
def three_arms(golden: Readout) -> Readout:
    """An A/B beside control that loses money, with broken trust and names that need escaping."""
    nasty = "<script>alert(1)</script>"
    arms = [
        arm("control", 3000, 150, 4_500_000),
        arm("折扣 10%", 6000, 330, 9_000_000),
        arm(nasty, 6000, 290, 8_100_000),
    ]
    costs = {
        "折扣 10%": ArmCosts(contact=30_000.6, fixed=25_000, discounts=90_000),
        nasty: ArmCosts(contact=30_000.6, fixed=25_000),
    }
    comparisons, paid = measured(arms, costs)
    failed = Check("srm", False, "p under 0.001: arms are not the size that was registered.", "no verdict")
    return replace(
        golden,
        setting=setting(campaign="offer-test", hypothesis='10% beats 50 yuan & "both" beat <nothing>.'),
        verdict=Verdict("no_verdict", "No verdict: arm sizes are not as planned.", ("Arm sizes as planned: failed",)),
        trust=Trust(srm({"control": 3000, "t": 12000}, {"control": 0.25, "t": 0.75}), (failed, *CHECKS[1:])),
        arms=tuple(figures(found, share) for found, share in zip(arms, (0.2, 0.4, 0.4), strict=True)),
        comparisons=tuple(comparisons),
        economics=tuple(paid),
        curves=tuple(curve(found.arm, found.n, found.sums["response_rate"]) for found in arms),
        delivery=(
            Delivery("折扣 10%", {"accepted": 5800, "due": 200}, {}),
            Delivery(nasty, {"accepted": 5900, "expired": 60, "rejected": 40}, {("expired", "too late"): 60}),
        ),
        guards=(GuardFinding("return_rate", nasty, "under 5%", "broken", "90 of 290.", False, None, 0.31, 0.26, 0.36),),
    )
