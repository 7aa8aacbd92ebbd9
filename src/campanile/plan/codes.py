"""Codes of the till, one for each customer, from a file: nobody gets one that somebody else has or had."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from sqlalchemy import select

from campanile.errors import CampanileError, cure_of
from campanile.events import CONTROL
from campanile.ledger import Ledger, PlanRecord, tables, variables
from campanile.spec.campaign import CampaignSpec
from campanile.spec.project import Project

#: Under which name a message keeps its code.
CODE = "code"
_CODE = re.compile(r"[A-Za-z0-9_-]{4,40}")


def codes_for(project: Project, spec: CampaignSpec, wave: str, arms: Mapping[str, int], ledger: Ledger) -> Codes:
    """The codes of the campaign's files that are free; CampanileError when they are not enough for its customers."""
    needed: dict[str, int] = {}
    for arm, size in arms.items():
        file = spec.offer_for(arm).codes
        if arm != CONTROL and file:
            needed[file] = needed.get(file, 0) + size
    if not needed:
        return Codes({})
    taken = set(_taken(ledger, spec.name, wave))
    free = {file: [code for code in read_codes(project, file) if code.upper() not in taken] for file in needed}
    for file, count in needed.items():
        if len(free[file]) < count:
            what = f"{file} has {len(free[file]):,} codes that nobody has, and {count:,} customers get one"
            raise CampanileError(what, f"add {count - len(free[file]):,} or more to it")
    return Codes(free)


class Codes:
    """Free codes by file. Asked for the same messages in the same order, it gives the same codes."""

    def __init__(self, free: Mapping[str, list[str]]) -> None:
        self._free = free

    def giver(self) -> Mapping[str, Iterator[str]]:
        """By file, one code after the other, from the first."""
        return {file: iter(codes) for file, codes in self._free.items()}


def read_codes(project: Project, file: str) -> list[str]:
    """The codes of a file, one a line, relative to home or to the project; a first line `code` is its head."""
    path = next((folder / file for folder in (project.home, project.root) if (folder / file).is_file()), None)
    if path is None:
        raise CampanileError(f"there is no file {file} with codes in {project.home} or {project.root}", "put it there")
    codes: dict[str, int] = {}
    for number, code in _lines(path):
        if not _CODE.fullmatch(code):
            raise CampanileError(f"{file}:{number}: no code of 4 to 40 letters, digits, - and _", "mend the line")
        if code.upper() in codes:
            raise CampanileError(f"{file}:{number}: the same code as in line {codes[code.upper()]}", "remove one")
        codes[code.upper()] = number
    return [code for _, code in _lines(path)]


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CampanileError(f"{path} cannot be read ({error.strerror})", cure_of(error)) from None
    except UnicodeDecodeError:
        raise CampanileError(f"{path.name} is not UTF-8 text", "save it as UTF-8") from None
    for number, line in enumerate(text.splitlines(), start=1):
        code = line.strip().strip('"')
        if code and not (number == 1 and code.lower() == "code"):
            yield number, code


def _taken(ledger: Ledger, campaign: str, wave: str) -> Iterator[str]:
    """The codes that messages of other plans hold, whether they were sent or not."""
    column = tables.message.c
    for plan in ledger.plans():
        if (plan.campaign, plan.wave) == (campaign, wave) or not hands_out_codes(plan):
            continue
        query = select(column.variables).where(column.plan_id == plan.plan_id)
        with ledger.reading() as connection:
            for text in connection.execution_options(yield_per=5_000).scalars(query):
                if code := variables.load(text).get(CODE):
                    yield str(code).upper()


def hands_out_codes(plan: PlanRecord) -> bool:
    """Whether an offer of the plan, of the campaign or of an arm, gives codes from a file."""
    return any(offer.get("codes") for offer in plan.offers)
