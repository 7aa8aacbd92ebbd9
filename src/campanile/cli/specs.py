"""`campanile check` and `campanile schema`: what is committed, before anything touches data."""

from __future__ import annotations

from pathlib import Path

import click

from campanile.cli.options import json_option, print_json, problem_rows, project_options
from campanile.errors import ProblemsError


@click.command("check")
@project_options
@json_option
def check_command(root: Path, home: Path | None, as_json: bool) -> None:  # noqa: ARG001, FBT001 - the options of every command
    """Check every campaign, experiment, segment and template; print all problems at once."""
    from campanile.messages.templates import check_templates
    from campanile.spec.check import check_project

    folder = root.resolve()
    parts = check_project(folder)
    channels = parts.settings.channels if parts.settings else None
    problems = sorted({*parts.problems, *check_templates(folder, parts.campaigns.values(), parts.shop, channels)})
    if as_json:
        print_json({"contract": 1, "problems": problem_rows(problems)})
    elif problems:
        raise ProblemsError(problems)
    else:
        names = ", ".join(sorted(parts.campaigns)) or "none yet"
        click.echo(f"{len(parts.campaigns)} campaign(s) without a problem: {names}")
    if problems:
        raise SystemExit(ProblemsError.exit_code)


@click.command("schema")
@click.argument("kind", required=False, metavar="[campaign|experiment|project|segments]")
@click.option("--write", is_flag=True, help="Write the schema files and the reference pages of this checkout.")
@json_option
def schema_command(kind: str | None, write: bool, as_json: bool) -> None:  # noqa: FBT001
    """Print the JSON Schema of one kind of file, or write all of them."""
    from campanile.errors import UsageError, did_you_mean
    from campanile.spec.schema import json_schemas, write_reference, write_schemas

    if write:
        paths = [str(path) for path in (*write_schemas(), *write_reference(Path("docs/reference")))]
        print_json({"contract": 1, "files": paths}) if as_json else click.echo("\n".join(paths))
        return
    schemas = json_schemas()
    if kind not in schemas:
        raise UsageError(f'no schema "{kind}"' if kind else "which schema?", did_you_mean(kind or "", schemas))
    print_json(schemas[kind])
