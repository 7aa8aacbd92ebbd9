"""What the ledger knows and a selection must see: who was written to, who was assigned, whose address is suppressed."""

from __future__ import annotations

from campanile.customers.database import CustomerDatabase
from campanile.customers.history import last_contact, record_assignment, sync_history, sync_suppressions
from campanile.errors import CampanileError
from campanile.ledger.store import Ledger
from campanile.spec.project import Project


def sync_past(project: Project, database: CustomerDatabase, ledger: Ledger) -> None:
    """Nothing; the customer database now knows the product's own contacts, assignments and suppressions.

    Raises:
        CampanileError: The snapshot of an earlier campaign is gone.
    """
    sync_history(database, ledger.contacts(last_contact(database)))
    sync_suppressions(database, ledger.suppressions())
    for record in ledger.plans():
        if record.state == "planned":
            continue
        snapshot = project.home / record.snapshot
        if not snapshot.exists():
            raise CampanileError(
                f"the assignment of {record.campaign} is gone: {record.snapshot}", "restore it from a backup"
            )
        record_assignment(database, snapshot, campaign=record.campaign, wave=record.wave, at=record.created_at)
