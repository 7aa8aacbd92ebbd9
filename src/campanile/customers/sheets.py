"""Spreadsheets as shops hand them over: a title above the header, blank rows, merged cells, dates and codes as numbers.

The reader holds one sheet in memory, which at its largest is a million rows; what is made of it is streamed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from campanile.customers.copies import written
from campanile.errors import CampanileError, did_you_mean
from campanile.spec.mapping import SourceMapping

if TYPE_CHECKING:
    from python_calamine import CalamineSheet

#: Characters that Excel writes as their number.
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


def read_sheet_header(path: Path, mapping: SourceMapping) -> tuple[str, ...]:
    """The names in the header row of a sheet, blanks around them taken off; () for an empty sheet.

    Raises:
        CampanileError: The file is no spreadsheet, is locked by a password, or has no such sheet.
    """
    return next((tuple(_name(cell) for cell in row) for _, row in _from_header(_sheet(path, mapping), mapping)), ())


def sheet_rows(path: Path, mapping: SourceMapping) -> Iterator[tuple[int, Sequence[object]]]:
    """The rows below the header that are not blank, each with its number in the sheet.

    A merged cell counts for every row it covers. Raises as `read_sheet_header`.
    """
    rows = _from_header(_sheet(path, mapping), mapping)
    next(rows, None)
    yield from rows


def _name(cell: object) -> str:
    return " ".join((written(cell) or "").split())


def _sheet(path: Path, mapping: SourceMapping) -> CalamineSheet:
    import python_calamine

    try:
        workbook = python_calamine.load_workbook(path)
        names = workbook.sheet_names
        if mapping.sheet is not None and mapping.sheet not in names:
            raise CampanileError(f'has no sheet "{mapping.sheet}"', did_you_mean(mapping.sheet, names))
        return workbook.get_sheet_by_name(mapping.sheet) if mapping.sheet else workbook.get_sheet_by_index(0)
    except python_calamine.PasswordError:
        raise CampanileError("is locked by a password", "save it without one") from None
    except (python_calamine.CalamineError, python_calamine.WorksheetNotFound) as error:
        raise CampanileError(f"cannot be read as a spreadsheet ({type(error).__name__})", "is it whole?") from None


def _from_header(sheet: CalamineSheet, mapping: SourceMapping) -> Iterator[tuple[int, Sequence[object]]]:
    """The header row and the rows below it that are not blank, all as wide as the sheet."""
    merged = _merged(sheet)
    first = mapping.header or 1
    above: list[object] = []
    for number, found in enumerate(sheet.iter_rows(), start=1):
        row: list[object] = list(found)
        for column in merged.get(number, ()):
            row[column] = above[column]
        above = row
        if number >= first and any(cell not in ("", None) for cell in row):
            yield number, [_unescaped(cell) if isinstance(cell, str) and "_x" in cell else cell for cell in row]


def _merged(sheet: CalamineSheet) -> dict[int, tuple[int, ...]]:
    """The cells that a cell above covers: by row of the sheet, the columns as `iter_rows` counts them."""
    offset = sheet.start[1] if sheet.start else 0
    covered: dict[int, list[int]] = {}
    for (top, left), (bottom, _) in sheet.merged_cell_ranges or ():
        for row in range(top + 1, bottom + 1):
            covered.setdefault(row + 1, []).append(left - offset)
    return {row: tuple(columns) for row, columns in covered.items()}


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
