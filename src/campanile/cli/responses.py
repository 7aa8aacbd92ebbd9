"""The commands of what comes back: serve, responses, suppress, forget, disclose."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import click

from campanile import clock
from campanile.cli.options import json_option, moment, open_project, print_json, project_options

# ruff: noqa: FBT001 - click passes every option as a parameter


@click.command("serve")
@project_options
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; a proxy stands before it.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
@click.option(
    "--only-keep", is_flag=True, help="Keep what comes, and leave processing to `campanile responses process`."
)
def serve_command(root: Path, home: Path | None, host: str, port: int, only_keep: bool) -> None:
    """Take clicks, refusals, answers, coupons and what providers tell.

    Wants a proxy with TLS before it, at the base_url of campanile.yaml. Keys of providers are read from the
    environment variables named under `responses:`.
    """
    project = open_project(root, home)
    from campanile.responses.server import listening, serve

    with listening(host, port) as (socket, taken):
        click.echo(f"listening on {host}:{taken}, known to the world as {project.settings.shop.base_url}")
        serve(project, socket, processing=not only_keep)


@click.group("responses")
def responses_command() -> None:
    """Understand what came back, and say what it came to."""


@responses_command.command("process")
@project_options
@click.option("--again", is_flag=True, help="Make everything that is made from the inbox anew.")
@json_option
def process_command(root: Path, home: Path | None, again: bool, as_json: bool) -> None:
    """Understand what waits in the inbox. `campanile serve` does so by itself.

    Then empties what providers wrote longer ago than `responses: keep_raw`; the events stay.
    """
    project = open_project(root, home)
    from campanile.ledger.store import Ledger
    from campanile.responses.inbox import drop_raw, forget_understood
    from campanile.responses.process import process

    with Ledger.open(project.ledger_place) as ledger:
        if again:
            forget_understood(ledger)
        done = process(ledger)
        drop_raw(ledger, clock.now() - timedelta(days=project.settings.responses.keep_raw))
    if as_json:
        print_json({"contract": 1, **done.to_json()})
    else:
        click.echo(
            f"{done.read:,} read, {done.events:,} events new, {done.unreadable:,} unreadable, "
            f"{done.settled:,} unknown hand-overs settled"
        )


@responses_command.command("results")
@click.argument("campaign")
@click.argument("file", type=click.Path(path_type=Path))
@project_options
@json_option
def results_command(campaign: str, file: Path, root: Path, home: Path | None, as_json: bool) -> None:
    """Take in what others say became of the messages of CAMPAIGN: a .csv or .xlsx of message ids and results.

    FILE has the columns message_id and result (accepted, delivered, rejected, bounced, replied, clicked, stop), and
    `at`, `detail` and `words` where they are known. The same row again changes nothing.
    """
    project = open_project(root, home)
    from campanile.ledger.store import Ledger
    from campanile.responses.results import take_results
    from campanile.sending.frozen import planned_record

    with Ledger.open(project.ledger_place) as ledger:
        planned_record(ledger, campaign)
        done = take_results(ledger, tuple(p.plan_id for p in ledger.plans() if p.campaign == campaign), file)
    if as_json:
        print_json({"contract": 1, "campaign": campaign, **done.to_json()})
    else:
        click.echo(
            f"{done.rows:,} rows: {done.new:,} told something new, {done.strangers:,} are of other messages, "
            f"{done.unreadable:,} unreadable"
        )
        click.echo("\n".join(done.sentences), nl=bool(done.sentences))
    if done.unreadable:
        raise SystemExit(1)


@responses_command.command("show")
@click.argument("campaign")
@project_options
@json_option
def show_command(campaign: str, root: Path, home: Path | None, as_json: bool) -> None:
    """Show what the messages of CAMPAIGN came to: delivery, clicks, answers, coupons. None of it is an effect.

    Of a repeating campaign those of all waves together, as its readout has them.
    """
    project = open_project(root, home)
    project.campaign(campaign)
    from campanile.ledger.attribution import answers_of
    from campanile.ledger.store import Ledger
    from campanile.responses.show import text, to_json
    from campanile.sending.frozen import planned_record

    with Ledger.open(project.ledger_place) as ledger:
        planned_record(ledger, campaign)
        plans = sorted((plan for plan in ledger.plans() if plan.campaign == campaign), key=lambda plan: plan.wave)
        arms = answers_of(ledger, plans)
    if as_json:
        print_json(to_json(plans, arms, project.currency.scale))
    else:
        click.echo(text(plans, arms))


@responses_command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@project_options
@json_option
def import_answers_command(file: Path, root: Path, home: Path | None, as_json: bool) -> None:
    """Take answers that were given elsewhere from a FILE: replies, call results, visits, refusals.

    A list with commas. Columns: message_id, or campaign and customer_id, with wave where it repeats; kind (reply, call,
    visit, stop); at; words.
    """
    project = open_project(root, home)
    from campanile.ledger.store import Ledger
    from campanile.responses.process import process
    from campanile.responses.sheets import import_answers

    with Ledger.open(project.ledger_place) as ledger:
        taken = import_answers(ledger, file, project.zone, now=clock.now())
        process(ledger)
    _say(taken.to_json(), f"{taken.rows:,} rows read, {taken.new:,} of them new", as_json=as_json)


@responses_command.command("reconcile")
@project_options
@click.option("--now", "at", help="Pretend that it is this moment, local to the shop.")
@json_option
def reconcile_command(root: Path, home: Path | None, at: str | None, as_json: bool) -> None:
    """Settle unknown hand-overs by what came, and name providers that fell silent. Exits 1 when one has."""
    project = open_project(root, home)
    from campanile.ledger.store import Ledger
    from campanile.responses.process import process
    from campanile.responses.reconcile import reconcile

    silence = timedelta(days=project.settings.responses.silence)
    with Ledger.open(project.ledger_place) as ledger:
        process(ledger)
        found = reconcile(ledger, now=moment(at, project), silence=silence)
    _say(found.to_json(), found.text(), as_json=as_json)
    if found.silent:
        raise SystemExit(1)


@click.group("suppress")
def suppress_command() -> None:
    """Lists of addresses that must not be contacted."""


@suppress_command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@project_options
@json_option
def import_suppressions_command(file: Path, root: Path, home: Path | None, as_json: bool) -> None:
    """Suppress every address of FILE, in force at once. Whoever is suppressed already stays so.

    A list with commas. Columns: channel (email, sms), address; reason; at.
    """
    project = open_project(root, home)
    from campanile.ledger.store import Ledger
    from campanile.responses.sheets import import_suppressions

    with Ledger.open(project.ledger_place) as ledger:
        taken = import_suppressions(ledger, file, now=clock.now())
    _say(taken.to_json(), f"{taken.rows:,} addresses read, {taken.new:,} of them new", as_json=as_json)


@suppress_command.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@project_options
@json_option
def export_suppressions_command(file: Path, root: Path, home: Path | None, as_json: bool) -> None:
    """Write every suppressed address to FILE, readable by its owner only."""
    project = open_project(root, home)
    from campanile.ledger.store import Ledger
    from campanile.responses.sheets import export_suppressions

    with Ledger.open(project.ledger_place) as ledger:
        written = export_suppressions(ledger, file)
    _say({"rows": written, "file": str(file)}, f"{written:,} addresses written to {file}", as_json=as_json)


def _say(document: Mapping[str, object], sentence: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"contract": 1, **document})
    else:
        click.echo(sentence)


@click.command("forget")
@click.argument("customer")
@click.option("--why", required=True, help="Who asked for it, and when; kept without the customer's name.")
@project_options
@json_option
def forget_command(customer: str, why: str, root: Path, home: Path | None, as_json: bool) -> None:
    """Forget CUSTOMER: addresses, texts and profile go, a stranger keeps orders, arms and states.

    Readouts stay as they are. The addresses stay suppressed, as keyed hashes. Prints whom else to ask.
    """
    project = open_project(root, home)
    from campanile.customers.database import CustomerDatabase
    from campanile.ledger.store import Ledger
    from campanile.responses.forget import forget

    with CustomerDatabase.open(project) as database, Ledger.open(project.ledger_place) as ledger:
        done = forget(project, customer, database=database, ledger=ledger, why=why, now=clock.now())
    _say(done.to_json(), done.text(), as_json=as_json)


@click.command("disclose")
@click.argument("customer")
@click.option(
    "--to", "file", required=True, type=click.Path(dir_okay=False, path_type=Path), help="File to write, as JSON."
)
@project_options
@json_option
def disclose_command(customer: str, file: Path, root: Path, home: Path | None, as_json: bool) -> None:
    """Write everything that is known of CUSTOMER to a file that only its owner can read."""
    project = open_project(root, home)
    from campanile.customers.database import CustomerDatabase
    from campanile.ledger.store import Ledger
    from campanile.responses.forget import disclose

    with CustomerDatabase.open(project, read_only=True) as database, Ledger.open(project.ledger_place) as ledger:
        rows = disclose(customer, file, database=database, ledger=ledger, now=clock.now())
    _say({"rows": rows, "file": str(file)}, f"{rows:,} rows written to {file}", as_json=as_json)
