"""The files a mapping names: found, opened far enough to know their columns, and every problem reported at once."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from campanile.customers.lines import Dialect, read_header
from campanile.customers.tables import columns_of, mapping_example
from campanile.errors import CampanileError, ProblemsError, did_you_mean
from campanile.spec.loader import FileReport, load_document
from campanile.spec.mapping import Column, TableMapping
from campanile.spec.project import Project

_SETTINGS = "campanile.yaml"


@dataclass(frozen=True)
class Source:
    """One file of the shop."""

    path: Path
    #: As the mapping finds it; what reports and rejects show.
    label: str
    header: tuple[str, ...]

    @property
    def is_csv(self) -> bool:
        """Whether it is text; Parquet otherwise."""
        return self.path.suffix == ".csv"


@dataclass(frozen=True)
class TableImport:
    """One table to import: its files in order, where its columns come from, and its natural key."""

    table: str
    mapping: TableMapping
    sources: tuple[Source, ...]
    columns: Mapping[str, Column]
    key: tuple[str, ...]
    #: Whether a line that comes twice in one file counts twice; otherwise it is a mistake of whoever wrote the file.
    repeats: bool = False


class _Settings:
    """campanile.yaml as far as problems need it: the lines of its places."""

    def __init__(self, project: Project) -> None:
        self.report = FileReport(_SETTINGS)
        load_document(project.root / _SETTINGS, project.root, self.report)
        self.report.problems.clear()

    def problem(self, table: str, place: tuple[str, ...], what: str, cure: str = "") -> None:
        self.report(("import", table, *place), what, cure)


def plan_imports(project: Project) -> list[TableImport]:
    """What the mapping imports, customers first; derived tables are left out.

    Raises:
        ProblemsError: Every missing file and missing column.
        CampanileError: When nothing is mapped.
    """
    mappings = project.settings.imports
    if not mappings:
        raise CampanileError(f"{_SETTINGS} does not say what to import", f"add to it:\n{mapping_example('customers')}")
    settings = _Settings(project)
    order = sorted(mappings, key=lambda table: (table != "customers", table))
    planned = [_plan(project, table, mappings[table], settings) for table in order if not mappings[table].derive]
    if settings.report.problems:
        raise ProblemsError(settings.report.problems)
    return planned


def _plan(project: Project, table: str, mapping: TableMapping, settings: _Settings) -> TableImport:
    sources = list(_sources(project, table, mapping, settings))
    columns = mapping.columns or _columns_by_name(table, sources)
    key = mapping.key_of(table)
    if sources:
        for needed in dict.fromkeys((*_identity(table), *key)):
            if needed not in columns:
                settings.problem(table, ("columns",), f"{table} needs {needed}", f"say which column it is: {needed}: …")
    for source in sources:
        _check_header(table, mapping, source, settings)
        if not mapping.columns:
            _check_automatic(table, columns, source, settings)
    return TableImport(table, mapping, tuple(sources), columns, key)


def _identity(table: str) -> tuple[str, ...]:
    return ("customer_id", "at") if "at" in columns_of(table) else ("customer_id",)


def _columns_by_name(table: str, sources: list[Source]) -> dict[str, Column]:
    """Without `columns`, the columns of the files that are named as the table's own."""
    names = dict.fromkeys(name for source in sources for name in source.header)
    return {name: Column(source=name) for name in names if name in columns_of(table)}


def _sources(project: Project, table: str, mapping: TableMapping, settings: _Settings) -> Iterator[Source]:
    pattern = mapping.file or ""
    found = _find(project, pattern)
    if not found:
        settings.problem(table, ("file",), f"no file {pattern}", _nearest_file(project, pattern))
    for path, label in found:
        try:
            header = _header(path, mapping)
        except UnicodeError:
            what = f"{label} does not begin with {mapping.encoding} text"
            settings.problem(table, ("file",), what, "say how it is written, as in encoding: gb18030")
        except (OSError, ValueError) as error:
            settings.problem(table, ("file",), f"{label} cannot be read ({type(error).__name__})", "is it whole?")
        else:
            if not header:
                settings.problem(table, ("file",), f"{label} is empty", "its first line names the columns")
            else:
                yield Source(path, label, header)


def _find(project: Project, pattern: str) -> list[tuple[Path, str]]:
    """The files of a path or glob, below home or else below the project, in order of their names."""
    for base in (project.home, project.root):
        if (base / pattern).is_file():
            return [(base / pattern, pattern)]
        names = sorted(glob.glob(pattern, root_dir=base, recursive=True))  # noqa: PTH207 - patterns may hold ..
        files = [(base / name, name) for name in names if (base / name).is_file()]
        if files:
            return files
    return []


def _nearest_file(project: Project, pattern: str) -> str:
    folders = [(base / pattern).parent for base in (project.home, project.root)]
    names = {path.name for folder in folders if folder.is_dir() for path in folder.iterdir() if path.is_file()}
    near = did_you_mean(Path(pattern).name, names) if names else ""
    return near or "a path is relative to home, or to the folder of campanile.yaml"


def _header(path: Path, mapping: TableMapping) -> tuple[str, ...]:
    if path.suffix == ".csv":
        return read_header(path, Dialect(mapping.encoding, mapping.separator))
    import pyarrow.parquet as pq

    return tuple(pq.read_schema(path).names)


def _check_header(table: str, mapping: TableMapping, source: Source, settings: _Settings) -> None:
    for place, name in _names(mapping):
        times = source.header.count(name)
        if times == 0:
            cure = did_you_mean(name, source.header) or f"its columns: {', '.join(source.header[:20])}"
            settings.problem(table, place, f'{source.label} has no column "{name}"', cure)
        elif times > 1:
            settings.problem(table, place, f'{source.label} has {times} columns "{name}"', "rename all but one")


def _check_automatic(table: str, columns: Mapping[str, Column], source: Source, settings: _Settings) -> None:
    """Reports columns that come by their own name, but twice: nobody can say which one is meant."""
    for name in columns:
        times = source.header.count(name)
        if times > 1:
            settings.problem(table, ("file",), f'{source.label} has {times} columns "{name}"', "rename all but one")


def _names(mapping: TableMapping) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every column of the file that the mapping names, with its place."""
    for column, spec in mapping.columns.items():
        for name in column_names(spec):
            yield ("columns", column), name
    for name in mapping.rows:
        yield ("rows", name), name


def column_names(spec: Column) -> tuple[str, ...]:
    """The columns of the file that one column of the table is made of.

    >>> column_names(Column(text="{Customer ID}@customers.invalid"))
    ('Customer ID',)
    """
    if spec.source is not None:
        return (spec.source,)
    if spec.product is not None:
        return spec.product
    return tuple(name for _, name in text_pieces(spec.text or "") if name)


def text_pieces(text: str) -> Iterator[tuple[str, str]]:
    """The parts of a text with columns in braces: words, and the column that follows them or "".

    >>> list(text_pieces("{Customer ID}@x"))
    [('', 'Customer ID'), ('@x', '')]
    """
    while "{" in text and "}" in text.partition("{")[2]:
        words, _, rest = text.partition("{")
        name, _, text = rest.partition("}")
        yield words, name.strip()
    if text:
        yield text, ""
