"""What the mapping of an import names must exist: tables, columns, connections, rates.

Works on the plain data of campanile.yaml, as `references` does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from campanile.errors import did_you_mean
from campanile.spec.loader import Path_
from campanile.spec.references import SpecFile, keys, part, table_columns
from campanile.spec.vocabulary import FieldType, Vocabulary


def check_imports(settings: SpecFile, vocabulary: Vocabulary) -> None:
    """Reports tables, columns and connections of the import mapping that there are not."""
    tables = table_columns(vocabulary)
    mapped = keys(settings.data, "import")
    for table in mapped:
        at: Path_ = ("import", table)
        if table not in tables:
            settings.report(
                at,
                f'no table "{table}"',
                did_you_mean(table, tables) or "a table is customers or an event, as in bought",
            )
            continue
        _check_table(settings, table, tables[table])
        source = part(settings.data, "import", table, "derive")
        if source is not None and table != "order":
            settings.report((*at, "derive"), f"only order can be derived, not {table}", "write file: instead")
        elif source == "bought" and "bought" not in mapped:
            settings.report((*at, "derive"), "orders are derived from bought, which is not mapped", "map bought")


def mapped_columns(data: object, table: str) -> tuple[str, ...]:
    """The columns of a table that its mapping names, in any source; () when a source's own names say them.

    >>> sources = [{"columns": {"at": "Day"}}, {"columns": {"state": "S"}}]
    >>> mapped_columns({"import": {"order": {"sources": sources}}}, "order")
    ('at', 'state')
    """
    mapping = part(data, "import", table)
    shared = keys(mapping, "columns")
    each = [(*shared, *keys(source, "columns")) for _, source in _sources(mapping)]
    return tuple(dict.fromkeys(name for columns in each for name in columns)) if all(each) else ()


def _sources(mapping: object) -> Iterator[tuple[Path_, object]]:
    """The sources of a table with their places in its mapping."""
    listed = part(mapping, "sources")
    if isinstance(listed, list) and listed:
        yield from ((("sources", number), source) for number, source in enumerate(listed))
    else:
        yield (), mapping


def _check_table(settings: SpecFile, table: str, known: Mapping[str, FieldType]) -> None:
    mapping = part(settings.data, "import", table)
    at: Path_ = ("import", table)
    for column in keys(mapping, "columns"):
        _check_column(settings, table, (*at, "columns", column), known)
    named = part(mapping, "key")
    for index, column in enumerate(named if isinstance(named, list) else ()):
        if column not in known:
            what = f'the table {table} has no column "{column}"'
            settings.report((*at, "key", index), what, did_you_mean(str(column), known))
    shared = keys(mapping, "columns")
    for place, source in _sources(mapping):
        inside = keys(source, "columns") if place else ()
        for column in inside:
            _check_column(settings, table, (*at, *place, "columns", column), known)
        for column in ("customer_id", "at"):
            if (shared or inside) and column in known and column not in (*shared, *inside):
                what = f"{table} needs {column}"
                settings.report((*at, *place, "columns"), what, f"say which column it is: {column}: …")
        _check_source(settings, (*at, *place), mapping, source)


def _check_column(settings: SpecFile, table: str, at: Path_, known: Mapping[str, FieldType]) -> None:
    column = str(at[-1])
    if column not in known:
        settings.report(at, f'the table {table} has no column "{column}"', did_you_mean(column, known))
    elif known[column] is not FieldType.MONEY and _at(settings.data, at, "money") is not None:
        settings.report((*at, "money"), f"{column} is no amount of money", "remove money")


def _check_source(settings: SpecFile, at: Path_, mapping: object, source: object) -> None:
    connection = part(source, "from", "connection")
    known = keys(settings.data, "connections")
    if connection is not None and connection not in known:
        cure = did_you_mean(str(connection), known) or "add it: connections: {NAME: {url_env: VARIABLE}}"
        settings.report((*at, "from", "connection"), f'no connection "{connection}"', cure)
    currency = part(source, "currency") or part(mapping, "currency")
    if currency is None or part(settings.data, "rates") is not None:
        return
    if currency != part(settings.data, "shop", "currency"):
        cure = "name a file with rates: rates: {file: data/rates.csv}"
        settings.report((*at, "currency"), "nobody says what other currencies are worth", cure)


def _at(data: object, at: Path_, *inside: str) -> object:
    for key in (*at, *inside):
        if isinstance(data, list) and isinstance(key, int):
            data = data[key]
        else:
            data = data.get(key) if isinstance(data, Mapping) else None
    return data
