"""One file as a relation of an engine in memory, for tables that belong to no customer database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import ibis
import ibis.expr.types as ir

from campanile.customers.engine.duck import memory_limit
from campanile.customers.engine.landing import no_glob
from campanile.errors import CampanileError


def open_file(path: Path, *, separator: str | None = None) -> ir.Table:
    """A CSV or Parquet file as a relation of an engine in memory; the cells of a CSV file stay text.

    Args:
        path: The file; a name that ends in .parquet is Parquet, anything else CSV with a header, packed or not.
        separator: What stands between cells; found out when None.

    Raises:
        CampanileError: It cannot be read.
    """
    limit = f"{memory_limit() // 1024**2}MiB"
    backend = ibis.duckdb.connect(memory_limit=limit, autoinstall_known_extensions=False)
    try:
        if path.suffix == ".parquet":
            return backend.read_parquet(no_glob(path), table_name="units")
        options: dict[str, Any] = {"delim": separator} if separator else {}
        return backend.read_csv(no_glob(path), table_name="units", all_varchar=True, header=True, **options)
    except duckdb.Error:
        cure = "is it a CSV file in UTF-8 with a header, or a whole Parquet file?"
        raise CampanileError(f"{path.name} cannot be read as a table", cure) from None


def in_a_file(relation: ir.Table) -> tuple[ir.Table, TemporaryDirectory[str]]:
    """The rows of a relation in a temporary file, so that what they are made of is read and computed once.

    The file is in a folder that only its owner may enter, and is removed with it.
    """
    folder = TemporaryDirectory(prefix="campanile-units-")
    path = Path(folder.name) / "rows.parquet"
    backend = relation.get_backend()
    backend.to_parquet(relation, path)
    return backend.read_parquet(path, table_name="rows"), folder


@contextmanager
def table_errors(path: Path) -> Iterator[None]:
    """Turns what the engine says while it reads a file of `open_file` into a sentence without the file's values."""
    try:
        yield
    except duckdb.Error as error:
        kind = type(error).__name__.removesuffix("Exception")
        raise CampanileError(f"{path.name} cannot be read to its end ({kind})", "is it whole, and in UTF-8?") from None
