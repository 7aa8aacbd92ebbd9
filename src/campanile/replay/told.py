"""What came of a replay: one sentence, a table of rates with their limits, as a document, as JSON and as text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from campanile import clock
from campanile.errors import CampanileError, cure_of
from campanile.readout.adjusted import Way
from campanile.replay.run import LEVEL, Judgement, Limits, Replay, Row
from campanile.report.document import (
    Account,
    Document,
    Headline,
    KeyFigure,
    KeyFigures,
    Label,
    Section,
    Table,
    Tone,
)
from campanile.report.files import write_text
from campanile.report.html import html
from campanile.report.numbers import COUNT, PERCENT, moment
from campanile.spec.fields import percent

_WORDS: dict[Judgement, tuple[str, Tone]] = {
    "kept": ("Trust the p-values", "good"),
    "above": ("Do not trust the p-values", "bad"),
    "below": ("Careful p-values", "care"),
    "open": ("Too few replications", "plain"),
}
_WAYS: dict[Way, str] = {"none": "plain", "strata": "strata at their share", "past": "the past taken out"}


def sentence(found: Replay) -> str:
    """Whether the shop can trust its p-values, and the figure that says so."""
    row = _telling(found)
    alarms, promised = row.alarms, PERCENT.text(row.alpha)
    seen = (
        f"of {alarms.trials:,} campaigns that did nothing, {alarms.hits:,} came out as effective on "
        f"{_name(row.metric)} ({_rate(alarms)}), where {promised} are promised"
    )
    if found.judgement == "above":
        return f"The p-values cannot be trusted here: {seen}."
    if found.judgement == "open":
        return f"Nothing speaks against the p-values here, but more replications are needed to trust them: {seen}."
    if found.judgement == "below":
        return f"The p-values can be trusted here, and are careful: {seen}. Small effects are missed more often."
    return f"The p-values can be trusted here: {seen}."


def _telling(found: Replay) -> Row:
    """The row that the sentence speaks of: the worst where one is wrong, else the primary metric."""
    wrong = [row for row in found.judging if row.judgement == found.judgement != "kept"]
    return max(wrong, key=lambda row: abs(row.alarms.rate - row.alpha), default=found.judging[0])


def reasons(found: Replay) -> tuple[str, ...]:
    """What may have done it, and what was not looked at."""
    units, told = found.units, []
    if units.repeated:
        told.append(
            f"{units.repeated:,} of {units.n:,} rows repeat a customer: they come into one arm together, and are "
            "counted as if each had been drawn."
        )
    elif found.judgement == "above":
        told.append(
            "No customer is twice in it: customers of one household, or one person under several records, may be."
        )
    return tuple(told)


def _rate(limits: Limits) -> str:
    level = f"{LEVEL:.0%} limits"
    return f"{PERCENT.text(limits.rate)}, {level} {PERCENT.interval(limits.low, limits.high)}"


def _name(metric: str) -> str:
    return metric.replace("_", " ")


def document(found: Replay, campaign: str, zone: ZoneInfo) -> Document:
    """The page."""
    units, (word, tone) = found.units, _WORDS[found.judgement]
    figures = (
        KeyFigure(Label("Customers"), COUNT.text(units.n)),
        KeyFigure(Label("Bought in the window"), COUNT.text(found.buyers), PERCENT.text(found.buyers / units.n)),
        KeyFigure(Label("Replications"), COUNT.text(found.series.replications), f"seed {found.series.seed}"),
        KeyFigure(Label("Split"), _split(found)),
    )
    return Document(
        title=f"{campaign}: A/A replay",
        subtitle="The same customers and orders, assigned again and again: every effect is a false alarm.",
        facts=(
            ("Whose orders", units.source),
            ("Window", f"{moment(units.first_due, zone)} to {moment(units.ends, zone)} ({zone.key})"),
        ),
        headline=Headline(word, tone, sentence(found), KeyFigures(figures), reasons(found)),
        sections=(Section("rates", "How often?", "", (_table(found),)), _method(found)),
        definitions=(),
        kind="A/A replay",
    )


def _split(found: Replay) -> str:
    return ", ".join(f"{arm} {percent(share)}" for arm, share in found.split.items())


def _table(found: Replay) -> Table:
    columns = ("Metric", "Estimated", "False alarms", f"{LEVEL:.0%} limits", "Intervals that hold the truth", "Method")
    several = len(found.split) > 2
    rows = tuple(
        (
            Label(_name(row.metric) + (f", {row.treatment}" if several else "")),
            (
                _WAYS[row.way] + (" (registered)" if row.registered else ""),
                PERCENT.text(row.alarms.rate),
                PERCENT.interval(row.alarms.low, row.alarms.high),
                f"{PERCENT.text(row.covered.rate)} ({PERCENT.interval(row.covered.low, row.covered.high)})",
                _methods(row),
            ),
        )
        for row in found.rows
    )
    promised = PERCENT.text(found.rows[0].alpha)
    note = f"{promised} false alarms are promised; limits are exact binomial ones."
    if found.units.terms.list_rate is None:
        note += " Margin and profit per customer are revenue times a rate, and share its figures."
    return Table(Label("False alarms"), tuple(map(Label, columns)), rows, note, words=len(columns))


def _methods(row: Row) -> str:
    """The methods, with their shares where the data chose several."""
    whole = sum(row.methods.values())
    if len(row.methods) == 1:
        return next(iter(row.methods))
    return ", ".join(f"{name} {PERCENT.text(n / whole)}" for name, n in row.methods.items())


def _method(found: Replay) -> Section:
    items = (
        (
            "What was done",
            "For each replication the product's own assignment drew the arms with a fresh salt, inside the strata of "
            "the wave, and the readout's own methods compared them on what these customers really did.",
        ),
        (
            "Why every alarm is false",
            "No campaign knew these arms. What a past campaign did to some customers is in their orders, and falls to "
            "every arm alike.",
        ),
        ("Again", f"campanile aa {found.units.terms.experiment.campaign} --seed {found.series.seed}"),
    )
    rows = tuple(KeyFigure(Label(name), text) for name, text in items)
    return Section("method", "How this was computed", "", (Account("Method", rows),))


def values(found: Replay, campaign: str) -> dict[str, Any]:
    """The replay as JSON values."""
    units = found.units
    return {
        "contract": 1,
        "campaign": campaign,
        "source": units.source,
        "verdict": {"judgement": found.judgement, "sentence": sentence(found), "reasons": list(reasons(found))},
        "units": units.n,
        "repeated": units.repeated,
        "buyers": found.buyers,
        "first_due": clock.iso(units.first_due),
        "window_ends": clock.iso(units.ends),
        "split": {arm: float(share) for arm, share in found.split.items()},
        "replications": found.series.replications,
        "seed": found.series.seed,
        "level": LEVEL,
        "rows": [_row(row) for row in found.rows],
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "metric": row.metric,
        "treatment": row.treatment,
        "way": row.way,
        "registered": row.registered,
        "alpha": row.alpha,
        "judgement": row.judgement,
        "false_alarms": _limits(row.alarms),
        "coverage": _limits(row.covered),
        "methods": dict(row.methods),
    }


def _limits(found: Limits) -> dict[str, float]:
    return {"count": found.hits, "of": found.trials, "rate": found.rate, "low": found.low, "high": found.high}


def text(found: Replay) -> str:
    """The replay for a terminal."""
    rows = [
        (
            _name(row.metric) + (f", {row.treatment}" if len(found.split) > 2 else ""),
            _WAYS[row.way] + (" *" if row.registered else ""),
            f"{PERCENT.text(row.alarms.rate)} ({PERCENT.interval(row.alarms.low, row.alarms.high)})",
            PERCENT.text(row.covered.rate),
            _methods(row),
        )
        for row in found.rows
    ]
    table = [("", "", f"false alarms ({LEVEL:.0%} limits)", "coverage", "method"), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(5)]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    head = f"{found.units.source}: {found.units.n:,} customers, {found.buyers:,} bought, split {_split(found)}"
    return "\n".join([sentence(found), *reasons(found), "", head, *lines, "* as the experiment is judged"])


def write(found: Replay, campaign: str, folder: Path, zone: ZoneInfo) -> tuple[Path, ...]:
    """Paths of the page and the JSON, which the folder now holds.

    Raises:
        CampanileError: The folder cannot be written.
    """
    texts = {
        f"{campaign}.html": html(document(found, campaign, zone)),
        f"{campaign}.json": json.dumps(values(found, campaign), ensure_ascii=False, indent=2) + "\n",
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return tuple(write_text(folder / name, words) for name, words in texts.items())
    except OSError as error:
        raise CampanileError(f"cannot write the replay in {folder}: {error.strerror}", cure_of(error)) from error
