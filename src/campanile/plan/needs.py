"""Which customer fields somebody reads: targets, templates, reachability, strata. The audit looks at these first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from campanile.audience.reach import MEDIA
from campanile.customers.database import PROFILE, CustomerDatabase
from campanile.customers.tables import CUSTOMERS
from campanile.errors import CampanileError
from campanile.messages.mime import Sender
from campanile.messages.templates import load_each
from campanile.spec.campaign import CampaignSpec
from campanile.spec.conditions import fields_of
from campanile.spec.project import Project
from campanile.spec.shop_tables import COMPUTED, COMPUTED_FROM
from campanile.spec.vocabulary import load_vocabulary


def fields_needed(project: Project, database: CustomerDatabase) -> Mapping[str, tuple[str, ...]]:
    """Customer fields that the shop must import, each with who reads it, in the order of fields.

    What the product computes itself is left out, unless the shop imports it. Before there is a profile nobody knows
    what else it computes, so that fields without a column are left out too.
    """
    known = load_vocabulary().fields
    columns = set(database.table(CUSTOMERS).columns)
    computed = {*COMPUTED, *COMPUTED_FROM, *database.own(PROFILE).columns} if database.profile_as_of() else set(known)
    found: dict[str, dict[str, None]] = {}
    for name, spec in project.campaigns.items():
        for field, reader in _of_campaign(project, name, spec):
            if field in columns or (field in known and field not in computed):
                found.setdefault(field, {})[reader] = None
    return {field: tuple(found[field]) for field in known if field in found}


def fields_read(project: Project) -> frozenset[str]:
    """Every customer field that a campaign of the project reads, computed or imported."""
    return frozenset(
        field for name, spec in project.campaigns.items() for field, _ in _of_campaign(project, name, spec)
    )


def _of_campaign(project: Project, name: str, spec: CampaignSpec) -> Iterator[tuple[str, str]]:
    reach = MEDIA[spec.channel.use]
    for field in (reach.address, reach.consent):
        yield field, f"messages by {spec.channel.use}"
    target = spec.target
    for field in fields_of(target, project.segments):
        yield field, f"campaigns/{name}.yaml"
    experiment = project.experiment(name)
    for field in dict.fromkeys((*experiment.stratify, *experiment.cuts)) if experiment else ():
        yield field, f"experiments/{name}.yaml"
    for message in spec.templates:
        for field in _read_by(project, spec, message):
            yield field, f"templates/{message}"


def _read_by(project: Project, spec: CampaignSpec, message: str) -> frozenset[str]:
    """The fields that a message reads; none of one that cannot be read, which `campanile check` says."""
    settings = project.settings.channels.get(spec.channel.use)
    if settings is None:
        return frozenset()
    try:
        loaded = load_each(project.root, {message}, spec.channel.use, known=None, sender=Sender.of(settings))
    except CampanileError:
        return frozenset()
    return frozenset(loaded[message].variables)
