"""The sections on the effect: did it work, did it pay. Nothing of either is shown before the window has ended."""

from __future__ import annotations

from campanile.measure.types import Comparison, Economics
from campanile.report import charts
from campanile.report.definitions import label, metric_label, named
from campanile.report.document import (
    Account,
    Block,
    Drawing,
    Drawings,
    KeyFigure,
    KeyFigures,
    Label,
    Paragraph,
    Section,
    Table,
)
from campanile.report.numbers import (
    AVERAGE,
    COUNT,
    LIFT,
    PERCENT,
    POINTS,
    TIMES,
    WHOLE_PERCENT,
    Unit,
    level,
    moment,
    money,
    p_value,
)
from campanile.report.readout import Readout, Setting

_DOUBT = "A check that ends trust has failed: these figures must not be used to decide."


def level_unit(metric: str, setting: Setting) -> Unit:
    """How the metric itself is written."""
    kind = setting.own.get(metric) or {"response_rate": "rate", "orders_per_customer": "count"}.get(metric, "money")
    return {"rate": PERCENT, "count": AVERAGE}.get(kind) or money(setting.currency, each=True)


def change_unit(metric: str, setting: Setting) -> Unit:
    """How a difference of the metric is written."""
    unit = level_unit(metric, setting)
    return POINTS if unit is PERCENT else unit


def key_figures(readout: Readout) -> KeyFigures:
    """The figures behind the verdict, money first; empty while withheld."""
    chosen = _chosen(readout)
    if chosen is None:
        return KeyFigures(())
    cash = money(readout.setting.currency)
    against = readout.against_control(readout.setting.primary)
    primary = next((found for found in against if found.treatment == chosen.treatment), None)
    figures = (
        _figure("incremental_profit", cash, chosen.incremental_profit, (chosen.profit_low, chosen.profit_high)),
        _ranged("roi", WHOLE_PERCENT, chosen),
        *([_difference(primary, readout.setting)] if primary else []),
        _ranged("incremental_responders", COUNT, chosen),
    )
    return KeyFigures(figures, _levels(chosen, readout))


def _levels(chosen: Economics, readout: Readout) -> str:
    """Of which level the ranges are; where there are several arms, also whose figures these are."""
    arms, registered = len(readout.economics), level(readout.setting.alpha)
    if arms == 1:
        return f"Ranges are {registered} intervals."
    return (
        f"Figures are of arm {chosen.treatment}, one of {arms}. Ranges of money and responders are "
        f"{level(chosen.alpha)} intervals, because {arms} arms were compared; that of the difference at {registered}."
    )


def _chosen(readout: Readout) -> Economics | None:
    """The economics of the arm that the verdict speaks of, else of the most profitable one."""
    by_arm = {found.treatment: found for found in readout.economics}
    best = max(readout.economics, key=lambda found: found.incremental_profit, default=None)
    return by_arm.get(readout.verdict.arm, best)


def _figure(
    key: str, unit: Unit, value: float | None, limits: tuple[float | None, float | None] = (None, None)
) -> KeyFigure:
    return KeyFigure(label(key), unit.text(value), unit.interval(*limits))


def _difference(found: Comparison, setting: Setting) -> KeyFigure:
    unit = change_unit(found.metric, setting)
    name = f"{named(found.metric)}, difference"
    return KeyFigure(label("difference", name), unit.text(found.difference), unit.interval(found.low, found.high))


def work(readout: Readout) -> Section:
    """Did it work? Rates, differences and responders over time."""
    if readout.so_far:
        return _monitored(readout)
    if not readout.comparisons:
        return Section("work", "Did it work?", _withheld(readout))
    told = " ".join(_told(found, readout.setting) for found in readout.against_control(readout.setting.primary))
    drawings = tuple(drawing for drawing in _drawings(readout) if drawing is not None)
    return _answered(readout, "work", "Did it work?", told, (Drawings(drawings), *_tables(readout)))


def _monitored(readout: Readout) -> Section:
    """What a registered monitoring shows before the window has ended."""
    setting = readout.setting
    told = (
        f"So far, and open until {moment(setting.window_ends, setting.zone)}. The limits hold at every look together, "
        "however often one looks, and are wider for it; the verdict comes at the end."
    )
    columns = _columns(setting, "Comparison", "Mean", "Against")
    rows = tuple(
        (Label(f"{found.treatment} against {found.control}"), _row(found, setting)) for found in readout.so_far
    )
    return Section("work", "Did it work?", told, (Table(_name(setting.primary, setting), columns, rows),))


def _answered(readout: Readout, name: str, title: str, told: str, blocks: tuple[Block, ...]) -> Section:
    """The section; where trust has ended, the warning stands in place of the answer."""
    if not readout.trust.failed("no verdict"):
        return Section(name, title, told, blocks)
    return Section(name, title, _DOUBT, (Paragraph(told), *blocks), tone="bad")


def _withheld(readout: Readout) -> str:
    setting = readout.setting
    ends = moment(setting.window_ends, setting.zone)
    return f"Not shown before the window ends on {ends}: looking early finds effects that are not there."


def _drawings(readout: Readout) -> tuple[Drawing | None, ...]:
    setting = readout.setting
    metric = setting.primary
    unit, change = level_unit(metric, setting), change_unit(metric, setting)
    name = named(metric)
    registered = level(setting.alpha)
    return (
        charts.rates(readout.arms, metric, title=f"{name} by arm, with {registered} intervals", unit=unit),
        charts.differences(
            readout.against_control(metric),
            title=f"Difference from control, with {registered} interval",
            unit=change,
            break_even={found.treatment: _break_even(found, metric) for found in readout.economics},
        ),
        charts.curves(readout.curves, title="Share of customers who had responded, by day"),
    )


def _break_even(found: Economics, metric: str) -> float | None:
    if metric == "response_rate":
        return found.break_even_difference
    return found.break_even_revenue if metric == "revenue_per_customer" else None


def _told(found: Comparison, setting: Setting) -> str:
    unit, change = level_unit(found.metric, setting), change_unit(found.metric, setting)
    name = named(found.metric)
    return (
        f"{name} was {unit.text(found.mean_treatment)} in {found.treatment} and {unit.text(found.mean_control)} in "
        f"{found.control}: a difference of {change.text(found.difference)} "
        f"({change.interval(found.low, found.high)}, p {p_value(found.p_value)})."
    )


def _tables(readout: Readout) -> tuple[Table, ...]:
    """Every comparison: one table of all figures, or with several pairs of arms one table for each figure."""
    setting = readout.setting
    pairs = {(found.treatment, found.control) for found in readout.comparisons}
    if len(pairs) == 1:
        rows = tuple((_name(found.metric, setting), _row(found, setting)) for found in readout.comparisons)
        caption = Label("Every comparison, per assigned customer")
        return (Table(caption, _columns(setting, "Figure", "Treated", "Control"), rows),)
    families = dict.fromkeys(found.metric for found in readout.comparisons)
    columns = (*_columns(setting, "Comparison", "Mean", "Against"), label("p_adjusted"))
    return tuple(Table(_name(metric, setting), columns, _family(metric, readout)) for metric in families)


def _family(metric: str, readout: Readout) -> tuple[tuple[Label, tuple[str, ...]], ...]:
    return tuple(
        (
            Label(f"{found.treatment} against {found.control}"),
            (*_row(found, readout.setting), p_value(found.p_adjusted)),
        )
        for found in readout.comparisons
        if found.metric == metric
    )


def _columns(setting: Setting, *names: str) -> tuple[Label, ...]:
    return (
        *map(Label, names),
        label("difference"),
        label("interval", f"{level(setting.alpha)} interval"),
        label("lift"),
        label("p_value"),
    )


def _name(metric: str, setting: Setting) -> Label:
    name = named(metric)
    return metric_label(metric, f"{name} (primary)" if metric == setting.primary else name)


def _row(found: Comparison, setting: Setting) -> tuple[str, ...]:
    unit, change = level_unit(found.metric, setting), change_unit(found.metric, setting)
    return (
        unit.text(found.mean_treatment),
        unit.text(found.mean_control),
        change.text(found.difference),
        change.interval(found.low, found.high),
        lift_words(found),
        p_value(found.p_value),
    )


def lift_words(found: Comparison) -> str:
    """The lift with its interval; a dash where the interval is withheld, because the lift alone says too much."""
    if found.lift_low is None and found.lift_high is None:
        return LIFT.text(None)
    return f"{LIFT.text(found.lift)} ({LIFT.interval(found.lift_low, found.lift_high)})"


def pay(readout: Readout) -> Section:
    """Did it pay? One account for each treatment."""
    if not readout.economics:
        return Section("pay", "Did it pay?", _withheld(readout))
    told = " ".join(_paid(found, readout) for found in readout.economics)
    accounts = tuple(_account(found, readout.setting) for found in readout.economics)
    return _answered(readout, "pay", "Did it pay?", told, accounts)


def _paid(found: Economics, readout: Readout) -> str:
    cash = money(readout.setting.currency)
    who = "The campaign" if len(readout.economics) == 1 else f"Arm {found.treatment}"
    told = "earned" if found.incremental_profit >= 0 else "lost"
    if found.profit_low is None or found.profit_high is None or found.profit_low <= 0 <= found.profit_high:
        who = f"By the best estimate {who[0].lower()}{who[1:]}"
    return (
        f"{who} {told} {cash.text(abs(found.incremental_profit))} after all costs "
        f"({level(found.alpha)} interval {cash.interval(found.profit_low, found.profit_high)}); "
        f"a report without control would have claimed {cash.text(found.claimed_without_control)}."
    )


def _account(found: Economics, setting: Setting) -> Account:
    cash = money(setting.currency)
    rows = (
        _ranged("incremental_responders", COUNT, found),
        _ranged("incremental_revenue", cash, found),
        _ranged("incremental_margin", cash, found),
        _figure("cost", cash, found.cost),
        _figure("incremental_profit", cash, found.incremental_profit, (found.profit_low, found.profit_high)),
        _ranged("roi", WHOLE_PERCENT, found),
        _ranged("roi_media", WHOLE_PERCENT, found),
        _ranged("iroas", TIMES, found),
        _ranged("cost_per_incremental_order", cash, found),
        _figure("cost_full", cash, found.cost_full),
        _figure("break_even_difference", POINTS, found.break_even_difference),
        _figure("break_even_revenue", money(setting.currency, each=True), found.break_even_revenue),
        _ranged("organic_share", PERCENT, found),
        _ranged("holdout_cost", cash, found),
        _figure("claimed_without_control", cash, found.claimed_without_control),
    )
    return Account(f"The account of {found.treatment}", rows)


def _ranged(key: str, unit: Unit, found: Economics) -> KeyFigure:
    """A figure of the economics with its limits, which carry its name."""
    limits = (getattr(found, f"{key}_low"), getattr(found, f"{key}_high"))
    return _figure(key, unit, getattr(found, key), limits)
