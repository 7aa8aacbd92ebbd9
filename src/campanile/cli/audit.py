"""`campanile audit`: how good the customer database is."""

from __future__ import annotations

from pathlib import Path

import click

from campanile.cli.options import json_option, moment, needs_store, open_project, print_json, project_options


@click.command("audit")
@project_options
@click.option("--as-of", "as_of", help="Moment to look from, local to the shop; default is now.")
@json_option
def audit_command(root: Path, home: Path | None, as_of: str | None, as_json: bool) -> None:  # noqa: FBT001
    """Say how good the customer database is: how many, how valuable, which fields, what quality, what to do.

    The page lies in runs/audit. Limits stand in campanile.yaml under `policy: audit:`; the exit code is 1 when one is
    broken, and then no campaign is planned. Events at or after the moment are not seen.
    """
    project = open_project(root, home)
    at = moment(as_of, project)
    needs_store(project.database_path, project, "run `campanile import`")
    from campanile.customers.database import CustomerDatabase
    from campanile.plan.sound import whole_audit
    from campanile.report.audit import judge
    from campanile.report.audit_answers import audit_json, audit_text, write_audit

    with CustomerDatabase.open(project) as database:
        judgement = judge(project, whole_audit(project, database, at))
    paths = write_audit(judgement, project.audits_dir)
    if as_json:
        print_json(audit_json(judgement))
    else:
        click.echo(audit_text(judgement))
        click.echo("\n".join(str(path) for path in paths))
    if judgement.broken:
        raise SystemExit(1)
