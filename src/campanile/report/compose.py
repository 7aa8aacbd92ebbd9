"""The readout as a document: verdict in money first, then the questions in the order a reader asks them.

Reads a `Readout`. Returns a `Document` of finished text. Withheld figures are said to be withheld, never left out.
"""

from __future__ import annotations

from campanile import clock
from campanile.report import accounts, effect, parts
from campanile.report.definitions import DEFINITIONS, label, named
from campanile.report.document import (
    Account,
    Definition,
    Document,
    Drawings,
    Findings,
    Headline,
    KeyFigure,
    KeyFigures,
    Label,
    Section,
    Table,
    Tone,
)
from campanile.report.numbers import COUNT, moment
from campanile.report.readout import Readout, Setting

WORDS: dict[str, tuple[str, Tone]] = {
    "roll_out": ("Roll out", "good"),
    "extend": ("Extend", "care"),
    "stop": ("Stop", "bad"),
    "no_verdict": ("No verdict", "plain"),
}


def document(readout: Readout) -> Document:
    """The whole report of one readout."""
    setting = readout.setting
    headline = _headline(readout)
    sections = (
        accounts.trust(readout.trust),
        effect.work(readout),
        effect.pay(readout),
        parts.channels(readout),
        *parts.cuts(readout),
        parts.otherwise(readout),
        accounts.guards(readout),
        accounts.delivery(readout),
        accounts.attribution(readout),
        accounts.plan(readout),
        _method(readout),
    )
    return Document(
        title=setting.campaign,
        subtitle=setting.hypothesis,
        facts=_facts(setting),
        headline=headline,
        sections=tuple(section for section in sections if section is not None),
        definitions=used(headline, sections),
    )


def _headline(readout: Readout) -> Headline:
    verdict = readout.verdict
    word, tone = WORDS[verdict.decision]
    withheld = verdict.decision == "no_verdict"
    figures = _so_far(readout) if withheld else effect.key_figures(readout)
    return Headline(word, tone, verdict.sentence, figures, verdict.reasons)


def _so_far(readout: Readout) -> KeyFigures:
    """What may be said while effects are withheld."""
    setting = readout.setting
    planned = sum(account.planned for account in readout.delivery)
    taken = sum(account.states.get("accepted", 0) for account in readout.delivery)
    assigned = sum(arm.n for arm in readout.arms)
    ends = "Window ended" if setting.ended else "Window ends"
    figures = (
        KeyFigure(label("window", ends), moment(setting.window_ends, setting.zone), setting.zone.key),
        KeyFigure(Label("Customers assigned"), COUNT.text(assigned), "control included"),
        KeyFigure(label("accepted", "Messages accepted"), COUNT.text(taken), f"of {COUNT.text(planned)} planned"),
    )
    return KeyFigures(figures)


def _facts(setting: Setting) -> tuple[tuple[str, str], ...]:
    zone = setting.zone
    return (
        ("Shop", setting.shop),
        ("Wave", setting.wave),
        ("Window", f"{moment(setting.first_due, zone)} to {moment(setting.window_ends, zone)} ({setting.window})"),
        ("Read", f"{moment(setting.read_at, zone)} ({zone.key})"),
    )


def _method(readout: Readout) -> Section:
    setting = readout.setting
    read = moment(setting.read_at, setting.zone)
    items = (
        (
            "Who is compared",
            "Everyone assigned, in the arm they were assigned to, delivered or not (intention to treat).",
        ),
        (
            "Clock",
            "The window starts at the planned send moment, for control as well, and is half-open; days and hours are "
            "counted in UTC.",
        ),
        *_methods(readout),
        (
            "Costs",
            "Known, not estimated: messages handed over times their price, counted by arm, so that prices below one "
            "minor unit are not rounded per message. They move the interval of profit and do not widen it. Discounts "
            "beyond control's rate are an estimate, as that rate is; only ROI divides by them, and its interval takes "
            "them as they are.",
        ),
        ("Returns", f"Net of returns known on {read}; read again 30 days later for the rest."),
        ("Times", f"Shown in {setting.zone.key}."),
        ("Plan", f"{setting.plan_id}, fingerprint {setting.fingerprint[:12]}, as of {clock.iso(setting.as_of)}."),
    )
    rows = tuple(KeyFigure(Label(name), text) for name, text in items)
    return Section("method", "How this was computed", "", (Account("Method", rows),))


def _methods(readout: Readout) -> tuple[tuple[str, str], ...]:
    """The methods by figure, as the data chose them; in general while effects are withheld."""
    level = f"{(1 - readout.setting.alpha) * 100:g}%"
    if not readout.comparisons:
        words = (
            "Newcombe's interval for rates; relabelled orders for money, "
            "Welch's where orders are many and even, or differ in shape."
        )
        return ((f"Intervals at {level}", words),)
    found = {
        named(comparison.metric): f"{comparison.interval_method}; p: {comparison.p_method}"
        for comparison in readout.comparisons
    }
    return tuple((f"{name}, {level} interval", f"{method}.") for name, method in found.items())


def used(headline: Headline, sections: tuple[Section | None, ...]) -> tuple[Definition, ...]:
    """The definitions that the document's labels name, in the order of the appendix."""
    keys = {figure.label.key for figure in headline.figures.figures}
    for block in (block for section in sections if section for block in section.blocks):
        match block:
            case KeyFigures(figures=figures) | Account(rows=figures):
                keys |= {figure.label.key for figure in figures}
            case Table(caption=caption, columns=columns, rows=rows):
                keys |= {caption.key, *(column.key for column in columns), *(name.key for name, _ in rows)}
            case Findings(items=items):
                keys |= {item.label.key for item in items}
            case Drawings() | _:
                pass
    return tuple(definition for key, definition in DEFINITIONS.items() if key in keys)
