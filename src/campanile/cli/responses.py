"""The commands of what comes back: serve, responses, suppress, forget, disclose."""

from __future__ import annotations

from pathlib import Path

import click

from campanile.cli.options import json_option, open_project, print_json, project_options

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
    """Understand what waits in the inbox. `campanile serve` does so by itself."""
    project = open_project(root, home)
    from campanile.ledger.store import Ledger
    from campanile.responses.inbox import forget_understood
    from campanile.responses.process import process

    with Ledger.open(project.ledger_place) as ledger:
        if again:
            forget_understood(ledger)
        done = process(ledger)
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
