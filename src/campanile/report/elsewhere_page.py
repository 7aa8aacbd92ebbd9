"""The readout of an experiment run elsewhere as a document: verdict, trust, effect, money, parts, in this order."""

from __future__ import annotations

from collections.abc import Iterator

from campanile.measure.cuts import Heterogeneity, Part, simultaneous
from campanile.measure.types import Comparison, Economics
from campanile.report import accounts, charts
from campanile.report.accounts import GUARD_WORDS
from campanile.report.compose import WORDS, used
from campanile.report.definitions import label
from campanile.report.document import (
    Account,
    Document,
    Drawing,
    Drawings,
    Finding,
    Findings,
    Headline,
    KeyFigure,
    KeyFigures,
    Label,
    Section,
    Table,
)
from campanile.report.effect import lift_words
from campanile.report.elsewhere import ElsewhereReadout
from campanile.report.elsewhere_words import interval_words, metric_unit, money_words
from campanile.report.numbers import COUNT, PERCENT, POINTS, TIMES, WHOLE_PERCENT, Unit, level, p_value

_NOTHING = "Nothing is computed, because nothing of it could be believed."


def elsewhere_document(readout: ElsewhereReadout) -> Document:
    """The whole report of one reading."""
    headline = _headline(readout)
    found = (accounts.trust(readout.trust), _work(readout), _pay(readout), _guards(readout), _arms(readout))
    sections = tuple(section for section in (*found, *_cuts(readout), _method(readout)) if section is not None)
    return Document(
        title=readout.experiment,
        subtitle=readout.hypothesis,
        facts=(("Units", COUNT.text(sum(arm.n for arm in readout.arms))), ("Arms", str(len(readout.arms)))),
        headline=headline,
        sections=sections,
        definitions=used(headline, sections),
    )


def _headline(readout: ElsewhereReadout) -> Headline:
    verdict = readout.verdict
    word, tone = WORDS[verdict.decision]
    figures = []
    paid = next((found for found in readout.economics if found.treatment == verdict.arm), None)
    if paid is not None:
        cash = metric_unit("money", readout.currency)
        limits = cash.interval(paid.profit_low, paid.profit_high)
        figures += [KeyFigure(label("incremental_profit"), cash.text(paid.incremental_profit), limits)]
        figures += [
            KeyFigure(label("roi"), WHOLE_PERCENT.text(paid.roi), WHOLE_PERCENT.interval(paid.roi_low, paid.roi_high))
        ]
    for found in readout.comparisons:
        if verdict.arm and (found.metric, found.treatment) == (readout.primary, verdict.arm):
            unit = metric_unit(found.kind, readout.currency, change=True)
            limits = unit.interval(found.low, found.high)
            figures.append(
                KeyFigure(label("difference", f"{found.metric}, difference"), unit.text(found.difference), limits)
            )
    return Headline(word, tone, verdict.sentence, KeyFigures(tuple(figures)), verdict.reasons)


def _work(readout: ElsewhereReadout) -> Section:
    if not readout.comparisons:
        return Section("work", "Did it work?", _NOTHING)
    primary = [found for found in readout.comparisons if found.metric == readout.primary]
    told = " ".join(
        f"{found.metric}, {found.treatment} against {found.control}: {interval_words(found, readout.currency)}."
        for found in primary
    )
    metrics = dict.fromkeys(found.metric for found in readout.comparisons)
    return Section("work", "Did it work?", told, tuple(_comparisons(metric, readout) for metric in metrics))


def _columns(readout: ElsewhereReadout, first: str) -> tuple[Label, ...]:
    interval = label("interval", f"{level(readout.alpha)} interval")
    return (Label(first), Label("Mean"), Label("Against"), label("difference"), interval)


def _comparisons(metric: str, readout: ElsewhereReadout) -> Table:
    columns = (*_columns(readout, "Comparison"), label("lift"), label("p_value"), label("p_adjusted"))
    rows = tuple(
        (
            Label(f"{found.treatment} against {found.control}"),
            (*_row(found, readout), lift_words(found), p_value(found.p_value), p_value(found.p_adjusted)),
        )
        for found in readout.comparisons
        if found.metric == metric
    )
    return Table(Label(f"{metric} (primary)" if metric == readout.primary else metric), columns, rows)


def _row(found: Comparison, readout: ElsewhereReadout) -> tuple[str, ...]:
    unit = metric_unit(found.kind, readout.currency)
    change = metric_unit(found.kind, readout.currency, change=True)
    if readout.kinds.get(found.metric) == "count":
        unit = change = metric_unit("count", "")
    return (
        unit.text(found.mean_treatment),
        unit.text(found.mean_control),
        change.text(found.difference),
        change.interval(found.low, found.high),
    )


def _pay(readout: ElsewhereReadout) -> Section:
    if not readout.economics:
        told = _NOTHING if not readout.comparisons else "The file names no economics with a money metric and a rate."
        return Section("pay", "Did it pay?", told)
    told = " ".join(f"{found.treatment} {money_words(found, readout.currency)}." for found in readout.economics)
    return Section("pay", "Did it pay?", told, tuple(_account(found, readout) for found in readout.economics))


def _account(found: Economics, readout: ElsewhereReadout) -> Account:
    cash = metric_unit("money", readout.currency)

    def ranged(key: str, unit: Unit) -> KeyFigure:
        limits = unit.interval(getattr(found, f"{key}_low"), getattr(found, f"{key}_high"))
        return KeyFigure(label(key), unit.text(getattr(found, key)), limits)

    rows = (
        ranged("incremental_responders", COUNT),
        ranged("incremental_revenue", cash),
        ranged("incremental_margin", cash),
        KeyFigure(label("cost"), cash.text(found.cost)),
        KeyFigure(
            label("incremental_profit"),
            cash.text(found.incremental_profit),
            cash.interval(found.profit_low, found.profit_high),
        ),
        ranged("roi", WHOLE_PERCENT),
        ranged("iroas", TIMES),
        ranged("cost_per_incremental_order", cash),
        KeyFigure(label("break_even_difference"), POINTS.text(found.break_even_difference)),
        ranged("organic_share", PERCENT),
        ranged("holdout_cost", cash),
        KeyFigure(label("claimed_without_control"), cash.text(found.claimed_without_control)),
    )
    return Account(f"The account of {found.treatment}", rows)


def _guards(readout: ElsewhereReadout) -> Section | None:
    if not readout.guards:
        return None
    items = tuple(
        Finding(
            Label(f"{found.name} in {found.arm}"),
            GUARD_WORDS[found.state][1],
            GUARD_WORDS[found.state][0],
            found.detail,
        )
        for found in readout.guards
    )
    broken = [found for found in readout.guards if found.state == "broken"]
    answer = f"Yes: {len(broken)} of {len(items)} guards broke their limit." if broken else "No guard is broken."
    return Section("guards", "Did it do harm?", answer, (Findings(items),))


def _arms(readout: ElsewhereReadout) -> Section:
    columns = (Label("Arm"), Label("Units"), *(Label(name) for name in readout.arms[0].metrics or {}))
    rows = tuple(
        (
            Label(arm.arm),
            (
                COUNT.text(arm.n),
                *(
                    metric_unit(readout.kinds[name], readout.currency).text(found.mean)
                    for name, found in (arm.metrics or {}).items()
                ),
            ),
        )
        for arm in readout.arms
    )
    return Section("arms", "What each arm did", "Means per unit.", (Table(Label("Arms"), columns, rows),))


def _cuts(readout: ElsewhereReadout) -> Iterator[Section]:
    """For whom? One section for each cut; a table for each metric and pair of arms."""
    for number, cut in enumerate(dict.fromkeys(part.comparison.cut for part in readout.parts)):
        tests = [found for found in readout.heterogeneity if found.cut == cut]
        told = " ".join(_differs(found) for found in tests if found.metric == readout.primary)
        drawn = (_forest(found, readout, f"cut{number}-{index}") for index, found in enumerate(tests))
        drawings = tuple(drawing for drawing in drawn if drawing is not None)
        blocks = (*((Drawings(drawings),) if drawings else ()), *(_parts(found, readout) for found in tests))
        yield Section(f"cut-{cut}", f"For whom? By {cut}", f"{told} Exploratory: many parts were looked at.", blocks)


def _forest(test: Heterogeneity, readout: ElsewhereReadout, name: str) -> Drawing | None:
    """The drawing of the primary metric by level."""
    if test.metric != readout.primary:
        return None
    unit = metric_unit(readout.kinds[test.metric], readout.currency, change=True)
    title = f"{test.metric} by {test.cut}, {test.treatment} against {test.control}"
    return charts.forest([each for each in readout.parts if test.judges(each)], name=name, title=title, unit=unit)


def _differs(found: Heterogeneity) -> str:
    name = f"{found.metric}, {found.treatment} against {found.control}"
    if found.p_value is None:
        return f"{name}: too few levels to compare."
    verb = "differs" if found.p_value < 0.05 else "is not shown to differ"
    return f"The effect on {name} {verb} between the {found.levels} levels (p {p_value(found.p_value)})."


def _parts(test: Heterogeneity, readout: ElsewhereReadout) -> Table:
    caption = label("heterogeneity", f"{test.metric}: {test.treatment} against {test.control}")
    columns = (*_columns(readout, "Level"), label("all_levels"), label("shrunken"), label("p_adjusted"))
    rows = tuple(
        (Label(part.comparison.level or ""), _part(part, readout)) for part in readout.parts if test.judges(part)
    )
    return Table(caption, columns, rows, note=_differs(test))


def _part(part: Part, readout: ElsewhereReadout) -> tuple[str, ...]:
    found = part.comparison
    change = metric_unit(
        "count" if readout.kinds[found.metric] == "count" else found.kind, readout.currency, change=True
    )
    limits = simultaneous(part, readout.levels(found.cut))
    return (*_row(found, readout), change.interval(*limits), change.text(part.shrunken), p_value(found.p_adjusted))


def _method(readout: ElsewhereReadout) -> Section:
    methods = {found.metric: f"{found.interval_method}; p: {found.p_method}." for found in readout.comparisons}
    rows = (
        *(KeyFigure(Label(name), text) for name, text in readout.terms),
        *(KeyFigure(Label(f"{name}, {level(readout.alpha)} interval"), text) for name, text in methods.items()),
        KeyFigure(Label("Who is compared"), "Every unit of the table, in the arm it was assigned to."),
        KeyFigure(Label("Several arms"), "p by Holm over the pairs of one metric; money at alpha divided by the arms."),
        KeyFigure(Label("Parts"), "p by Benjamini and Hochberg over all levels of all cuts of one metric and pair."),
    )
    return Section("method", "How this was computed", "", (Account("Method", rows),))
