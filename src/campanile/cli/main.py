"""`campanile`: every command by name, loaded when it is called, so that `--help` and `check` stay fast."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import click

from campanile import __version__
from campanile.cli.options import print_json, problem_rows
from campanile.errors import CampanileError, Problem

#: Command → (module below campanile.cli, what it does). The order is the order of work.
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("start", "Make an empty shop in a folder."),
    "check": ("specs", "Check every campaign, experiment and template; print all problems."),
    "schema": ("specs", "Print or write the JSON Schemas that editors complete from."),
    "doctor": ("doctor", "Say whether this machine could send."),
    "import": ("shop", "Import the shop's files into the customer database."),
    "people": ("people", "Find records that are one person; merge them, and take merges back."),
    "audit": ("audit", "Say how good the customer database is, and what to do about it."),
    "profile": ("shop", "Refresh RFM, life-cycle stage and reachability."),
    "audience": ("audience", "Show whom a target means, and line by line why."),
    "plan": ("campaigns", "Select, split and freeze a campaign; explain it before anything is sent."),
    "preview": ("campaigns", "Render a campaign's messages for sampled customers."),
    "run": ("campaigns", "Send the frozen plan, or show what would be sent."),
    "dispatch": ("dispatch", "Plan and send the waves whose time has come, and reminders that are due."),
    "status": ("campaigns", "Account for every planned message."),
    "pause": ("pausing", "Let a campaign stand still."),
    "resume": ("pausing", "Let a paused campaign go on."),
    "resolve": ("campaigns", "Settle hand-overs whose answer was lost."),
    "serve": ("responses", "Take clicks, refusals, answers, coupons and what providers tell."),
    "responses": ("responses", "Understand what came back, and say what it came to."),
    "suppress": ("responses", "Lists of addresses that must not be contacted."),
    "readout": ("campaigns", "Read the experiment: did it work, did it pay, can it be trusted."),
    "aa": ("replaying", "Say how often a campaign that does nothing would be called effective here."),
    "experiments": ("experiments", "List every experiment; show, compare and export them."),
    "forget": ("responses", "Forget a customer; readouts stay as they are."),
    "disclose": ("responses", "Write everything that is known of a customer to a file."),
    "propose": ("improve", "Write the next campaign from a closed experiment, for a person to merge."),
    "learned": ("improve", "Say what all closed campaigns have taught, in answer to a few words."),
    "rehearse": ("rehearse", "Play a whole campaign against simulated customers with a known effect."),
}


class LazyCommands(click.Group):
    """A group whose commands are imported when they run."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        """Command names in the order of work."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name, or None."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"campanile.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, f"{cmd_name.replace('-', '_')}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Lists the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments name; a misspelt one is answered with the nearest."""
        from campanile.errors import did_you_mean

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f'no command "{args[0]}"; {did_you_mean(args[0], COMMANDS)}')
        return super().resolve_command(ctx, args)


@click.group(cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="campanile")
def cli() -> None:
    """Campaigns as randomised experiments: committed as YAML, sent once, read honestly."""


def main(args: list[str] | None = None) -> Any:
    """Runs the command line; exits 0 when done, 1 when problems were found, 2 when called wrongly."""
    as_json = "--json" in (sys.argv[1:] if args is None else args)
    try:
        cli.main(args=args, prog_name="campanile", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        _fail(error.format_message(), 2, as_json=as_json)
    except click.Abort:
        _stopped(as_json=as_json)
    except CampanileError as error:
        click.echo(str(error), err=True)
        _fail(str(error), error.exit_code, as_json=as_json, problems=getattr(error, "problems", ()))
    except Exception as error:
        if isinstance(error.__cause__, KeyboardInterrupt):  # Ctrl-C in the middle of a query: the engine's own error
            _stopped(as_json=as_json)
        sentence = _of_the_machine(error)
        if sentence is None:
            raise
        click.echo(sentence, err=True)
        _fail(sentence, 1, as_json=as_json)


def _stopped(*, as_json: bool) -> NoReturn:
    click.echo("stopped", err=True)
    _fail("stopped", 1, as_json=as_json)


def _fail(sentence: str, code: int, *, as_json: bool, problems: Sequence[Problem] = ()) -> NoReturn:
    """Ends the process; with `--json` the failure is the one document on standard output."""
    if as_json:
        print_json({"contract": 1, "error": sentence, "problems": problem_rows(problems)})
    sys.exit(code)


_SENTENCES: Mapping[type[Exception], str] = {
    OverflowError: "a date or a number is too large to reckon with; look at the dates and amounts you gave",
    RecursionError: "the conditions are too many, or too deep in one another; use lists, or several segments",
    UnicodeEncodeError: "a text you gave is not UTF-8; write it in the encoding UTF-8",
    json.JSONDecodeError: "a stored document cannot be read: the ledger or a file is damaged; put a sound backup in "
    "its place",
}


def _of_the_machine(error: Exception) -> str | None:
    """One sentence without contact data for troubles of disk, clock and engine that nobody foresaw; else None."""
    from campanile.errors import cure_of
    from campanile.privacy import redact

    kind = type(error).__name__
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return redact(f"{place}{error.strerror or kind}; {cure_of(error)}")
    for known, sentence in _SENTENCES.items():
        if isinstance(error, known):
            return sentence
    # The engine's own text quotes values, and values may be contact data. It is not imported to be asked about.
    if type(error).__module__.partition(".")[0] in ("duckdb", "_duckdb"):
        if "Permission denied" in str(error):
            return "the customer database may not be written; check who owns its folder, and their rights"
        return f"the customer database or a file it reads fails ({kind}); restore it, or import again"
    return None
