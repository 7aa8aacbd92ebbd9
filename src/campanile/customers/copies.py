"""Rows of values, as spreadsheets and databases hold them, become a Parquet file of text that is judged like a file.

Written in batches, so that memory does not grow with the number of rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

#: Name of the column with the row of the sheet; the others are called c0, c1 and so on.
PLACE = "place"
_CELLS = 500_000
_MOST_ROWS = 20_000


def written(value: object) -> str | None:
    """A value as a file of text would hold it; None for nothing.

    Numbers that are whole are written without a point: a code that a sheet keeps as 123.0 is 123.

    >>> written(123.0), written(0.5), written(True), written(datetime(2026, 3, 1, 9))
    ('123', '0.5', 'true', '2026-03-01 09:00:00')
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return _unusual(value)


def _unusual(value: object) -> str:
    if isinstance(value, date | time):
        return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()
    if isinstance(value, list | tuple):
        return "|".join(written(item) or "" for item in value)
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode("utf-8", errors="replace")
    return str(value)


def copy_rows(rows: Iterable[tuple[int, Sequence[object]]], width: int, target: Path) -> None:
    """Writes numbered rows of `width` values to a Parquet file."""
    schema = pa.schema([(f"c{index}", pa.string()) for index in range(width)] + [(PLACE, pa.int64())])
    size = max(1, min(_MOST_ROWS, _CELLS // max(1, width)))
    with pq.ParquetWriter(target, schema, compression="lz4") as writer:
        cells: list[Sequence[object]] = []
        places: list[int] = []
        for place, row in rows:
            cells.append(row)
            places.append(place)
            if len(cells) == size:
                writer.write_batch(_batch(cells, places, schema))
                cells, places = [], []
        if cells:
            writer.write_batch(_batch(cells, places, schema))


def _batch(cells: Sequence[Sequence[object]], places: Sequence[int], schema: pa.Schema) -> pa.RecordBatch:
    columns = [pa.array([written(value) for value in column], pa.string()) for column in zip(*cells, strict=True)]
    return pa.record_batch([*columns, pa.array(places, pa.int64())], schema=schema)
