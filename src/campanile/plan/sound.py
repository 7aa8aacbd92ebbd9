"""Whether the customer database is good enough for campaigns, by the limits of `policy: audit:`."""

from __future__ import annotations

from datetime import datetime

from campanile.customers.audit.findings import Audit, Finding
from campanile.customers.audit.kept import keep, recall
from campanile.customers.audit.limits import Broken, broken
from campanile.customers.audit.run import ages_of, audit
from campanile.customers.database import CustomerDatabase
from campanile.errors import CampanileError
from campanile.plan.needs import fields_needed
from campanile.spec.project import Project


def whole_audit(project: Project, database: CustomerDatabase, as_of: datetime) -> Audit:
    """The audit of a moment with every check; its figures are kept for plans.

    Args:
        project: Its campaigns say which fields are needed.
        database: Open for writing.
        as_of: Aware; events at or after it are not seen.

    Raises:
        CampanileError: No customers were imported, or the engine fails.
    """
    needs = fields_needed(project, database)
    made = audit(project, database, as_of, needs=needs)
    keep(project, database, made)
    return made


def limits_broken(project: Project, database: CustomerDatabase, as_of: datetime) -> tuple[Broken, ...]:
    """The limits of the shop that are broken; nothing is counted twice for the same data, and nothing without limits.

    Args:
        project: Its settings hold the limits.
        database: Open for writing.
        as_of: Aware; the age of tables is of that moment, whatever the clock says.
    """
    settings = project.settings.policy.audit
    if not settings.stops:
        return ()
    ages = ages_of(project, database, as_of, settings.freshness)
    return broken(settings, _findings(project, database, as_of), ages, as_of=as_of, zone=project.zone)


def needs_sound_data(project: Project, database: CustomerDatabase, as_of: datetime) -> None:
    """Nothing when no limit is broken.

    Raises:
        CampanileError: With every broken limit, its figure and its cure.
    """
    found = limits_broken(project, database, as_of)
    if found:
        sentences = "\n".join(each.sentence for each in found)
        raise CampanileError(f"the customer database stops campaigns; `campanile audit` shows all of it\n{sentences}")


def _findings(project: Project, database: CustomerDatabase, as_of: datetime) -> tuple[Finding, ...]:
    """What the checks with a limit count; from the last audit where it is of the same data."""
    wanted = frozenset(project.settings.policy.audit.limits)
    if not wanted:
        return ()
    needs = fields_needed(project, database) if "required_fields" in wanted else {}
    known = recall(project, database, as_of, needs=needs, wanted=wanted)
    if known is not None:
        return known
    made = audit(project, database, as_of, needs=needs, wanted=wanted)
    keep(project, database, made, covered=wanted)
    return made.findings
