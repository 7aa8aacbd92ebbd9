"""What is Spark's own. `Compiler` makes its SQL mean what the same expression means on DuckDB.

Tables are Parquet in the warehouse folder; a session knows them by name only once they were registered in it.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urlparse

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq
import sqlglot as sg
import sqlglot.expressions as sge
from ibis.backends.pyspark import Backend
from ibis.backends.pyspark.datatypes import PySparkSchema
from ibis.backends.sql.compilers.base import AggGen
from ibis.backends.sql.compilers.pyspark import PySparkCompiler
from ibis.util import gen_name

from campanile.customers.engine import ranks
from campanile.customers.engine.files import whole_file
from campanile.customers.engine.patterns import java_pattern
from campanile.customers.engine.which import Location
from campanile.errors import CampanileError

Place = tuple[str, str]

_BATCH = 50_000
_CATALOG = "spark_catalog"
_WHERE = "check that it runs there, and what database: spark: master: says in campanile.yaml"
_MOMENT = dt.Timestamp(scale=6)
#: Names the folder that holds a table's rows now.
_CURRENT = ".current"
_LOCK = ".lock"
_SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "false",
    "spark.sql.shuffle.partitions": "8",
    "spark.sql.catalogImplementation": "in-memory",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.log.level": "OFF",
    "spark.ui.showConsoleProgress": "false",
}


class Compiler(PySparkCompiler):  # type: ignore[misc] # ibis has no types
    """Ibis on Spark, where its own compiler has no word or another meaning."""

    __slots__ = ()
    # Ibis would put its own back in the place of what is said below.
    SIMPLE_OPS: ClassVar[dict[type, str]] = {}
    UNSUPPORTED_OPS: ClassVar[tuple[type, ...]] = ()

    agg = AggGen(supports_filter=True)

    def visit_RegexSearch(self, op: Any, *, arg: Any, pattern: Any) -> Any:
        """Patterns are written for RE2."""
        return self.f.anon.regexp(arg, _translated(pattern))

    def visit_RegexReplace(self, op: Any, *, arg: Any, pattern: Any, replacement: Any) -> Any:
        """Every match."""
        return self.f.regexp_replace(arg, _translated(pattern), replacement)

    def visit_CountStar(self, op: Any, *, arg: Any, where: Any) -> Any:
        """Nothing to count is 0."""
        found = super().visit_CountStar(op, arg=arg, where=where)
        return found if where is None else self.f.coalesce(found, 0)

    def visit_First(self, op: Any, *, arg: Any, where: Any, order_by: Any, include_null: bool) -> Any:
        """Spark's own heeds no order: rows are collected, put in order, and the first of them is taken."""
        if not include_null:
            known = arg.is_(sg.not_(sge.Null()))
            where = known if where is None else sg.and_(known, where)
        keys = [ordered.this.copy().as_(f"k{number}") for number, ordered in enumerate(order_by)]
        rows = self.f.collect_list(self.f.anon.struct(*keys, arg.copy().as_("v")))
        if where is not None:
            rows = sge.Filter(this=rows, expression=sge.Where(this=where))
        in_order = self.f.anon.array_sort(rows, _comparison(order_by)) if order_by else rows
        return sge.Dot(this=self.f.anon["try_element_at"](in_order, 1), expression=sg.to_identifier("v"))

    def visit_WindowFunction(self, op: Any, *, func: Any, **kwargs: Any) -> Any:
        """No filter may stand here. Places are of four bytes, and products with them would go round: they get eight."""
        if isinstance(func, sge.Filter):
            of, known = func.this.copy(), func.expression.this
            value = sge.convert(1) if isinstance(of.this, sge.Star) else of.this
            of.set("this", self.if_(known, value, sge.Null()))
            func = of
        found = super().visit_WindowFunction(op, func=func, **kwargs)
        return self.cast(found, op.dtype) if op.dtype.is_integer() else found

    def visit_IntervalFromInteger(self, op: Any, *, arg: Any, unit: Any) -> Any:
        """A length that is a column."""
        return self._length(arg, unit)

    def visit_NonNullLiteral(self, op: Any, *, value: Any, dtype: Any) -> Any:
        """Lengths of one kind, so that months and days can be added."""
        if dtype.is_interval():
            return self._length(sge.convert(int(value)), dtype.unit)
        return super().visit_NonNullLiteral(op, value=value, dtype=dtype)

    def visit_IntervalAdd(self, op: Any, *, left: Any, right: Any) -> Any:
        """Months and days together."""
        return left + right

    def visit_DateDelta(self, op: Any, *, left: Any, right: Any, part: Any) -> Any:
        """Calendar days."""
        return self.cast(self.f.anon.datediff(left, right), op.dtype)

    def _length(self, number: Any, unit: Any) -> Any:
        units = ("years", "months", "weeks", "days", "hours", "minutes", "seconds")
        return self.f.anon.make_interval(*(number if unit.plural == each else sge.convert(0) for each in units))


def _translated(pattern: Any) -> Any:
    return sge.convert(java_pattern(pattern.this)) if isinstance(pattern, sge.Literal) else pattern


def _comparison(order_by: Sequence[sge.Ordered]) -> sge.Lambda:
    """Which of two collected rows comes first: -1, 0 or 1 by the first key in which they differ."""
    ifs: list[sge.If] = []
    for number, ordered in enumerate(order_by):
        left, right = (sge.Dot(this=sg.to_identifier(row), expression=sg.to_identifier(f"k{number}")) for row in "lr")
        up, nulls = (-1, 1) if ordered.args.get("desc") else (1, -1), -1 if ordered.args.get("nulls_first") else 1
        larger, smaller = up
        for condition, sign in (
            (sg.and_(left.is_(sge.Null()), right.is_(sg.not_(sge.Null()))), nulls),
            (sg.and_(right.is_(sge.Null()), left.is_(sg.not_(sge.Null()))), -nulls),
            (left > right, larger),
            (left < right, smaller),
        ):
            ifs.append(sge.If(this=condition, true=sge.convert(sign)))
    body = sge.Case(ifs=ifs, default=sge.convert(0))
    return sge.Lambda(this=body, expressions=[sg.to_identifier("l"), sg.to_identifier("r")])


def connect(master: str, warehouse: Path) -> tuple[Backend, Place, Place]:
    """A session in which the tables of the folder are known, and where the shop's and the product's are.

    Raises:
        CampanileError: Spark is not installed, or there is no Java for it.
    """
    try:
        from py4j.protocol import Py4JError
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ImportError:
        raise CampanileError("Spark is not installed", "pip install 'campanile[spark]'") from None
    builder = SparkSession.builder.master(master).appName("campanile")
    for key, value in _SETTINGS.items():
        builder = builder.config(key, value)
    try:
        session = builder.getOrCreate()
    except Py4JError as error:
        what = f"Spark cannot be used at {master}"
        raise CampanileError(what, f"{_WHERE} ({type(error).__name__})") from None
    except (PySparkException, RuntimeError, OSError):
        cure = "it wants Java 17 or later: install it, or set JAVA_HOME"
        raise CampanileError("Spark does not start", cure) from None
    backend = ibis.pyspark.connect(session)
    backend.compiler = Compiler()
    places = [_known_place(backend, warehouse.resolve() / kind) for kind in ("shop", "own")]
    return backend, places[0], places[1]


def _known_place(backend: Backend, folder: Path) -> Place:
    """The database of a folder; a session may have others of other projects."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    name = f"campanile_{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"
    location = sge.Literal.string(str(folder)).sql("spark")
    backend._session.sql(f"CREATE DATABASE IF NOT EXISTS {name} LOCATION {location}")
    for pointer in sorted(folder.glob(f"*{_CURRENT}")):
        _register(backend, (_CATALOG, name), pointer.name.removesuffix(_CURRENT), folder / pointer.read_text())
    return _CATALOG, name


def _folder(backend: Backend, place: Place) -> Path:
    found = backend._session.catalog.getDatabase(place[1]).locationUri
    return Path(unquote(urlparse(found).path))


def _register(backend: Backend, place: Place, name: str, rows: Path) -> None:
    """Makes a folder of rows known by a name. The columns are read here: to find them Spark would start a job."""
    columns = ibis.Schema.from_pyarrow(pq.read_schema(next(rows.glob("*.parquet"))))
    table = sge.table_(name, db=place[1], quoted=True).sql("spark")
    backend._session.sql(f"DROP TABLE IF EXISTS {table}")
    schema = PySparkSchema.from_ibis(columns)
    backend._session.catalog.createTable(table, path=str(rows), source="parquet", schema=schema)


def _swap(backend: Backend, place: Place, name: str, rows: Path) -> None:
    """Makes a folder of rows the table: after the pointer to it was replaced, at once and for good."""
    folder = _folder(backend, place)
    pointer = folder / f"{name}{_CURRENT}"
    old = folder / pointer.read_text() if pointer.exists() else None
    with whole_file(pointer) as part:
        part.write_text(rows.name)
    _register(backend, place, name, rows)
    if old is not None and old != rows:
        shutil.rmtree(old, ignore_errors=True)


@ibis.udf.scalar.builtin(name="conv", signature=((dt.string, dt.int64, dt.int64), dt.string))
def _conv(digits, base, wanted):  # type: ignore[no-untyped-def] # ibis reads the signature above
    """The engine's own reader of digits."""


def hex_number(digits: ir.StringValue) -> ir.IntegerValue:
    """Up to fifteen hex digits as a number."""
    number: ir.IntegerValue = _conv(digits, 16, 10).cast("int64")
    return number


ranked = ranks.ranked_by_counting
distinct_days = ranks.distinct_days


@contextmanager
def transaction(_backend: Backend) -> Iterator[None]:
    """Nothing: Spark has no transactions; each table is swapped whole."""
    yield


def batches(backend: Backend, relation: ir.Table, size: int) -> Iterator[pa.RecordBatch]:
    """The rows of a relation, by way of files: what Spark hands over itself is whole in memory first."""
    schema = relation.schema().to_pyarrow()
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "rows"
        backend._run_pre_execute_hooks(relation)
        backend._session.sql(backend.compile(relation)).write.parquet(str(written))
        for file in sorted(written.glob("*.parquet")):
            for batch in pq.ParquetFile(file).iter_batches(size):
                yield batch.cast(schema)


def parquet_rows(backend: Backend, path: Path) -> ir.Table:
    """The rows of a Parquet file."""
    return backend.read_parquet(str(path))


def write_parquet(backend: Backend, relation: ir.Table, path: Path) -> None:
    """Writes a relation to one Parquet file."""
    with pq.ParquetWriter(path, relation.schema().to_pyarrow(), compression="zstd") as writer:
        for batch in batches(backend, relation, _BATCH):
            writer.write_batch(batch)


def store(backend: Backend, name: str, relation: ir.Table, *, database: Location, temp: bool) -> ir.Table:
    """The table, now with the relation's rows; even when it reads the one it replaces."""
    backend._run_pre_execute_hooks(relation)
    rows = backend._session.sql(backend.compile(relation))
    if temp or not isinstance(database, tuple):
        # Computed now: who reads it would otherwise plan again all that it was made of, and so would who reads that.
        rows.localCheckpoint().createOrReplaceTempView(name)
        return by_bytes(backend.table(name))
    path = _folder(backend, database) / gen_name(name)
    rows.write.parquet(str(path))
    _swap(backend, database, name, path)
    return by_bytes(backend.table(name, database=database))


def fill(backend: Backend, name: str, schema: ibis.Schema, rows: Iterable[pa.RecordBatch], *, database: Place) -> str:
    """A folder with these rows, written as they come; the table of that name is as it was."""
    path: Path = _folder(backend, database) / gen_name(name)
    path.mkdir(mode=0o700)
    with pq.ParquetWriter(path / "rows.parquet", schema.to_pyarrow(), compression="zstd") as writer:
        for batch in rows:
            writer.write_batch(batch.cast(schema.to_pyarrow()))
    return path.name


def put(backend: Backend, name: str, fresh: str, *, database: Place) -> None:
    """The table, now with the rows that `fill` left there."""
    _swap(backend, database, name, _folder(backend, database) / fresh)


@contextmanager
def alone(backend: Backend, databases: Sequence[Place]) -> Iterator[None]:
    """Nothing; inside, no other process of this product works there. The system lets go of one that died."""
    folders = [_folder(backend, database) for database in databases]
    with (folders[0] / _LOCK).open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            what = f"another campanile is at work in {folders[0]}"
            raise CampanileError(what, "let it finish or stop it, then try again") from None
        for folder in folders:
            _clear(folder)
        yield


def _clear(folder: Path) -> None:
    """Takes away rows that are no table's: a process was killed while it wrote them, or after it had replaced them."""
    current = {pointer.read_text() for pointer in folder.glob(f"*{_CURRENT}")}
    for rows in folder.iterdir():
        if rows.is_dir() and rows.name not in current:
            shutil.rmtree(rows, ignore_errors=True)


def drop(backend: Backend, name: str, *, database: Place) -> None:
    """Takes a table away."""
    folder = _folder(backend, database)
    pointer = folder / f"{name}{_CURRENT}"
    backend._session.sql(f"DROP TABLE IF EXISTS {sge.table_(name, db=database[1], quoted=True).sql('spark')}")
    if pointer.exists():
        rows = folder / pointer.read_text()
        pointer.unlink()
        shutil.rmtree(rows, ignore_errors=True)


def by_bytes(table: ir.Table) -> ir.Table:
    """The table: text is compared by its bytes already, and moments are of the type that they are elsewhere."""
    moments = [column for column, type_ in table.schema().items() if type_.is_timestamp()]
    return table.mutate(**{column: table[column].cast(_MOMENT) for column in moments}) if moments else table


def disconnect(_backend: Backend) -> None:
    """Nothing: a process has one session, and others may use it; it ends with the process."""
