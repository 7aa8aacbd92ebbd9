"""A ledger on each database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from campanile.ledger import Ledger
from support.ledgers import KINDS, ledger_place


@pytest.fixture(params=KINDS)
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    with ledger_place(request.param, tmp_path) as place, Ledger.open(place, patience=5) as opened:
        yield opened
