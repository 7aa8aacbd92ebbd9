"""The audit for the terminal and for programs, and its files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from campanile import clock
from campanile.customers.audit.findings import Age
from campanile.customers.audit.limits import Judged
from campanile.customers.audit.words import CHECKS, age_sentence, sentence_of
from campanile.errors import CampanileError, cure_of
from campanile.report.audit import (
    Judgement,
    audit_document,
    headline_of,
    how_many,
    how_valuable,
    what_quality,
    what_to_do,
    which_fields,
)
from campanile.report.files import write_text
from campanile.report.html import html
from campanile.report.markdown import markdown


def audit_text(judgement: Judgement) -> str:
    """The audit for the terminal: verdict, the five answers, what was found, what to do."""
    _, word, sentence = headline_of(judgement)
    as_of = clock.words(judgement.audit.as_of, judgement.project.zone)
    lines = [f"{word}. {sentence} As of {as_of}"]
    lines += [f"  {each.sentence}" for each in judgement.broken]
    lines += [f"How many? {how_many(judgement)}", f"How valuable? {how_valuable(judgement)}"]
    lines += [f"Which fields? {which_fields(judgement)}", f"What quality? {what_quality(judgement)}"]
    lines += [f"  {_mark(each)} {sentence_of(each.finding)}" for each in judgement.findings if each.level != "clean"]
    lines += [f"  {'!' if age.stale else ' '} {age_sentence(age, judgement.days(age))}" for age in _limited(judgement)]
    steps = what_to_do(judgement)
    lines.append("What to do?" if steps else "What to do? Nothing: plan the next campaign.")
    return "\n".join([*lines, *(f"  {title}: {cure}" for _, _, title, cure in steps)])


def _mark(each: Judged) -> str:
    return {"stops": "X", "many": "!"}.get(each.level, " ")


def _limited(judgement: Judgement) -> list[Age]:
    return [age for age in judgement.audit.ages if age.limit is not None]


def audit_json(judgement: Judgement) -> dict[str, Any]:
    """The audit as plain data; no contact data, ids as examples at most."""
    audit = judgement.audit
    scale = judgement.project.currency.scale
    return {
        "contract": 1,
        "as_of": clock.iso(audit.as_of),
        "imports": audit.serial,
        "verdict": {"good": "sound", "care": "look", "bad": "stops"}[headline_of(judgement)[0]],
        "customers": audit.customers,
        "reachable": dict(audit.reachable),
        "value": {
            "orders": audit.value.orders,
            "buyers": audit.value.buyers,
            "revenue": audit.value.revenue / scale,
            "currency": judgement.project.currency.code,
        },
        "broken": [
            {"check": each.check, "limit": each.limit, "figure": each.figure, "cure": each.cure}
            for each in judgement.broken
        ],
        "findings": [_finding_json(each) for each in judgement.findings],
        "completeness": [
            {
                "table": each.table, "column": each.column, "known": each.known, "of": each.of, "share": each.share,
                "needed_by": list(each.needed_by),
            }
            for each in audit.completeness
        ],
        "freshness": [
            {
                "table": age.table, "rows": age.rows, "newest": clock.iso(age.newest) if age.newest else None,
                "days": judgement.days(age), "limit": str(age.limit) if age.limit else None, "stale": age.stale,
            }
            for age in audit.ages
        ],
        "characters": [
            {"code": f"U+{each.code:04X}", "kind": each.kind, "customers": each.customers} for each in audit.characters
        ],
        "rejected": [
            {"table": each.table, "read": each.read, "rejected": each.rejected, "reasons": dict(each.reasons)}
            for each in audit.refusals
        ],
        "unjudged_phones": audit.unjudged_phones,
    }  # fmt: skip


def _finding_json(each: Judged) -> dict[str, Any]:
    found = each.finding
    return {
        "check": found.check, "table": found.table, "field": found.field or None, "count": found.count,
        "of": found.of, "share": found.share, "sentence": sentence_of(found), "cure": CHECKS[found.check].cure,
        "level": each.level, "limit": str(each.limit) if each.limit else None, "examples": list(found.examples),
    }  # fmt: skip


def write_audit(judgement: Judgement, folder: Path) -> tuple[Path, ...]:
    """Paths of audit.html, audit.md and audit.json, which `folder` now holds.

    Raises:
        CampanileError: The folder cannot be written.
    """
    document = audit_document(judgement)
    texts = {
        "audit.html": html(document),
        "audit.md": markdown(document),
        "audit.json": json.dumps(audit_json(judgement), ensure_ascii=False, indent=2, allow_nan=False) + "\n",
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return tuple(write_text(folder / name, text) for name, text in texts.items())
    except OSError as error:
        what = f"cannot write the audit in {folder}: {error.strerror}"
        raise CampanileError(what, f"{cure_of(error)}, or choose another home") from error
