"""The whole of planning a campaign, from selection to the messages in the ledger."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

from benchmarks.shop import AS_OF, CAMPAIGN, home, open_database, open_project


def plan(size: int) -> Callable[[], Any]:
    """Plans the campaign anew; answers with the size of each arm."""
    from campanile.ledger.store import Ledger
    from campanile.plan.make import make_plan

    project = open_project(size)
    for file in home(size).glob(f"{project.ledger_path.name}*"):
        file.unlink()
    shutil.rmtree(project.snapshots_dir, ignore_errors=True)
    database, ledger = open_database(project), Ledger.open(project.ledger_path)

    def work() -> Any:
        made = make_plan(project, CAMPAIGN, AS_OF, database=database, ledger=ledger)
        ledger.close()
        return dict(made.arms)

    return work
