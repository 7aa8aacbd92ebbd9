"""The sections beside the effect: the same seen otherwise, and for whom it was how large."""

from __future__ import annotations

from collections.abc import Iterator

from campanile.measure.cuts import Heterogeneity, Part, simultaneous
from campanile.report import charts
from campanile.report.definitions import label, metric_label, named
from campanile.report.document import Drawing, Drawings, Label, Paragraph, Section, Table
from campanile.report.effect import change_unit, level_unit
from campanile.report.numbers import LIFT, PERCENT, WHOLE_PERCENT, level, money, p_value
from campanile.report.readout import Chances, Otherwise, Readout

_PROFIT = "profit_per_customer"
_WAYS = {
    "strata": "strata at their share",
    "past": "the past taken out",
    "reached": "among those reached",
    "ratio": "per order",
}


def otherwise(readout: Readout) -> Section | None:
    """The effect estimated in other ways, and in chances; None where there is neither."""
    in_chances = tuple(_in_chances(found) for found in readout.chances)
    if not readout.otherwise and not in_chances:
        return None
    columns = (
        *map(Label, ("Figure", "Seen")),
        label("difference"),
        label("interval", f"{level(readout.setting.alpha)} interval"),
        label("p_value"),
        label("variance_reduction"),
    )
    pairs = {_pair(found) for found in readout.otherwise}
    rows = tuple((_figure(found, several=len(pairs) > 1), _seen(found, readout)) for found in readout.otherwise)
    table = Table(Label("Beside the registered estimate"), columns, rows, words=2)
    return Section("otherwise", "The same effect, seen otherwise", _agreement(readout), (table, *in_chances))


def _in_chances(found: Chances) -> Paragraph:
    """How likely the treatment is better, in a sentence for each belief."""
    told = []
    if found.chance is not None:
        told.append(
            f"In chances: that {found.treatment} is better than {found.control} has {_chance(found.chance)}, "
            "believing every rate alike beforehand."
        )
    if found.chance_with_past is not None:
        limits = LIFT.interval(found.lift_low, found.lift_high)
        told.append(
            f"After {found.campaigns} past results the lift to believe is {LIFT.text(found.lift)} ({limits}), and that "
            f"it is above zero has {_chance(found.chance_with_past)}."
        )
    return Paragraph(" ".join(told))


def _chance(chance: float) -> str:
    """A chance in words that never claim certainty.

    >>> _chance(0.9996), _chance(0.62), _chance(0.0002)
    ('a chance of over 99.9%', 'a chance of 62.0%', 'a chance of under 0.1%')
    """
    if chance > 0.999:
        return "a chance of over 99.9%"
    return "a chance of under 0.1%" if chance < 0.001 else f"a chance of {chance * 100:.1f}%"


def _pair(found: Otherwise) -> str:
    return f"{found.comparison.treatment} against {found.comparison.control}"


def _figure(found: Otherwise, *, several: bool) -> Label:
    """The name of what is compared; where several pairs of arms are, also which."""
    metric = found.comparison.metric
    name = named(metric)
    return metric_label(metric, f"{name}, {_pair(found)}" if several else name)


def _seen(found: Otherwise, readout: Readout) -> tuple[str, ...]:
    compared = found.comparison
    change = change_unit(compared.metric, readout.setting)
    way = _WAYS[found.way] + (f" ({PERCENT.text(found.share)})" if found.share is not None else "")
    return (
        way,
        change.text(compared.difference),
        change.interval(compared.low, compared.high),
        p_value(compared.p_value),
        WHOLE_PERCENT.text(None if found.reduction is None else round(found.reduction, 2) or 0.0),
    )


def _agreement(readout: Readout) -> str:
    """Whether any other way contradicts the registered estimate on which side of zero the effect is."""
    registered = {
        (found.metric, found.treatment, found.control): _side(found.low, found.high) for found in readout.comparisons
    }
    against = [
        f"{_pair(found)} ({_WAYS[found.way]})"
        for found in readout.otherwise
        if found.way in ("strata", "past")
        and _opposed(registered.get(_key(found), 0), _side(found.comparison.low, found.comparison.high))
    ]
    if against:
        return f"They disagree: {'; '.join(against)} lies on the other side of zero. The registered estimate judges."
    return "The registered estimate judges; these say how far another way would have led."


def _key(found: Otherwise) -> tuple[str, str, str]:
    return found.comparison.metric, found.comparison.treatment, found.comparison.control


def _side(low: float | None, high: float | None) -> int:
    """1 above zero, -1 below, 0 when the interval holds it."""
    return 1 if low is not None and low > 0 else -1 if high is not None and high < 0 else 0


def _opposed(first: int, second: int) -> bool:
    return first * second < 0


def channels(readout: Readout) -> Section | None:
    """Where did the money come in? None where orders name no channel, or all came by one."""
    if len({found.level for found in readout.channels}) < 2:
        return None
    pairs = dict.fromkeys((found.treatment, found.control) for found in readout.channels)
    columns = (
        *map(Label, ("Channel", "Treated", "Control")),
        label("difference"),
        label("interval", f"{level(readout.setting.alpha)} interval"),
        label("organic_share"),
        Label("All treated"),
    )
    tables = tuple(
        Table(Label(f"Net revenue per customer: {' against '.join(pair)}"), columns, _by_channel(pair, readout))
        for pair in pairs
    )
    told = (
        "Revenue per assigned customer by the channel of the orders. The differences add up to that of the whole, "
        "returns without a known order left out. Exploratory."
    )
    return Section("channels", "Where did the money come in?", told, tables)


def _by_channel(pair: tuple[str, str], readout: Readout) -> tuple[tuple[Label, tuple[str, ...]], ...]:
    unit, whole = change_unit("revenue_per_customer", readout.setting), money(readout.setting.currency)
    return tuple(
        (
            Label(found.level or ""),
            (
                unit.text(found.mean_treatment),
                unit.text(found.mean_control),
                unit.text(found.difference),
                unit.interval(found.low, found.high),
                PERCENT.text(found.mean_control / found.mean_treatment if found.mean_treatment > 0 else None),
                whole.text(found.difference * found.n_treatment),
            ),
        )
        for found in readout.channels
        if (found.treatment, found.control) == pair
    )


def cuts(readout: Readout) -> Iterator[Section]:
    """For whom? One section for each cut: whether levels differ, a drawing of profit, a table for each figure."""
    for number, cut in enumerate(dict.fromkeys(each.comparison.cut for each in readout.parts)):
        tests = [found for found in readout.heterogeneity if found.cut == cut]
        drawn = (_drawn(found, readout, f"cut{number}-{index}") for index, found in enumerate(tests))
        drawings = tuple(drawing for drawing in drawn if drawing is not None)
        told = " ".join(_told(found, readout) for found in tests if found.metric == _PROFIT)
        tables = tuple(_table(found, readout) for found in tests)
        blocks = ((Drawings(drawings),) if drawings else ()) + tables
        yield Section(
            f"cut-{number}", f"For whom? By {cut}", f"{told} Exploratory: many parts were looked at.".strip(), blocks
        )


def _of(test: Heterogeneity, readout: Readout) -> list[Part]:
    return [each for each in readout.parts if test.judges(each)]


def _drawn(test: Heterogeneity, readout: Readout, name: str) -> Drawing | None:
    """The drawing of profit by level; other figures are in the tables."""
    if test.metric != _PROFIT:
        return None
    title = f"Profit per customer by {test.cut}, {test.treatment} against {test.control}"
    return charts.forest(_of(test, readout), name=name, title=title, unit=change_unit(test.metric, readout.setting))


def differs(test: Heterogeneity) -> str:
    """Whether the effect differs between the levels, in a sentence."""
    name = f"{named(test.metric)}, {test.treatment} against {test.control}"
    if test.p_value is None:
        return f"{name}: too few levels to compare."
    verb = "differs" if test.p_value < 0.05 else "is not shown to differ"
    return f"{name}: the effect {verb} between the {test.levels} levels (p {p_value(test.p_value)})."


def _told(test: Heterogeneity, readout: Readout) -> str:
    """Whether levels differ in profit, which is best and worst by the shrunken effect, and which to leave alone."""
    parts = _of(test, readout)
    ranked = sorted((each for each in parts if each.shrunken is not None), key=lambda each: each.shrunken or 0.0)
    unit = change_unit(test.metric, readout.setting)
    loss = [each.comparison.level for each in parts if simultaneous(each, readout.levels(each))[1] < 0]
    words = [differs(test)]
    if test.p_value is not None and test.p_value < 0.05 and len(ranked) > 1:
        best, worst = ranked[-1], ranked[0]
        words.append(
            f"Best guess for the next time: {best.comparison.level} brings most ({unit.text(best.shrunken)} a "
            f"customer), {worst.comparison.level} least ({unit.text(worst.shrunken)})."
        )
    words.append(f"Leave alone: {', '.join(filter(None, loss))}." if loss else "No level is shown to lose money.")
    return " ".join(words)


def _table(test: Heterogeneity, readout: Readout) -> Table:
    name = named(test.metric)
    caption = label("heterogeneity", f"{name}: {test.treatment} against {test.control}")
    columns = (
        *map(Label, ("Level", "Customers", "Control")),
        label("difference"),
        label("interval", f"{level(readout.setting.alpha)} interval"),
        label("all_levels"),
        label("shrunken"),
        label("p_adjusted"),
    )
    rows = tuple((Label(each.comparison.level or ""), _row(each, readout)) for each in _of(test, readout))
    return Table(caption, columns, rows, note=differs(test))


def _row(each: Part, readout: Readout) -> tuple[str, ...]:
    found = each.comparison
    unit, change = level_unit(found.metric, readout.setting), change_unit(found.metric, readout.setting)
    limits = simultaneous(each, readout.levels(each))
    return (
        f"{found.n_treatment + found.n_control:,}",
        unit.text(found.mean_control),
        change.text(found.difference),
        change.interval(found.low, found.high),
        change.interval(*limits),
        change.text(each.shrunken),
        p_value(found.p_adjusted),
    )
