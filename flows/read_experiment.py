"""Reads one experiment: trust, effect, money, verdict, as files and as an artifact."""

from __future__ import annotations

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from campanile import clock
from campanile.customers.database import CustomerDatabase
from campanile.ledger.store import Ledger
from campanile.readout.read import read_out
from campanile.report.markdown import markdown
from campanile.report.compose import document
from campanile.report.files import write_readout
from flows.frame import CampaignName, project, without_personal_data


@flow(name="read-experiment", flow_run_name="read-{campaign}", persist_result=False)
@without_personal_data
async def read_experiment(campaign: CampaignName) -> str:
    """The decision. The readout's files lie below runs/readouts, its Markdown is an artifact."""
    shop, name = project(), str(campaign)
    with CustomerDatabase.open(shop) as database, Ledger.open(shop.ledger_path) as ledger:
        readout = read_out(shop, name, database=database, ledger=ledger, now=clock.now())
    write_readout(readout, shop.readouts_dir / name)
    await create_markdown_artifact(key=f"readout-{name}", markdown=markdown(document(readout)), description=f"Readout of {name}")
    return str(readout.verdict.decision)
