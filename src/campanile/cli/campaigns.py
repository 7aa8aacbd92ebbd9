"""The commands of one campaign: plan, preview, run, status, resolve, readout."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from campanile import clock
from campanile.cli.options import (
    json_option,
    moment,
    needs_store,
    open_project,
    past_moment,
    print_json,
    progress,
    project_options,
)
from campanile.errors import CampanileError, UsageError, did_you_mean
from campanile.messages.preview import MAX_SHOWN

if TYPE_CHECKING:
    from campanile.ledger.store import Ledger
    from campanile.spec.campaign import CampaignSpec
    from campanile.spec.project import Project

# ruff: noqa: FBT001, PLR0913, PLR0917 - click passes every option as a parameter

#: Clocks differ; and whoever plans tonight for tomorrow morning is right.
_CLOCK_SLACK = timedelta(days=1)


@click.command("plan")
@click.argument("campaign")
@project_options
@click.option("--as-of", "as_of", help="Moment to look from, local to the shop; default is now.")
@click.option("--wave", help="Day of the wave of a repeating campaign; default is the next one.")
@json_option
def plan_command(
    campaign: str, root: Path, home: Path | None, as_of: str | None, wave: str | None, as_json: bool
) -> None:
    """Select, split and freeze CAMPAIGN; explain it before anything is sent."""
    project = open_project(root, home)
    _known_wave(project.campaign(campaign), wave)
    seen_from = moment(as_of, project)
    if seen_from > clock.now() + _CLOCK_SLACK:
        raise UsageError(f"--as-of {as_of} is in the future", "leave it out to plan from what is known now")
    from campanile.customers.database import CustomerDatabase
    from campanile.ledger.store import Ledger
    from campanile.plan.explain import explain
    from campanile.plan.make import make_plan
    from campanile.plan.types import to_json

    with (
        CustomerDatabase.open(project) as database,
        Ledger.open(project.ledger_place) as ledger,
        progress("checking messages", quiet=as_json) as tell,
    ):
        plan = make_plan(project, campaign, seen_from, database=database, ledger=ledger, wave=wave, progress=tell)
    if as_json:
        print_json(to_json(plan))
    else:
        click.echo(explain(plan, project.zone))


@click.command("preview")
@click.argument("campaign")
@project_options
@click.option(
    "--count",
    type=click.IntRange(1, MAX_SHOWN),
    default=10,
    show_default=True,
    help=f"How many customers per arm; the page shows {MAX_SHOWN} messages at most.",
)
@click.option("--to-seeds", is_flag=True, help="Also hand one sample per arm to everybody in seeds.txt of the home.")
@json_option
def preview_command(campaign: str, root: Path, home: Path | None, count: int, to_seeds: bool, as_json: bool) -> None:
    """Render the planned messages of CAMPAIGN for sampled customers into one page. Links and codes are samples.

    With --to-seeds the shop's own people get samples over the real channel. Their values are the commonest ones, no
    customer's own; nothing of it is in the ledger.
    """
    project = _planned_project(root, home, campaign)
    from campanile.ledger.store import Ledger
    from campanile.sending.sample import write_preview

    with Ledger.open(project.ledger_place) as ledger:
        path, shown = write_preview(project, campaign, ledger, count=count)
        seeds = _to_seeds(project, campaign, ledger) if to_seeds else {}
    if as_json:
        print_json({"contract": 1, "campaign": campaign, "messages": shown, "page": str(path), "seeds": seeds})
    else:
        click.echo(f"{shown} messages rendered: {path}")
        if seeds:
            click.echo("samples to seeds: " + ", ".join(f"{number} {outcome}" for outcome, number in seeds.items()))


def _to_seeds(project: Project, campaign: str, ledger: Ledger) -> dict[str, int]:
    from campanile.sending.seeds import send_to_seeds

    return {str(outcome): number for outcome, number in send_to_seeds(project, campaign, ledger).items()}


@click.command("run")
@click.argument("campaign")
@project_options
@click.option(
    "--mode",
    type=click.Choice(["dry-run", "send"]),
    default="dry-run",
    show_default=True,
    help="Whether anything is handed over.",
)
@click.option("--wave", help="Day of the wave of a repeating campaign; default is the first of which something waits.")
@click.option("--moved-here", is_flag=True, help="The ledger was moved here on purpose; no other one sends.")
@click.option("--now", "at", help="Pretend that it is this moment, local to the shop. For rehearsals.")
@json_option
def run_command(
    campaign: str,
    root: Path,
    home: Path | None,
    mode: str,
    wave: str | None,
    moved_here: bool,
    at: str | None,
    as_json: bool,
) -> None:
    """Send what is due of the frozen plan of CAMPAIGN; by default only show it.

    Ctrl-C and SIGTERM stop cleanly. Run again to go on: nobody is written to twice.
    """
    project = _planned_project(root, home, campaign)
    from campanile.sending.run import run_campaign

    pretended = moment(at, project)
    now = clock.now if at is None else lambda: pretended
    with progress("sending" if mode == "send" else "rendering", quiet=as_json) as tell:
        report = run_campaign(project, campaign, mode=mode, now=now, progress=tell, moved=moved_here, wave=wave)
    if as_json:
        print_json(report.to_json())
    else:
        click.echo(report.text(project.zone))
    if report.stopped:
        raise SystemExit(1)


@click.command("status")
@click.argument("campaign")
@project_options
@click.option("--wave", help="Day of the wave of a repeating campaign; default is the first of which something waits.")
@json_option
def status_command(campaign: str, root: Path, home: Path | None, wave: str | None, as_json: bool) -> None:
    """Account for every planned message of CAMPAIGN: the states add up to the plan."""
    project = _planned_project(root, home, campaign)
    from campanile.ledger.store import Ledger
    from campanile.sending.frozen import planned_record
    from campanile.sending.status import status, status_text

    with Ledger.open(project.ledger_place) as ledger:
        account = status(ledger, planned_record(ledger, campaign, wave))
    if as_json:
        print_json(account)
    else:
        click.echo(status_text(account))


@click.command("resolve")
@click.argument("campaign")
@project_options
@click.option(
    "--as",
    "outcome",
    type=click.Choice(["accepted", "rejected", "resend"]),
    help="What really happened, as you know from the provider.",
)
@click.option("--ask-provider", is_flag=True, help="Ask the provider's own records instead, where it has any.")
@click.option("--who", default="", help="Who decides; kept in the ledger.")
@click.option("--why", default="", help="From what you know it; kept in the ledger.")
@click.option("--message", "messages", multiple=True, help="Id of one message; all unknown ones by default.")
@json_option
def resolve_command(
    campaign: str,
    root: Path,
    home: Path | None,
    outcome: str | None,
    ask_provider: bool,
    who: str,
    why: str,
    messages: tuple[str, ...],
    as_json: bool,
) -> None:
    """Settle hand-overs of CAMPAIGN whose answer was lost, by a person's word or by the provider's records."""
    if ask_provider == (outcome is not None):
        raise click.UsageError("give --as with --who and --why, or --ask-provider")
    project = _planned_project(root, home, campaign)
    from campanile.ledger.store import Ledger
    from campanile.sending.frozen import planned_record
    from campanile.sending.resolve import resolve

    if outcome is None:
        _ask(project, campaign, as_json=as_json)
        return
    with Ledger.open(project.ledger_place) as ledger:
        settled = resolve(ledger, planned_record(ledger, campaign), outcome, who=who, why=why, message_ids=messages)
    if as_json:
        print_json({"contract": 1, "campaign": campaign, "settled": settled, "as": outcome})
    else:
        click.echo(f"{settled} message(s) settled as {outcome}")


def _ask(project: Project, campaign: str, *, as_json: bool) -> None:
    from dataclasses import asdict

    from campanile.sending.run import ask_about

    found = asdict(ask_about(project, campaign))
    if as_json:
        print_json({"contract": 1, "campaign": campaign, **found})
    else:
        settled = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in found.items())
        click.echo(f"the provider's records: {settled}")


@click.command("readout")
@click.argument("campaign", required=False)
@project_options
@click.option("--now", "at", help="Read as at this past moment, local to the shop; default is now.")
@click.option(
    "--from",
    "table",
    type=click.Path(path_type=Path),
    help="A table with one row per unit, of an experiment elsewhere.",
)
@click.option("--experiment", type=click.Path(path_type=Path), help="With --from: how the table is read and judged.")
@click.option("--again", type=click.Path(path_type=Path), help="Compute a readout again from its evidence.json alone.")
@click.option("--keep/--no-keep", default=True, help="With --from: whether the registry of the project keeps it.")
@json_option
def readout_command(
    campaign: str | None,
    root: Path,
    home: Path | None,
    at: str | None,
    table: Path | None,
    experiment: Path | None,
    again: Path | None,
    keep: bool,
    as_json: bool,
) -> None:
    """Read the experiment of CAMPAIGN: can it be trusted, did it work, did it pay; as HTML, Markdown, JSON, CSV.

    With --from and --experiment, read a table of an experiment that was run elsewhere in the same way. With --again,
    compute an earlier readout anew from the sums that were kept with it; no database is needed.
    """
    if again is not None:
        if table or experiment or campaign or at:
            raise click.UsageError("give --again alone")
        _read_again(again, as_json=as_json)
        return
    if table is not None or experiment is not None:
        if table is None or experiment is None or campaign is not None or at is not None:
            raise click.UsageError("give --from and --experiment together, and neither CAMPAIGN nor --now with them")
        project = open_project(root, home) if (root / "campanile.yaml").exists() else None
        _read_table(project, table, experiment, keep=keep, as_json=as_json)
        return
    if campaign is None:
        raise click.UsageError("give a CAMPAIGN, or --from and --experiment")
    _read_campaign(open_project(root, home), campaign, at, as_json=as_json)


def _read_campaign(project: Project, campaign: str, at: str | None, *, as_json: bool) -> None:
    now = past_moment(at, project)
    _needs_plan(project, campaign)
    from campanile.customers.database import CustomerDatabase
    from campanile.ledger.store import Ledger
    from campanile.readout.read import read_out
    from campanile.registry.past import past_lifts
    from campanile.report.files import write_readout
    from campanile.report.jsonable import jsonable

    needs_store(project.database_path, project, "run `campanile import`")
    with CustomerDatabase.open(project) as database, Ledger.open(project.ledger_place) as ledger:
        past = partial(past_lifts, project, campaign)
        readout = read_out(project, campaign, database=database, ledger=ledger, now=now, past=past)
    paths = write_readout(readout, project.readouts_dir / campaign)
    _renew_page(project)
    if as_json:
        print_json(jsonable(readout))
    else:
        click.echo(readout.verdict.sentence)
        click.echo("\n".join(str(path) for path in paths))


def _read_again(evidence: Path, *, as_json: bool) -> None:
    """Computes a readout from the evidence that was kept with it, and prints it."""
    from campanile.readout.evidence import read_again
    from campanile.report.compose import document
    from campanile.report.jsonable import jsonable
    from campanile.report.markdown import markdown

    readout = read_again(evidence)
    if as_json:
        print_json(jsonable(readout))
    else:
        click.echo(markdown(document(readout)))


def _read_table(project: Project | None, table: Path, experiment: Path, *, keep: bool, as_json: bool) -> None:
    """Reads an experiment run elsewhere; the registry of the project keeps it, where there is one."""
    from campanile.readout.elsewhere import read_elsewhere_out
    from campanile.report.elsewhere import elsewhere_values
    from campanile.report.elsewhere_page import elsewhere_document
    from campanile.report.files import folder_name, write_files
    from campanile.spec.elsewhere import read_elsewhere

    spec = read_elsewhere(experiment)
    if project and keep:
        _needs_own_name(project, spec.experiment)
    readout = read_elsewhere_out(table, spec, currency=project.currency.code if project else "")
    values, page = elsewhere_values(readout), elsewhere_document(readout)
    paths: tuple[Path, ...] = ()
    if project and keep:
        folder = project.readouts_dir / folder_name(spec.experiment)
        paths = write_files(page, values, folder, moment=clock.now())
        _renew_page(project)
    if as_json:
        print_json(values)
    else:
        from campanile.report.markdown import markdown

        click.echo("\n".join(map(str, [readout.verdict.sentence, *paths])) if paths else markdown(page))


def _needs_own_name(project: Project, experiment: str) -> None:
    """Nothing; CampanileError when a campaign of this shop has that name, whose readouts it would lie among."""
    from campanile.ledger.store import Ledger

    taken = {*project.campaigns, *project.broken}
    if Ledger.is_there(project.ledger_place):
        with Ledger.open(project.ledger_place) as ledger:
            taken |= {plan.campaign for plan in ledger.plans()}
    if experiment in taken:
        cure = "write another name under `experiment:` in its file, or leave it out of the registry with --no-keep"
        raise CampanileError(f"{experiment} is a campaign of this shop", cure)


def _renew_page(project: Project) -> None:
    from campanile.registry.page import write_page

    write_page(project)


def _known_wave(spec: CampaignSpec, wave: str | None) -> None:
    """UsageError when the campaign has no such wave."""
    if wave is not None and wave not in spec.waves:
        raise UsageError(f'{spec.name} has no wave "{wave}"', did_you_mean(wave, spec.waves))


def _planned_project(root: Path, home: Path | None, campaign: str) -> Project:
    """The project, when its ledger knows a plan of the campaign, or may."""
    project = open_project(root, home)
    _needs_plan(project, campaign)
    return project


def _needs_plan(project: Project, campaign: str) -> None:
    """Nothing when the ledger has a plan of the campaign: what is registered there outlives the campaign's file."""
    from campanile.ledger.store import Ledger

    if not Ledger.is_there(project.ledger_place):
        project.campaign(campaign)
        raise CampanileError(
            f"there is no ledger in {project.home} yet",
            f"run `campanile plan {campaign}`, or name the folder of the stores with --home",
        )
    with Ledger.open(project.ledger_place) as ledger:
        if ledger.plan(campaign) is None:
            project.campaign(campaign)
