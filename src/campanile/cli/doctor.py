"""`campanile doctor`: whether this machine could send."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from campanile.cli.options import json_option, open_project, print_json, project_options

_MARKS = {"good": "✓", "look": "!", "bad": "✗", "skipped": "-"}


@click.command("doctor")
@project_options
@click.option("--offline", is_flag=True, help="Ask no server and no name server.")
@json_option
def doctor_command(root: Path, home: Path | None, offline: bool, as_json: bool) -> None:  # noqa: FBT001
    """Say whether this machine could send: files, keys, stores, disk, clock, servers, records of the sender's domain.

    No message is handed over and no key is shown. The exit code is 1 when something would keep messages from going out.
    """
    project = open_project(root, home)
    from campanile.sending.doctor import examine

    found = []
    for finding in examine(project, online=not offline):
        found.append(finding)
        if not as_json:
            click.echo(f"{_MARKS[finding.state]} {finding.part:<7} {finding.what}")
            if finding.cure and finding.state != "good":
                click.echo(f"          {finding.cure}")
    if as_json:
        print_json({"contract": 1, "findings": [asdict(finding) for finding in found]})
    if any(finding.state == "bad" for finding in found):
        raise SystemExit(1)
