"""Where the ledger is: in a file, or on PostgreSQL."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class OnPostgres:
    """A ledger on PostgreSQL.

    Attributes:
        url_env: Environment variable that holds the address of the database.
        schema: Of its tables.
        snapshots: Folder of the assignments that were planned with it.
    """

    url_env: str
    schema: str
    snapshots: Path


LedgerPlace = Path | OnPostgres
