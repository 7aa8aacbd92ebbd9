"""The assignment of one wave, written down once: who is in which arm, from when their clock runs, what they did before.

Returns a Parquet file without contact data. Never half-written: it is flushed under another name, then renamed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from campanile.audience.due import DueTimes
from campanile.customers.database import CustomerDatabase
from campanile.customers.engine import write_parquet
from campanile.errors import CampanileError, cure_of
from campanile.spec.campaign import Timing
from campanile.spec.project import Project


def snapshot_relation(
    assigned: ir.Table,
    database: CustomerDatabase,
    *,
    project: Project,
    timing: Timing,
    before: tuple[datetime, datetime],
) -> ir.Table:
    """One row per assigned unit: customer_id, arm, stratum, due_at (naive UTC), pre_orders, pre_revenue, strata, cuts.

    Args:
        assigned: Units with arm and stratum.
        database: Where earlier orders are.
        project: Gives the shop's time zone.
        timing: Gives day, hour and clock.
        before: Half-open span of the orders that count as `pre_…`, ending at as-of.
    """
    earlier = _earlier_orders(database, *before)
    joined = assigned.left_join(earlier, "customer_id").drop("customer_id_right")
    return joined.mutate(
        due_at=DueTimes.of(assigned, timing, project.zone).moment(joined),
        pre_orders=joined["pre_orders"].coalesce(0),
        pre_revenue=joined["pre_revenue"].coalesce(0),
    )


def _earlier_orders(database: CustomerDatabase, since: datetime, until: datetime) -> ir.Table:
    if "order" not in database.tables():
        return ibis.memtable([], schema={"customer_id": "string", "pre_orders": "int64", "pre_revenue": "int64"})
    orders, back = database.net_orders(until), database.unmatched_returns(until)
    bought = orders.select("customer_id", "at", orders=ibis.literal(1, "int64"), net=orders["net"].cast("int64"))
    sent_back = back.select("customer_id", "at", orders=ibis.literal(0, "int64"), net=-back["amount"])
    money = bought.union(sent_back)
    recent = money.filter(money["at"] >= since.astimezone(UTC).replace(tzinfo=None))
    return recent.group_by("customer_id").aggregate(
        pre_orders=recent["orders"].sum().cast("int64"), pre_revenue=recent["net"].sum().cast("int64")
    )


def write_snapshot(
    database: CustomerDatabase, relation: ir.Table, folder: Path, keep: Sequence[str]
) -> tuple[Path, str]:
    """Path and sha256 of the Parquet file that now holds the relation's `keep` columns, ordered by customer id.

    The file is named after its content, so writing the same assignment twice is writing it once.

    Raises:
        CampanileError: The folder cannot be written.
    """
    draft = folder / "draft.parquet"
    try:
        write_parquet(database, relation.select(*keep).order_by("customer_id"), draft)
        digest = _sha256(draft)
        final = draft.replace(folder / f"{digest[:16]}.parquet")
    except OSError as error:
        raise CampanileError(
            f"cannot write the snapshot in {folder}: {error.strerror}", f"{cure_of(error)}; then plan again"
        ) from error
    return final, digest


def remove_drafts(folder: Path, registered: set[str]) -> None:
    """Removes snapshots that no plan refers to: a planning that was killed leaves them."""
    for path in folder.glob("*.parquet*") if folder.is_dir() else ():
        if path.name not in registered:
            path.unlink(missing_ok=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def latest_due(snapshot: Path) -> datetime | None:
    """The latest planned send moment of a snapshot, UTC, by what the file says of its columns; None when it is gone."""
    try:
        with pq.ParquetFile(snapshot) as file:
            place = file.schema_arrow.names.index("due_at")
            groups = [file.metadata.row_group(number).column(place) for number in range(file.num_row_groups)]
            moments = [group.statistics.max for group in groups if group.is_stats_set and group.statistics.has_min_max]
            if len(moments) < len(groups):
                moments = [pc.max(file.read(columns=["due_at"])["due_at"]).as_py()]
    except (OSError, ValueError, pa.ArrowException):
        return None
    latest: datetime | None = max(moments, default=None)
    return latest.replace(tzinfo=UTC) if latest else None
