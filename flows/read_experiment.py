"""Reads one experiment: trust, effect, money, verdict, as files and as an artifact."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from functools import partial
from importlib.resources import files

from prefect import flow, get_run_logger
from prefect.artifacts import acreate_markdown_artifact

from campanile import clock
from campanile.ledger.store import Ledger
from campanile.readout.read import read_out
from campanile.registry.page import write_page
from campanile.registry.past import past_lifts
from campanile.report.compose import document
from campanile.report.document import Document, Drawing, Drawings
from campanile.report.files import write_readout
from campanile.report.markdown import markdown
from campanile.report.readout import Readout
from flows.frame import CampaignName, artifact_key, customers, project, without_personal_data


@flow(
    name="read-experiment",
    flow_run_name="read-{campaign}",
    description="Read an experiment: can it be trusted, did it work, did it pay. No verdict before its window ends.",
    persist_result=False,
)
@without_personal_data
async def read_experiment(campaign: CampaignName) -> str:
    """The decision. The readout's files lie below runs/readouts, its Markdown with the charts is an artifact.

    Args:
        campaign: A file in campaigns/ whose namesake is in experiments/.
    """
    name = str(campaign)
    readout = await asyncio.to_thread(_read, name)
    decision = readout.verdict.decision.replace("_", " ")
    get_run_logger().info("%s: %s", decision, readout.verdict.sentence)
    await acreate_markdown_artifact(
        key=artifact_key("readout", name), markdown=with_charts(document(readout)), description=f"Decision: {decision}"
    )
    return str(readout.verdict.decision)


def with_charts(report: Document) -> str:
    """The report as Markdown, its charts as images below the verdict."""
    blocks = (block for section in report.sections for block in section.blocks)
    drawings = [drawing for block in blocks if isinstance(block, Drawings) for drawing in block.drawings]
    verdict, *sections = markdown(report).split("\n## ")
    return "\n## ".join([verdict + "".join(f"\n{_image(drawing)}\n" for drawing in drawings), *sections])


def _read(campaign: str) -> Readout:
    shop = project()
    with customers(shop) as database, Ledger.open(shop.ledger_place) as ledger:
        past = partial(past_lifts, shop, campaign)
        readout = read_out(shop, campaign, database=database, ledger=ledger, now=clock.now(), past=past)
    write_readout(readout, shop.readouts_dir / campaign)
    write_page(shop)
    return readout


def _image(drawing: Drawing) -> str:
    """Title and drawing as a Markdown image that needs no page around it: light also in a dark UI."""
    tag, _, inner = drawing.svg.partition(">")
    light = (files("campanile.report") / "templates" / "report.css").read_text(encoding="utf-8").partition("}")[0] + "}"
    ground = '<rect width="100%" height="100%" fill="var(--surface)"/>'
    alone = tag.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    image = f"{alone}><style>{light}</style>{ground}{inner}"
    return f"**{drawing.title}**\n\n![{drawing.title}](data:image/svg+xml;base64,{b64encode(image.encode()).decode()})"
