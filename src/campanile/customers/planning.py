"""From the mapping to the sources it names: found, opened far enough to know their columns, all problems at once."""

from __future__ import annotations

import glob
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from campanile.customers.lines import Dialect, read_header
from campanile.customers.seen import Seen, Sightings, mapping_print
from campanile.customers.sources import Source, TableImport, column_names
from campanile.customers.tables import columns_of, mapping_example
from campanile.errors import CampanileError, ProblemsError, did_you_mean
from campanile.spec.loader import FileReport, Path_, load_document
from campanile.spec.mapping import SPREADSHEETS, Column, SourceMapping, TableMapping
from campanile.spec.project import Project

_SETTINGS = "campanile.yaml"


class _Settings:
    """campanile.yaml as far as problems need it: the lines of its places."""

    def __init__(self, project: Project) -> None:
        self.report = FileReport(_SETTINGS)
        load_document(project.root / _SETTINGS, project.root, self.report)
        self.report.problems.clear()

    def problem(self, at: Path_, what: str, cure: str = "") -> None:
        """Records a problem at the place, or where it would stand."""
        self.report(("import", *at), what, cure)

    def place(self, at: Path_, *inside: str) -> Path_:
        """A place inside a source; where the source leaves it to its table, that place of the table."""
        own, shared = (*at, *inside), (at[0], *inside)
        return shared if ("import", *own) not in self.report.lines and len(at) > 1 else own


def plan_imports(project: Project, seen: Sightings | None = None) -> list[TableImport]:
    """What the mapping imports, customers first; derived tables are left out.

    Sources of one table that lack columns of each other are imports of their own, one after the other: a row keeps
    what the earlier one said of it.

    Args:
        project: Its settings hold the mapping.
        seen: What the last import saw of the sources.

    Raises:
        ProblemsError: Every missing source and missing column.
        CampanileError: When nothing is mapped.
    """
    mappings = project.settings.imports
    if not mappings:
        raise CampanileError(f"{_SETTINGS} does not say what to import", f"add to it:\n{mapping_example('customers')}")
    settings = _Settings(project)
    order = sorted(mappings, key=lambda table: (table != "customers", table))
    planned = [
        job
        for table in order
        if not mappings[table].derive
        for job in _plan(project, table, mappings[table], settings, seen or {})
    ]
    if settings.report.problems:
        raise ProblemsError(settings.report.problems)
    return planned


def _plan(
    project: Project, table: str, mapping: TableMapping, settings: _Settings, seen: Sightings
) -> list[TableImport]:
    found: list[Source] = []
    key = mapping.key_of(table)
    for number, each in enumerate(mapping.each()):
        at: Path_ = (table, "sources", number) if mapping.sources else (table,)
        known = seen.get((table, each.name), Seen())
        sources = list(_sources(project, at, each, settings))
        columns = each.columns or _columns_by_name(table, sources)
        whole = [replace(source, columns=columns) for source in sources]
        for source in whole:
            _check_header(at, source, known, settings)
            if not each.columns:
                _check_automatic(at, source, settings)
        if whole:
            _check_needed(table, at, columns, key, settings)
        if each.since:
            whole = [_resumed(table, key, source, known) for source in whole]
            if not key:
                what = f"since needs a key: {table} has none of its own"
                settings.problem(settings.place(at, "since"), what, "say which columns make a row the same row: key:")
        found += whole
    return _jobs(table, mapping, found, settings)


def _jobs(table: str, mapping: TableMapping, found: Sequence[Source], settings: _Settings) -> list[TableImport]:
    """The sources, those with the same columns together."""
    together = [list(same) for _, same in itertools.groupby(found, key=lambda source: frozenset(source.columns))]
    if mapping.full and len(together) > 1:
        settings.problem((table, "full"), "full wants sources with the same columns", "map the same columns in each")
    converts = any(source.mapping.currency is not None for source in found)
    return [
        TableImport(
            table, tuple(same), mapping.key_of(table), repeats=mapping.repeats, full=mapping.full, converts=converts,
            part=part,
        )
        for part, same in enumerate(together)
    ]  # fmt: skip


def _resumed(table: str, key: tuple[str, ...], source: Source, known: Seen) -> Source:
    """An incremental source, to be read from where the last import ended, if that was by the same mapping."""
    same = known.mapping == mapping_print(table, source.mapping, key)
    return replace(source, watermark=known.watermark if same else "")


def _check_needed(
    table: str, at: Path_, columns: Mapping[str, Column], key: tuple[str, ...], settings: _Settings
) -> None:
    for needed in dict.fromkeys((*_identity(table), *key)):
        if needed not in columns:
            place = settings.place(at, "columns")
            settings.problem(place, f"{table} needs {needed}", f"say which column it is: {needed}: …")


def _identity(table: str) -> tuple[str, ...]:
    return ("customer_id", "at") if "at" in columns_of(table) else ("customer_id",)


def _columns_by_name(table: str, sources: list[Source]) -> dict[str, Column]:
    """Without `columns`, the columns of the source that are named as the table's own."""
    names = dict.fromkeys(name for source in sources for name in source.header)
    return {name: Column(source=name) for name in names if name in columns_of(table)}


def _sources(project: Project, at: Path_, mapping: SourceMapping, settings: _Settings) -> Iterator[Source]:
    if mapping.table is not None:
        source = _database_table(project, at, mapping, settings)
        if source is not None:
            yield source
        return
    pattern = mapping.file or ""
    found = _find(project, pattern)
    if not found:
        settings.problem((*at, "file"), *_not_there(project, pattern))
    for path, label in found:
        source = _opened(path, label, at, mapping, settings)
        if source is not None:
            yield source


def _database_table(project: Project, at: Path_, mapping: SourceMapping, settings: _Settings) -> Source | None:
    from campanile.customers.connections import shape_of

    assert mapping.table is not None
    connections = project.settings.connections
    place = settings.place(at, "from")
    if mapping.table.connection not in connections:
        cure = did_you_mean(mapping.table.connection, connections) or "add it under connections: with url_env:"
        settings.problem((*place, "connection"), f'no connection "{mapping.table.connection}"', cure)
        return None
    url_env = connections[mapping.table.connection].url_env
    try:
        types = shape_of(url_env, mapping.table.table)
    except CampanileError as error:
        settings.problem(place, error.what, error.cure)
        return None
    if mapping.since and mapping.since not in types:
        what = f'{mapping.name} has no column "{mapping.since}"'
        settings.problem(settings.place(at, "since"), what, did_you_mean(mapping.since, types))
    return Source(mapping.name, tuple(types), mapping, {}, types=types, url_env=url_env)


def _opened(path: Path, label: str, at: Path_, mapping: SourceMapping, settings: _Settings) -> Source | None:
    place = (*at, "file")
    try:
        types = _columns(path, mapping)
    except UnicodeError:
        what = f"{label} does not begin with {mapping.encoding} text"
        settings.problem(place, what, "say how it is written, as in encoding: gb18030")
    except CampanileError as error:
        settings.problem(place, f"{label} {error.what}", error.cure)
    except (OSError, ValueError) as error:
        settings.problem(place, f"{label} cannot be read ({type(error).__name__})", "is it whole?")
    else:
        if any(name for name, _ in types):
            return Source(label, tuple(name for name, _ in types), mapping, {}, path, dict(types))
        settings.problem(place, f"{label} is empty", "its first line names the columns")
    return None


def _columns(path: Path, mapping: SourceMapping) -> Sequence[tuple[str, str]]:
    """The columns of a file and what they hold, "" where the file does not say."""
    if path.suffix == ".csv":
        return [(name, "") for name in read_header(path, Dialect(mapping.encoding, mapping.separator))]
    if path.suffix in SPREADSHEETS:
        from campanile.customers.sheets import read_sheet_header

        return [(name, "") for name in read_sheet_header(path, mapping)]
    import pyarrow.parquet as pq

    return [(column.name, str(column.type)) for column in pq.read_schema(path)]


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


def _not_there(project: Project, pattern: str) -> tuple[str, str]:
    """What to say of a pattern that no file fits: the problem, and the cure."""
    if any((base / pattern).is_dir() for base in (project.home, project.root)):
        return f"{pattern} is a folder", f"name the files in it: {pattern}/*{Path(pattern).suffix}"
    folders = [(base / pattern).parent for base in (project.home, project.root)]
    names = {path.name for folder in folders if folder.is_dir() for path in folder.iterdir() if path.is_file()}
    near = did_you_mean(Path(pattern).name, names) if names else ""
    return f"no file {pattern}", near or "a path is relative to home, or to the folder of campanile.yaml"


def _check_header(at: Path_, source: Source, known: Seen, settings: _Settings) -> None:
    for inside, name in _names(source):
        times = source.header.count(name)
        if times == 0:
            settings.problem(settings.place(at, *inside), *known.lost(name, source.label, source.header))
        elif times > 1:
            what = f'{source.label} has {times} columns "{name}"'
            settings.problem(settings.place(at, *inside), what, "rename all but one")


def _check_automatic(at: Path_, source: Source, settings: _Settings) -> None:
    """Reports columns that come by their own name, but twice: nobody can say which one is meant."""
    for name in source.columns:
        times = source.header.count(name)
        if times > 1:
            settings.problem((*at, "file"), f'{source.label} has {times} columns "{name}"', "rename all but one")


def _names(source: Source) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every column of the source that its mapping names, with its place."""
    for column, spec in source.mapping.columns.items():
        for name in column_names(spec):
            yield ("columns", column), name
    for name in source.mapping.rows:
        yield ("rows", name), name
    if isinstance(source.mapping.currency, str):
        yield ("currency",), source.mapping.currency
