"""`campanile audience`: who a target means, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

import click

from campanile.cli.options import json_option, moment, open_project, print_json, project_options
from campanile.errors import CampanileError, cure_of

if TYPE_CHECKING:
    from campanile.audience.many import Many
    from campanile.audience.waterfall import Audience
    from campanile.customers.database import CustomerDatabase
    from campanile.spec.campaign import CampaignSpec
    from campanile.spec.conditions import Condition, Target
    from campanile.spec.policy import MarketingShare
    from campanile.spec.project import Project

_YES_NO = {True: "yes", False: "no", None: "-"}


@click.command("audience")
@click.argument("file", required=False, metavar="[FILE]")
@project_options
@click.option("--as-of", "as_of", help="Moment to look from, local to the shop; default is now.")
@click.option("--ids", type=click.Path(dir_okay=False, path_type=Path), help="Write the customer ids to this Parquet.")
@click.option(
    "--engine",
    type=click.Choice(["duckdb", "postgres", "spark"]),
    help="The engine that selects; default is the one of campanile.yaml.",
)
@click.option("--sql", "with_sql", is_flag=True, help="Show the SQL that selects.")
@click.option("--explain", "customer", metavar="CUSTOMER", help="Say line by line why this customer is in or out.")
@click.option("--many", metavar="FILE", help="A list of {name, condition}: the size of each, in one pass.")
@json_option
def audience_command(  # noqa: PLR0913, PLR0917 - click hands every option over
    file: str | None,
    root: Path,
    home: Path | None,
    as_of: str | None,
    ids: Path | None,
    engine: str | None,
    with_sql: bool,  # noqa: FBT001
    customer: str | None,
    many: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Show whom the target of FILE means: every line with how many it leaves and loses.

    FILE has `target:`, and may have `segments:` and `metrics:` of its own; `-` reads standard input. A campaign works
    too, with reachability, caps and everything else that is applied before the split.
    """
    if (file is None) == (many is None):
        raise click.UsageError("give a FILE with a target, or --many and a file with conditions")
    if many is not None and (with_sql or customer is not None):
        raise click.UsageError("--sql and --explain are about one target; leave them out with --many")
    from campanile.spec.targets import read_conditions_file

    project = open_project(root, home)
    at = moment(as_of, project)
    engine = engine or project.settings.database.engine
    asked = _read(project, file, at) if file is not None else read_conditions_file(str(many), project)
    if ids:
        _needs_place(ids)
    campaign = asked.campaign if isinstance(asked, _Asked) else None
    with _database(project, at, engine, campaign, _fields_read(project, asked)) as (database, warnings):
        if not isinstance(asked, _Asked):
            _many(project, database, at, asked, ids, engine=engine, as_json=as_json)
            return
        found = _select(asked, database, at)
        share = project.settings.policy.marketing_share
        answer = _answer(found, at, engine, share=share, with_sql=with_sql, customer=customer) | {"warnings": warnings}
        if ids:
            _write_ids(database, found, ids)
    if as_json:
        print_json(answer)
    else:
        click.echo(_text(answer))


def _fields_read(project: Project, asked: _Asked | tuple[dict[str, Condition], dict[str, str]]) -> frozenset[str]:
    """The customer fields that the answer reads: no other dear column of the profile need be made."""
    from campanile.spec.conditions import Line, Target, fields_of

    if isinstance(asked, _Asked):
        return fields_of(asked.target, asked.project.segments)
    conditions, _ = asked
    return fields_of(Target(tuple(Line(condition, name) for name, condition in conditions.items())), project.segments)


@contextmanager
def _database(
    project: Project, as_of: datetime, engine: str, campaign: CampaignSpec | None, fields: frozenset[str]
) -> Iterator[tuple[CustomerDatabase, list[str]]]:
    """The customers on that engine, with a profile of that moment that has these fields and with the ledger's past.

    Beside them the limits of the audit that are broken.
    """
    from campanile.customers.database import CustomerDatabase
    from campanile.customers.profile import ensure_profile
    from campanile.customers.published import on_engine

    with CustomerDatabase.open(project) as landing:
        _remember(project, landing)
        if campaign is not None:
            _count_other_plans(project, campaign, landing, as_of)
        with on_engine(project, landing, engine) as database:
            ensure_profile(project, database, as_of, fields=fields)
            yield database, _warnings(project, landing, as_of)


def _remember(project: Project, database: CustomerDatabase) -> None:
    """Tells the database what the ledger knows of past campaigns, where there is one."""
    from campanile.ledger.store import Ledger
    from campanile.plan.past import sync_past

    if Ledger.is_there(project.ledger_place):
        with Ledger.open(project.ledger_place) as ledger:
            sync_past(project, database, ledger)


def _warnings(project: Project, database: CustomerDatabase, as_of: datetime) -> list[str]:
    """The limits of the audit that are broken, which would stop a plan; said on standard error as well."""
    from campanile.plan.sound import limits_broken

    found = [each.sentence for each in limits_broken(project, database, as_of)]
    for sentence in found:
        click.echo(f"warning: {sentence}", err=True)
    return found


@dataclass(frozen=True)
class _Asked:
    """What FILE asks: its target, the project with the names that it may use, and its campaign if it is one."""

    target: Target
    project: Project
    campaign: CampaignSpec | None


def _read(project: Project, file: str, as_of: datetime) -> _Asked:
    """What the file asks; read before the database is opened, so that a slip of the pen costs no profile."""
    from campanile.plan.waves import wave_at
    from campanile.spec.targets import read_target_file

    campaign = _campaign_of(project, file)
    if campaign is not None:
        spec = project.campaign(campaign)
        return _Asked(spec.target, project, spec.in_wave(wave_at(spec, project, as_of)))
    target, named = read_target_file(file, project)
    return _Asked(target, replace(project, segments=named.segments, metrics=named.metrics), None)


def _select(asked: _Asked, database: CustomerDatabase, as_of: datetime) -> Audience:
    from campanile.audience.select import select

    return select(asked.target, database, as_of, project=asked.project, campaign=asked.campaign)


def _count_other_plans(project: Project, spec: CampaignSpec, database: CustomerDatabase, as_of: datetime) -> None:
    """Lets the policy see what other plans are about to send and whom they have, as `campanile plan` does."""
    from campanile.ledger.store import Ledger
    from campanile.plan.past import sync_others
    from campanile.plan.waves import wave_at

    if Ledger.is_there(project.ledger_place):
        with Ledger.open(project.ledger_place) as ledger:
            wave = wave_at(project.campaign(spec.name), project, as_of)
            sync_others(project, spec, wave, as_of=as_of, database=database, ledger=ledger)


def _campaign_of(project: Project, file: str) -> str | None:
    """The campaign that is committed in this file."""
    path = Path(file).resolve()
    return path.stem if path.parent == project.root / "campaigns" and path.stem in project.campaigns else None


def _answer(  # noqa: PLR0913
    found: Audience,
    as_of: datetime,
    engine: str,
    *,
    share: MarketingShare | None,
    with_sql: bool,
    customer: str | None,
) -> dict[str, Any]:
    from campanile.clock import iso
    from campanile.plan.weigh import weigh_policy

    steps = [{"line": step.line, "text": step.text, "left": step.left, "lost": step.lost} for step in found.waterfall()]
    answer: dict[str, Any] = {
        "contract": 1, "as_of": iso(as_of), "engine": engine, "size": found.size, "waterfall": steps,
    }  # fmt: skip
    answer["priority"] = {"lost_to": found.lost_to, "shared_with": found.shared_with}
    answer["problems"] = list(weigh_policy(found, share))
    if with_sql:
        answer["sql"] = found.sql()
    if customer is not None:
        words = found.explain(customer)
        answer["explain"] = {
            "customer_id": customer,
            "in": not any(word.decides for word in words),
            "lines": [
                {"line": word.line, "text": word.text, "keeps": word.keeps, "decides": word.decides} for word in words
            ],
        }
    return answer


def _text(answer: Mapping[str, Any]) -> str:
    wide = max(len(step["line"]) for step in answer["waterfall"]) + 2
    lines = [f"{answer['size']:,} customers as of {answer['as_of']}", f"  {'':<{wide}}{'left':>12}{'lost':>12}"]
    lines += [
        f"  {step['line']:<{wide}}{step['left']:>12,}{-step['lost']:>12,}  {step['text']}"
        for step in answer["waterfall"]
    ]
    lines += [f"  - {problem}" for problem in answer["problems"]]
    if "explain" in answer:
        told = answer["explain"]
        lines.append(f"{told['customer_id']} is {'in' if told['in'] else 'out'}")
        for line in told["lines"]:
            decides = "  <- left out here" if line["decides"] else ""
            lines.append(f"  {line['line']:<{wide}}{_YES_NO[line['keeps']]:>4}  {line['text']}{decides}")
    if "sql" in answer:
        lines.append(answer["sql"])
    return "\n".join(lines)


def _write_ids(database: CustomerDatabase, found: Audience, path: Path) -> None:
    from campanile.customers.engine import write_parquet

    write_parquet(database, found.ids.order_by("customer_id"), path)


def _needs_place(path: Path) -> None:
    """Nothing; CampanileError when no file can be written there, before anything is computed for it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise CampanileError(f"{path}: {error.strerror}", cure_of(error)) from error


# --- many ------------------------------------------------------------------------------------------------------------
def _many(  # noqa: PLR0913
    project: Project,
    database: CustomerDatabase,
    as_of: datetime,
    read: tuple[dict[str, Condition], dict[str, str]],
    ids: Path | None,
    *,
    engine: str,
    as_json: bool,
) -> None:
    from campanile.audience.many import select_many
    from campanile.clock import iso

    conditions, unreadable = read
    many = select_many(conditions, database, as_of, project=project)
    sizes = _sizes(database, many, ids)
    errors = {**unreadable, **many.errors}
    answer = {"contract": 1, "as_of": iso(as_of), "engine": engine, "sizes": sizes, "errors": errors}
    if as_json:
        print_json(answer)
    else:
        click.echo(
            "\n".join(
                [
                    *(f"{size:>12,}  {name}" for name, size in sizes.items()),
                    *(f"{'':>12}  {name}: {error}" for name, error in errors.items()),
                ]
            )
        )
    if errors and not as_json:
        raise SystemExit(1)


def _sizes(database: CustomerDatabase, many: Many, ids: Path | None) -> dict[str, int]:
    """How many customers each condition holds for; their ids go to the file on the way."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from campanile.customers.engine.files import whole_file

    sizes = dict.fromkeys(many.columns, 0)
    schema = pa.schema({"name": pa.string(), "customer_id": pa.string()})
    with ExitStack() as files:
        writer = files.enter_context(pq.ParquetWriter(files.enter_context(whole_file(ids)), schema)) if ids else None
        for name, found in _members(database, many):
            sizes[name] += len(found)
            if writer:
                writer.write_table(pa.table({"name": pa.repeat(name, len(found)), "customer_id": found}, schema))
    return sizes


def _members(database: CustomerDatabase, many: Many) -> Iterator[tuple[str, Any]]:
    """The customers of each condition, in portions."""
    from campanile.customers.engine import batches

    if many.judged is None:
        return
    for batch in batches(database, many.judged):
        for name, column in many.columns.items():
            yield name, batch["customer_id"].filter(batch[column])
