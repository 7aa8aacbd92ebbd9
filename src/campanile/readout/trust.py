"""Can it be trusted? Every check is made before any effect is looked at, and says what its failure does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from campanile.design.power import smallest_detectable
from campanile.errors import CampanileError
from campanile.events import CONTROL, MessageState
from campanile.measure.compare import compare
from campanile.measure.counts import Count, count_of
from campanile.measure.persons import Merged
from campanile.measure.rates import wilson
from campanile.measure.ratio_mismatch import UNLIKE_ABOVE, SampleRatio, srm, standardised_difference
from campanile.measure.sums import ArmOutcome
from campanile.money import Currency
from campanile.readout.effects import in_order
from campanile.readout.terms import Terms, treatments
from campanile.report.numbers import PERCENT, POINTS, moment, p_value
from campanile.report.readout import Check, Delivery, Setting, Trust

#: Fewer buyers than this in control measure nothing.
LEAST_BUYERS = 30
#: A baseline further off than this share of itself was a wrong assumption.
_FAR = 0.2
#: Share of planned messages that has to be handed over for "everyone", and attempted for the campaign to be judged.
_NEARLY_ALL = 0.95
#: Marketing of others beyond this share of control is noted.
_CROWDED = 0.10
#: Persons left out because their records were in two arms: beyond this share of the assigned the rest is no sample.
_LEFT_OUT = 0.01
#: What is compared between arms before the campaign.
_BEFORE = ("pre_orders", "pre_revenue")
_UNFINISHED = (MessageState.DUE, MessageState.HELD, MessageState.CLAIMED)


@dataclass(frozen=True)
class Record:
    """What the stores say about the wave, beside outcomes.

    Attributes:
        snapshot_intact: Whether the assignment has the hash that the ledger holds.
        registered_at: When the experiment was registered; None when nothing was sent.
        first_hand_over: When the first message was handed over.
        newest_order: Moment of the newest order known.
        orders_a_day: Orders a day in the week up to it.
        merged: What merges of records after the assignment did to it.
    """

    snapshot_intact: bool
    registered_at: datetime | None
    first_hand_over: datetime | None
    newest_order: datetime | None
    orders_a_day: float
    merged: Merged = field(default_factory=Merged)


@dataclass(frozen=True)
class Inquiry:
    """Everything that the checks look at."""

    terms: Terms
    setting: Setting
    currency: Currency
    arms: Mapping[str, ArmOutcome]
    delivery: tuple[Delivery, ...]
    record: Record


def examine(inquiry: Inquiry) -> Trust:
    """All checks. Those that would give away an outcome are left open until the window has ended."""
    ratio, sizes = _sizes(inquiry)
    checks = (
        sizes,
        _registered(inquiry),
        _intact(inquiry),
        _control(inquiry),
        _orders(inquiry),
        _sent(inquiry),
        _balance(inquiry),
        _buyers(inquiry),
        _power(inquiry),
        _baseline(inquiry),
        _contamination(inquiry),
        _persons(inquiry),
    )
    return Trust(ratio, checks)


def _sizes(inquiry: Inquiry) -> tuple[SampleRatio | None, Check]:
    analysed = {arm: outcome.statistics.n for arm, outcome in inquiry.arms.items()}
    counts = inquiry.record.merged.assigned or analysed
    shares = inquiry.terms.experiment.split
    try:
        ratio = srm(counts, shares)
    except CampanileError as error:
        return None, Check("srm", passed=False, detail=f"{error.what}.", consequence="no verdict")
    told = ", ".join(
        f"{arm} {counts.get(arm, 0):,} (planned {ratio.expected[arm]:,.0f})" for arm in in_order(inquiry.terms)
    )
    return ratio, Check("srm", not ratio.alarm, f"{told}: p {p_value(ratio.p_value)}.", "no verdict")


def _registered(inquiry: Inquiry) -> Check:
    record, zone = inquiry.record, inquiry.setting.zone
    name = "registered_first"
    if record.first_hand_over is None:
        return Check(name, None, "Nothing has been handed over yet.", "no verdict")
    sent = moment(record.first_hand_over, zone)
    if record.registered_at is None:
        told = f"The first message left on {sent} without a registered plan."
        return Check(name, passed=False, detail=told, consequence="no verdict")
    told = f"Registered on {moment(record.registered_at, zone)}, first message on {sent}."
    return Check(name, record.registered_at <= record.first_hand_over, told, "no verdict")


def _intact(inquiry: Inquiry) -> Check:
    intact = inquiry.record.snapshot_intact
    told = "The assignment has the hash that the ledger holds." if intact else "The assignment is not the planned file."
    return Check("snapshot_intact", intact, told, "no verdict")


def _control(inquiry: Inquiry) -> Check:
    """Whether a message of this campaign was planned for a customer of control, by snapshot or by ledger."""
    control = inquiry.arms.get(CONTROL)
    by_snapshot = (control.counts["planned"] or 0) if control else 0
    by_ledger = sum(account.planned for account in inquiry.delivery if account.arm == CONTROL)
    strays = max(by_snapshot, by_ledger)
    told = f"{strays:,} messages were" if strays else "No message was"
    told += " for customers of control."
    return Check("control_untouched", strays == 0, told, "no verdict")


def _orders(inquiry: Inquiry) -> Check:
    """Whether orders reach the end of the window; a gap counts when it is longer than chance leaves one."""
    record, setting = inquiry.record, inquiry.setting
    if not setting.ended:
        return Check("orders_current", None, "Looked at when the window has ended.", "no verdict")
    if record.newest_order is None:
        told = "The customer database has no order."
        return Check("orders_current", passed=False, detail=told, consequence="no verdict")
    gap = setting.window_ends - record.newest_order
    late = gap > timedelta(days=2) and gap / timedelta(days=1) * record.orders_a_day > 10
    told = f"The newest order is of {moment(record.newest_order, setting.zone)}"
    if late:
        told += f", the window ended on {moment(setting.window_ends, setting.zone)}: import the orders since"
    return Check("orders_current", not late, f"{told}.", "no verdict")


def _sent(inquiry: Inquiry) -> Check:
    """Whether the campaign took place: attempted for nearly everyone, and nobody waits. Refusals only dilute it."""
    planned = sum(account.planned for account in inquiry.delivery)
    counts = {state: sum(account.states.get(state, 0) for account in inquiry.delivery) for state in MessageState}
    handed = counts[MessageState.ACCEPTED] + counts[MessageState.UNKNOWN]
    attempted = handed + counts[MessageState.REJECTED]
    waiting = sum(counts[state] for state in _UNFINISHED)
    if not handed:
        over = inquiry.setting.ended
        return Check("sent", False if over else None, "No message has been handed over.", "no verdict")
    enough = attempted >= _NEARLY_ALL * planned
    told = f"{handed:,} of {planned:,} messages were handed over ({PERCENT.text(handed / planned)})"
    told += f", {waiting:,} still wait." if waiting else "."
    if waiting and not inquiry.setting.ended:
        return Check("sent", None, told)
    if waiting or not enough:
        told += "" if enough else f" Only {PERCENT.text(attempted / planned)} of the plan was attempted."
        return Check("sent", passed=False, detail=told, consequence="no verdict")
    return Check("sent", handed >= _NEARLY_ALL * planned, told)


def _balance(inquiry: Inquiry) -> Check:
    """The largest standardised difference before the campaign; fatal only when chance does not make one like it."""
    control = inquiry.arms[CONTROL].statistics
    found = [
        (standardised_difference(control, inquiry.arms[arm].statistics, metric), metric, arm)
        for metric in _BEFORE
        for arm in treatments(inquiry.terms)
        if min(control.n, inquiry.arms[arm].statistics.n) > 1
    ]
    if not found:
        return Check("balance", None, "An arm has fewer than two customers.")
    if not any(outcome.statistics.squares[metric] for outcome in inquiry.arms.values() for metric in _BEFORE):
        return Check("balance", None, "Nothing varies: every customer had the same orders and revenue before.")
    largest, metric, arm = max(found, key=lambda item: abs(item[0]))
    told = f"Largest standardised difference {largest:.3f} ({metric.removeprefix('pre_')} before, {arm} and control)."
    if abs(largest) <= UNLIKE_ABOVE:
        return Check("balance", passed=True, detail=told)
    chance = compare(control, inquiry.arms[arm].statistics, metric, kind="money").p_value
    fatal = chance is not None and chance < 0.001
    told += f" p {p_value(chance)}."
    return Check("balance", passed=False, detail=told, consequence="no verdict" if fatal else "noted")


def _buyers(inquiry: Inquiry) -> Check:
    if not inquiry.setting.ended:
        return Check("control_buyers", None, "Looked at when the window has ended.", "no roll-out")
    buyers = inquiry.arms[CONTROL].statistics.sums["response_rate"]
    few = "" if buyers >= LEAST_BUYERS else f", fewer than {LEAST_BUYERS}"
    return Check("control_buyers", not few, f"{buyers:,} customers of control bought{few}.", "no roll-out")


def _power(inquiry: Inquiry) -> Check:
    """What the smallest arm can show, from the registered baseline, or from control's rate once it may be seen."""
    experiment, control = inquiry.terms.experiment, inquiry.arms[CONTROL].statistics
    primary = experiment.primary
    if experiment.kinds[primary.metric] != "rate":
        return Check("power", None, "Computed for rates only; the width of the interval says what was detectable.")
    observed = control.mean(primary.metric) if inquiry.setting.ended else None
    baseline = float(primary.baseline) if primary.baseline is not None else observed
    if not baseline:
        return Check("power", None, "No baseline was registered.")
    smallest = min(inquiry.arms[arm].statistics.n for arm in treatments(inquiry.terms))
    power, alpha = float(experiment.power), inquiry.terms.alpha_each
    found = smallest_detectable(control.n, smallest, baseline, alpha=alpha, power=power).absolute
    told = f"With {power:.0%} power it shows differences from {POINTS.text(found).removeprefix('+')} up"
    if primary.expect is None:
        return Check("power", None, f"{told}; no expectation was registered.")
    expected = abs(float(primary.expect) - baseline)
    return Check("power", expected >= found, f"{told}; {POINTS.text(expected).removeprefix('+')} were expected.")


def _baseline(inquiry: Inquiry) -> Check:
    experiment = inquiry.terms.experiment
    primary = experiment.primary
    if not inquiry.setting.ended:
        return Check("baseline", None, "Looked at when the window has ended.")
    if primary.baseline is None or experiment.kinds[primary.metric] != "rate":
        return Check("baseline", None, "No baseline of a rate was registered.")
    expected = float(primary.baseline)
    count: Count = count_of(inquiry.arms[CONTROL].statistics, primary.metric)
    low, high = wilson(count, alpha=inquiry.terms.alpha)
    near = low <= expected * (1 + _FAR) and high >= expected * (1 - _FAR)
    told = f"Control showed {PERCENT.text(count.rate)} ({PERCENT.interval(low, high)})"
    return Check("baseline", near, f"{told}, {PERCENT.text(expected)} was assumed.")


def _contamination(inquiry: Inquiry) -> Check:
    shares = {
        arm: (inquiry.arms[arm].counts["contacted_by_others"] or 0) / inquiry.arms[arm].statistics.n
        for arm in in_order(inquiry.terms)
    }
    told = ", ".join(f"{arm} {PERCENT.text(share)}" for arm, share in shares.items())
    return Check("contamination", shares[CONTROL] <= _CROWDED, f"Contacted by other campaigns in the window: {told}.")


def _persons(inquiry: Inquiry) -> Check:
    """Whether those assigned are still that many persons; who was in two arms belongs to neither."""
    merged = inquiry.record.merged
    if not merged.persons:
        return Check("one_person", passed=True, detail="Nobody was assigned under two records.")
    told = f"{merged.persons:,} people were merged after assignment"
    if not merged.left_out:
        return Check("one_person", passed=True, detail=f"{told}; each was in one arm.")
    told += f"; {merged.left_out:,} had different arms and are left out."
    few = merged.left_out <= _LEFT_OUT * sum(merged.assigned.values())
    return Check("one_person", passed=few, detail=told, consequence="noted" if few else "no roll-out")
