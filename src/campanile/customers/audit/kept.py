"""The figures of the last audit, kept in the customer database: a plan need not count everything again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import asdict
from datetime import UTC, datetime

import ibis

from campanile.customers.audit.findings import Audit, Finding
from campanile.customers.audit.imports import serial_of
from campanile.customers.database import AUDITED, CustomerDatabase
from campanile.customers.zones import naive
from campanile.spec.audit import ADVICE
from campanile.spec.project import Project

#: Whose findings depend on the campaigns that are committed.
_NEEDED = "required_fields"


def keep(project: Project, database: CustomerDatabase, audit: Audit, *, covered: Collection[str] | None = None) -> None:
    """Remembers what an audit counted, without examples, and of which import.

    Args:
        project: Its settings decide what is counted.
        database: Open for writing.
        audit: What was counted.
        covered: The checks that were made; None is all.
    """
    rows = {
        "as_of": naive(audit.as_of),
        "serial": audit.serial,
        "settings": _fingerprint(project),
        "complete": audit.complete,
        "covered": json.dumps(sorted(ADVICE if covered is None else covered)),
        "findings": json.dumps([asdict(finding) | {"examples": ()} for finding in audit.findings]),
    }
    database.store_own(AUDITED, ibis.memtable([rows], schema=database.own(AUDITED).schema()))


def recall(
    project: Project,
    database: CustomerDatabase,
    as_of: datetime,
    *,
    needs: Collection[str],
    wanted: Collection[str],
) -> tuple[Finding, ...] | None:
    """What an audit of the same data and settings counted; None when it must be counted again.

    An audit that saw every event is good for every later moment, one that did not for its own moment only.
    """
    found = database.own(AUDITED).to_pyarrow().to_pylist()
    if not found:
        return None
    row = found[0]
    known = row["as_of"].replace(tzinfo=UTC)
    same = row["serial"] == serial_of(database) and row["settings"] == _fingerprint(project)
    timely = known == as_of or (row["complete"] and known <= as_of)
    if not (same and timely and set(wanted) <= set(json.loads(row["covered"]))):
        return None
    findings = [Finding(**each | {"examples": ()}) for each in json.loads(row["findings"])]
    counted = {each.field for each in findings if each.check == _NEEDED}
    if not set(needs) <= counted:
        return None
    return tuple(each for each in findings if each.check != _NEEDED or each.field in needs)


def _fingerprint(project: Project) -> str:
    shop = project.settings.shop
    text = repr((shop.phone_region, shop.timezone.key))
    return hashlib.sha256(text.encode()).hexdigest()
