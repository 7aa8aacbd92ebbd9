"""A folder whose files are named after the tables of the customer database: imported without a mapping."""

from __future__ import annotations

from pathlib import Path

from campanile.customers.lines import Dialect, read_header
from campanile.customers.sources import Source, TableImport
from campanile.customers.tables import columns_of, table_names
from campanile.errors import CampanileError, Problem, ProblemsError, did_you_mean
from campanile.spec.mapping import Column, TableMapping

_SUFFIXES = (".csv", ".parquet")


def canonical_imports(folder: Path) -> list[TableImport]:
    """What the folder imports, customers first: each file becomes the table of its name, each column that of its name.

    Tables may be absent. Every row counts, also rows that are equal; times without an offset are the shop's.

    Raises:
        ProblemsError: No table is there, a file is named after none, or a column is missing or named after none.
    """
    problems: list[Problem] = []
    files = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES and not path.name.startswith("."))
    known = [path for path in files if _known(path, files, problems)]
    jobs = [_job(path, problems) for path in sorted(known, key=lambda path: (path.stem != "customers", path.stem))]
    if not files:
        cure = "name its files after tables, as in customers.parquet and order.csv"
        problems.append(Problem(str(folder), 0, "no table here", cure))
    if problems:
        raise ProblemsError(problems)
    return jobs


def _known(path: Path, files: list[Path], problems: list[Problem]) -> bool:
    if path.stem not in table_names():
        problems.append(Problem(path.name, 0, f'no table "{path.stem}"', did_you_mean(path.stem, table_names())))
        return False
    if path.suffix == ".csv" and path.with_suffix(".parquet") in files:
        problems.append(Problem(path.name, 0, f"{path.stem} is there as .parquet too", "remove one of them"))
        return False
    return True


def _job(path: Path, problems: list[Problem]) -> TableImport:
    table, header = path.stem, _header(path, problems)
    columns = columns_of(table)
    for name in dict.fromkeys(header):
        if name not in columns:
            problems.append(Problem(path.name, 1, f'{table} has no column "{name}"', did_you_mean(name, columns)))
        if header.count(name) > 1:
            problems.append(Problem(path.name, 1, f'there are {header.count(name)} columns "{name}"', "keep one"))
    needed = ("customer_id", "at") if "at" in columns else ("customer_id",)
    missing = [name for name in needed if header and name not in header]
    problems.extend(Problem(path.name, 1, f"{table} needs {name}", "add that column") for name in missing)
    mapping = TableMapping(file=path.name)
    key = tuple(name for name in mapping.key_of(table) if name in header)
    source = Source(path.name, header, mapping, {name: Column(source=name) for name in header}, path)
    return TableImport(table, (source,), key, repeats=True)


def _header(path: Path, problems: list[Problem]) -> tuple[str, ...]:
    import pyarrow.parquet as pq

    try:
        if path.suffix == ".csv":
            header = read_header(path, Dialect("utf-8", ","))
        else:
            header = tuple(pq.read_schema(path).names)
    except CampanileError as error:
        problems.append(Problem(path.name, 0, f"it {error.what}", error.cure))
        return ()
    except (OSError, ValueError) as error:
        problems.append(Problem(path.name, 0, f"it cannot be read ({type(error).__name__})", "is it whole?"))
        return ()
    if not header:
        problems.append(Problem(path.name, 0, "it is empty", "its first line names the columns"))
    return header
