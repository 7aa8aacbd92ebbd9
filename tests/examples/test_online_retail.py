"""The tutorial, on the real data: an A/A that a second, hand-written computation confirms."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from campanile.cli.main import cli

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "online_retail_ii"
DATA = ROOT.parent / "shared" / "data" / "online_retail_ii" / "year_2009_2010.parquet"


def campanile(*arguments: str) -> str:
    done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.skipif(
    not DATA.exists(), reason="the real data is not beside this checkout (../shared/data/online_retail_ii)"
)
def test_the_tutorial_tells_what_its_commands_print(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / DATA.name).symlink_to(DATA)
    here = ("--project", str(EXAMPLE), "--home", str(tmp_path))
    printed = campanile("import", *here)
    printed += campanile("profile", *here, "--as-of", "2010-09-01")
    printed += campanile("plan", "sleepers", *here, "--as-of", "2010-09-01")
    printed += campanile("run", "sleepers", *here, "--mode", "send", "--now", "2010-09-02T10:00")
    campanile("readout", "sleepers", *here, "--now", "2010-11-02")
    printed += (tmp_path / "readouts" / "sleepers" / "readout.md").read_text(encoding="utf-8")
    told = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    blocks = told.split("```text\n")[2:]
    lines = [line for block in blocks for line in block.split("```")[0].splitlines() if line.strip(" …")]
    missing = [line for line in lines if line not in printed]
    assert not missing
    for figure in ("−10.32 to +2.22 points", "53,068 GBP", "47.29%", "43.22%"):
        assert figure in printed
        assert figure in told
    assert responders(tmp_path) == {"control": (480, 227), "treatment": (479, 207)}


def responders(home: Path) -> dict[str, tuple[int, int]]:
    """Assigned and responding customers by arm, from the raw file by hand-written SQL."""
    (snapshot,) = (home / "snapshots" / "sleepers").glob("*.parquet")
    query = """
        with sales as (
            select distinct cast("Customer ID" as varchar) as customer_id, "InvoiceDate" as at
            from read_parquet($data)
            where "Customer ID" is not null and "Quantity" > 0 and "Price" > 0 and "Invoice" not like 'C%'
              and "InvoiceDate" >= timestamp '2010-09-02 10:00' and "InvoiceDate" < timestamp '2010-11-01 09:00'
        )
        select arm, count(*), count(*) filter (where customer_id in (select customer_id from sales))
        from read_parquet($snapshot) group by arm
    """
    rows = duckdb.execute(query, {"data": str(DATA), "snapshot": str(snapshot)}).fetchall()
    assert pq.read_metadata(snapshot).num_rows == sum(row[1] for row in rows)
    return {arm: (assigned, bought) for arm, assigned, bought in rows}
