"""The registry as JSON values (contract 1) and as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from zoneinfo import ZoneInfo

from campanile import clock
from campanile.registry.effects import chosen, effect_words, effects, profit_words, trust_words
from campanile.registry.entries import Design, Entry, Version
from campanile.registry.kept import Reading
from campanile.report.compose import WORDS
from campanile.report.jsonable import deviation_values
from campanile.report.numbers import moment
from campanile.report.readout import Deviation

_EFFECT = ("difference", "low", "high", "p_value", "lift", "lift_low", "lift_high")
_MONEY = ("incremental_profit", "profit_low", "profit_high", "roi", "roi_low", "roi_high")


def listed(entries: Iterable[Entry]) -> dict[str, Any]:
    """The list of all experiments."""
    return {"contract": 1, "experiments": [summary(each) for each in entries]}


def summary(entry: Entry) -> dict[str, Any]:
    """One experiment: where it stands, and what was read last."""
    design, latest = entry.design, entry.latest
    return {
        "experiment": entry.name,
        "kind": entry.kind,
        "state": entry.state,
        "hypothesis": design.hypothesis if design else None,
        "primary": design.primary if design else None,
        "window": design.window or None if design else None,
        "window_ends": _iso(entry.window_ends),
        "arms": dict(design.arms) if design else {},
        "readings": len(entry.readings),
        "latest": _reading(latest) if latest else None,
        "problems": list(entry.problems),
    }


def shown(entry: Entry, deviations: Iterable[Deviation]) -> dict[str, Any]:
    """Everything that is known of one experiment."""
    return {
        "contract": 1,
        **summary(entry),
        "design": _design(entry.design) if entry.design else None,
        "versions": [_version(each) for each in entry.versions],
        "deviations": [deviation_values(each) for each in deviations],
        "readouts": [_reading(each) for each in entry.readings],
    }


def _design(design: Design) -> dict[str, Any]:
    return {
        "hypothesis": design.hypothesis,
        "primary": design.primary,
        "kind": design.kind,
        "window": design.window or None,
        "currency": design.currency or None,
        "alpha": design.alpha,
        "split": dict(design.split),
        "fingerprint": design.fingerprint or None,
        "terms": [{"label": label, "text": text} for label, text in design.terms],
    }


def _version(version: Version) -> dict[str, Any]:
    return {
        "plan_id": version.plan_id,
        "wave": version.wave,
        "fingerprint": version.fingerprint,
        "as_of": _iso(version.as_of),
        "planned_at": _iso(version.planned_at),
        "registered_at": _iso(version.registered_at),
        "arms": dict(version.arms),
    }


def _reading(reading: Reading) -> dict[str, Any]:
    """One reading; figures are of the treatment that its verdict speaks of, null while withheld."""
    effect = chosen(reading)
    row, paid = (effect.comparison, effect.money or {}) if effect else ({}, {})
    return {
        "reading": reading.name,
        "read_at": _iso(reading.read_at),
        "ended": reading.ended,
        "decision": reading.decision,
        "sentence": reading.sentence,
        "failed": list(reading.failed),
        "treatment": effect.treatment if effect else None,
        **{name: row.get(name) for name in _EFFECT},
        **{name: paid.get(name) for name in _MONEY},
        "currency": reading.currency,
        "version": reading.values.get("version"),
        "page": str(reading.folder / "readout.html"),
    }


def _iso(at: Any) -> str | None:
    return clock.iso(at) if at else None


def listed_text(entries: Iterable[Entry], zone: ZoneInfo) -> str:
    """All experiments, one or two lines each."""
    rows = list(entries)
    if not rows:
        return "There is no experiment yet: commit one to experiments/, or read one with `campanile readout --from`."
    wide = max(len(each.name) for each in rows)
    lines = []
    for each in rows:
        lines.append(f"{each.name:<{wide}}  {each.state:<14}  {_told(each, zone)}".rstrip())
        lines += [f"{'':<{wide}}  {'':<14}  ! {problem}" for problem in each.problems]
    return "\n".join(lines)


def _told(entry: Entry, zone: ZoneInfo) -> str:
    if entry.state == "read" and entry.latest:
        return f"{WORDS[entry.latest.decision][0]}: {entry.latest.sentence}"
    ends = f"; window ends {moment(entry.window_ends, zone)}" if entry.window_ends else ""
    return f"{entry.design.hypothesis if entry.design else ''}{ends}".lstrip("; ")


def shown_text(entry: Entry, deviations: Iterable[Deviation], zone: ZoneInfo) -> str:
    """One experiment: design, versions, deviations, readouts."""
    head = f"{entry.name}: {entry.state}"
    if entry.window_ends:
        head += f", window {'ended' if entry.state in {'ready to read', 'read'} else 'ends'} "
        head += moment(entry.window_ends, zone)
    parts = [
        head,
        "\n".join(f"  ! {problem}" for problem in entry.problems),
        _part("Design", _design_lines(entry.design)),
        _part("Versions", (_version_line(each, zone) for each in entry.versions)),
        _part(
            "Deviations from what was registered",
            (f"{each.file} {each.key}: {each.registered}, now {each.today} {each.who}".rstrip() for each in deviations),
        ),
        _part("Readouts", (line for each in entry.readings for line in _reading_lines(each, zone))),
    ]
    return "\n\n".join(part for part in parts if part)


def _part(title: str, lines: Iterable[str]) -> str:
    found = [f"  {line}" for line in lines]
    return "\n".join([title, *found]) if found else ""


def _design_lines(design: Design | None) -> Iterator[str]:
    if design is None:
        return
    wide = max((len(label) for label, _ in design.terms), default=0)
    yield from (f"{label:<{wide}}  {text}" for label, text in design.terms)
    if design.arms:
        yield f"{'Sizes':<{wide}}  " + ", ".join(f"{arm} {n:,}" for arm, n in design.arms.items())


def _version_line(version: Version, zone: ZoneInfo) -> str:
    registered = f"registered {moment(version.registered_at, zone)}" if version.registered_at else "not yet registered"
    planned = f"planned {moment(version.planned_at, zone)} as of {moment(version.as_of, zone)}"
    return f"plan {version.plan_id}, fingerprint {version.fingerprint[:12]}, {planned}, {registered}"


def _reading_lines(reading: Reading, zone: ZoneInfo) -> Iterator[str]:
    word = WORDS[reading.decision][0]
    yield f"{reading.name}  read {moment(reading.read_at, zone)}: {word}; {trust_words(reading)}"
    for effect in effects(reading):
        paid = profit_words(reading, effect)
        yield f"  {effect.treatment}: {effect_words(reading, effect)}" + (f", profit {paid}" if paid else "")
    yield f"  {reading.folder / 'readout.html'}"
