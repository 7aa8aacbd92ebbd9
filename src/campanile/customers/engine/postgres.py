"""What is PostgreSQL's own. `Compiler` makes its SQL mean what the same expression means on DuckDB."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import ibis.expr.rules as rlz
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import sqlglot as sg
import sqlglot.expressions as sge
from ibis.backends.postgres import Backend
from ibis.backends.sql.compilers.postgres import PostgresCompiler
from ibis.backends.sql.datatypes import PostgresType
from ibis.util import gen_name

from campanile.customers.engine import ranks
from campanile.customers.engine.patterns import postgres_pattern
from campanile.customers.engine.which import Location
from campanile.errors import CampanileError

if TYPE_CHECKING:
    import psycopg

Place = tuple[str, str]

_BATCH = 50_000
_UNREACHABLE = "PostgreSQL cannot be used"
_CURE = "check that it runs, that its address stands in the variable that url_env names, and what its role may do"
_BY_BYTES = sge.ColumnConstraint(kind=sge.CollateColumnConstraint(this=sg.to_identifier("C", quoted=True)))
#: Doubles up to here have no digits behind the point that their text could lose.
_WHOLE_LIMIT = 10**15
_HALF = 0.5


class Compiler(PostgresCompiler):  # type: ignore[misc] # ibis has no types
    """Ibis on PostgreSQL, where its own compiler has no word or another meaning."""

    __slots__ = ()
    # Ibis would put its own back in the place of what is said below.
    SIMPLE_OPS: ClassVar[dict[type, str]] = {}
    UNSUPPORTED_OPS: ClassVar[tuple[type, ...]] = ()

    def visit_HexDigest(self, op: Any, *, arg: Any, how: str) -> Any:
        """The digest of text in UTF-8."""
        return self.f.encode(self.f[how](self.f.convert_to(arg, "UTF8")), "hex")

    def visit_RegexSearch(self, op: Any, *, arg: Any, pattern: Any) -> Any:
        """Patterns are written for RE2."""
        return sge.RegexpLike(this=arg, expression=_translated(pattern))

    def visit_RegexReplace(self, op: Any, *, arg: Any, pattern: Any, replacement: Any) -> Any:
        """Every match."""
        return self.f.regexp_replace(arg, _translated(pattern), replacement, "g")

    def visit_First(self, op: Any, *, arg: Any, where: Any, order_by: Any, include_null: bool) -> Any:
        """PostgreSQL has no such aggregate: the first of a list."""
        if not include_null:
            known = arg.is_(sg.not_(sge.Null()))
            where = known if where is None else sg.and_(known, where)
        found = self.agg.array_agg(arg, where=where, order_by=order_by)
        return sge.paren(found, copy=False)[0]

    def _argminmax(self, op: Any, *, arg: Any, **kwargs: Any) -> Any:
        """Lists by way of their text: a list of lists has no first list here."""
        if not op.arg.dtype.is_array():
            return super()._argminmax(op, arg=arg, **kwargs)
        return self.cast(super()._argminmax(op, arg=self.cast(arg, dt.string), **kwargs), op.dtype)

    def visit_Arbitrary(self, op: Any, *, arg: Any, where: Any) -> Any:
        """Any known value."""
        return self.visit_First(op, arg=arg, where=where, order_by=(), include_null=False)

    def visit_Sum(self, op: Any, *, arg: Any, where: Any) -> Any:
        """Sums of whole numbers stay whole numbers."""
        found = super().visit_Sum(op, arg=arg, where=where)
        return self.cast(found, op.dtype) if op.dtype.is_integer() else found

    def visit_Mean(self, op: Any, *, arg: Any, where: Any) -> Any:
        """Means are doubles."""
        return self.cast(self.agg.avg(self.cast(arg, op.dtype), where=where), op.dtype)

    def visit_Round(self, op: Any, *, arg: Any, digits: Any) -> Any:
        """A half goes away from zero; PostgreSQL rounds doubles to the even number."""
        if not (op.dtype.is_integer() and op.arg.dtype.is_floating()):
            return super().visit_Round(op, arg=arg, digits=digits)
        whole = self.f.trunc(arg)
        more = self.if_(self.f.abs(arg - whole) >= _HALF, self.f.sign(arg), 0)
        return self.cast(whole + more, op.dtype)

    def visit_WindowFunction(self, op: Any, *, func: Any, **kwargs: Any) -> Any:
        """The type of a figure is said outside of its window."""
        if isinstance(func, sge.Cast):
            return sge.Cast(this=super().visit_WindowFunction(op, func=func.this, **kwargs), to=func.args["to"])
        return super().visit_WindowFunction(op, func=func, **kwargs)

    def visit_ByBytes(self, op: Any, *, text: Any) -> Any:
        """The collation that compares bytes."""
        return sge.Collate(this=text, expression=sg.to_identifier("C", quoted=True))

    def visit_HexNumber(self, op: Any, *, digits: Any) -> Any:
        """By way of sixty-four bits, the only hexadecimal that every release reads."""
        bits = self.f.concat("x", self.f.lpad(digits, 16, "0"))
        return sge.cast(sge.cast(bits, "BIT(64)", dialect=self.dialect), "BIGINT")

    def visit_Cast(self, op: Any, *, arg: Any, to: Any) -> Any:
        """A whole double as text ends in .0, as it does elsewhere; truth becomes a number by way of four bytes."""
        if op.arg.dtype.is_boolean() and to.is_numeric():
            return self.cast(self.cast(arg, dt.int32), to)
        found = super().visit_Cast(op, arg=arg, to=to)
        if not (op.arg.dtype.is_floating() and to.is_string()):
            return found
        whole = sg.and_(arg.eq(self.f.trunc(arg)), self.f.abs(arg) < _WHOLE_LIMIT)
        return self.if_(whole, self.f.concat(found, ".0"), found)


def _translated(pattern: Any) -> Any:
    return sge.convert(postgres_pattern(pattern.this)) if isinstance(pattern, sge.Literal) else pattern


def connect(url: str, *, schema: str) -> tuple[Backend, Place, Place]:
    """An open connection, and where the shop's and the product's tables are; both schemas are made when missing.

    Args:
        url: As libpq reads it; empty for what its own variables and defaults say.
        schema: Of the shop's tables.

    Raises:
        CampanileError: The driver is missing, or no server answers.
    """
    try:
        import psycopg
    except ImportError:
        raise CampanileError("the driver of PostgreSQL is missing", "pip install 'campanile[postgres]'") from None
    try:
        connection = psycopg.connect(url, autocommit=True)
        places = [(connection.info.dbname, name) for name in (schema, f"{schema}_own")]
        for _, name in places:
            _make_schema(connection, name)
    except psycopg.Error as error:
        # What the driver says may quote the address, and that may hold a password.
        raise CampanileError(_UNREACHABLE, f"{_CURE} ({type(error).__name__})") from None
    backend = ibis.postgres.from_connection(connection)
    backend.compiler = Compiler()
    return backend, places[0], places[1]


def _make_schema(connection: psycopg.Connection, name: str) -> None:
    """Makes a schema; who may only read one that is there need not be allowed to make any."""
    there = connection.execute("SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", (name,)).fetchone()
    if there is None:
        place = sg.to_identifier(name, quoted=True).sql("postgres")
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {place}")


def disconnect(backend: Backend) -> None:
    """Closes the connection."""
    backend.con.close()


class HexNumber(ops.Value):  # type: ignore[misc] # ibis has no types
    """Hex digits as a number."""

    digits: ops.Value[dt.String]
    shape = rlz.shape_like("digits")
    dtype = dt.int64


def hex_number(digits: ir.StringValue) -> ir.IntegerValue:
    """Up to fifteen hex digits as a number."""
    number: ir.IntegerValue = HexNumber(digits).to_expr()
    return number


ranked = ranks.ranked_by_counting
distinct_days = ranks.distinct_days


@contextmanager
def transaction(backend: Backend) -> Iterator[None]:
    """Everything inside is there afterwards, or nothing is."""
    with backend.con.transaction():
        yield


def batches(backend: Backend, relation: ir.Table, size: int) -> Iterator[pa.RecordBatch]:
    """The rows of a relation, streamed through a cursor on the server."""
    yield from backend.to_pyarrow_batches(relation, chunk_size=size)


def parquet_rows(_backend: Backend, path: Path) -> ir.Table:
    """The rows of a Parquet file."""
    raise CampanileError(f"PostgreSQL reads no Parquet file, and {path.name} is one", "write engine: duckdb")


def write_parquet(backend: Backend, relation: ir.Table, path: Path) -> None:
    """Writes a relation to a Parquet file."""
    schema = relation.schema().to_pyarrow()
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches(backend, relation, _BATCH):
            writer.write_batch(batch.cast(schema))


def store(backend: Backend, name: str, relation: ir.Table, *, database: Location, temp: bool) -> ir.Table:
    """The table, now with the relation's rows; even when it reads the one it replaces."""
    place = None if temp else (database[-1] if isinstance(database, tuple) else database)
    fresh = gen_name("campanile")
    backend._run_pre_execute_hooks(relation)
    insert = sge.insert(backend.compiler.to_sqlglot(relation), _table(fresh, place))
    with transaction(backend):
        create(backend, fresh, relation.schema(), place=place, temp=temp)
        backend.con.execute(insert.sql(backend.dialect))
        replace(backend, name, fresh, place=place)
    return backend.table(name, database=database)


def fill(backend: Backend, name: str, schema: ibis.Schema, rows: Iterable[pa.RecordBatch], *, database: Place) -> str:
    """A table of another name with these rows, copied in as they come; the one of that name is as it was."""
    place, fresh = database[1], str(gen_name("campanile"))
    columns = ", ".join(sg.to_identifier(column, quoted=True).sql(backend.dialect) for column in schema)
    target = f"{_table(fresh, place).sql(backend.dialect)} ({columns})"
    create(backend, fresh, schema, place=place)
    with backend.con.cursor().copy(f"COPY {target} FROM STDIN (FORMAT csv)") as copy:
        for batch in rows:
            _refuse_nul(batch, name)
            copy.write(_as_csv(batch))
    return fresh


def put(backend: Backend, name: str, fresh: str, *, database: Place) -> None:
    """The table, now with the rows that `fill` left there."""
    replace(backend, name, fresh, place=database[1])


@contextmanager
def alone(backend: Backend, databases: Sequence[Place]) -> Iterator[None]:
    """Nothing; inside, no other process of this product works there. The server lets go of one that died."""
    import psycopg

    schema = databases[0][1]
    key = int.from_bytes(hashlib.sha256(f"campanile {schema}".encode()).digest()[:8], "big", signed=True)
    if not backend.con.execute("SELECT pg_try_advisory_lock(%s)", (key,)).fetchone()[0]:
        what = f"another campanile is at work in the schema {schema} of PostgreSQL"
        raise CampanileError(f"{what}{_whose(backend, key)}", "let it finish or stop it, then try again")
    try:
        yield
    finally:
        with suppress(psycopg.Error):  # A connection that broke has let go of it already.
            backend.con.execute("SELECT pg_advisory_unlock(%s)", (key,))


def _whose(backend: Backend, key: int) -> str:
    """Who holds a lock, as far as this role may know."""
    found = backend.con.execute(
        "SELECT l.pid, host(a.client_addr) FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid) "
        "WHERE l.locktype = 'advisory' AND l.granted AND ((l.classid::bigint << 32) | l.objid::bigint) = %s",
        (key,),
    ).fetchone()
    if found is None:
        return ""
    return f" (process {found[0]} of the server{f', from {found[1]}' if found[1] else ''})"


def _refuse_nul(batch: pa.RecordBatch, table: str) -> None:
    """Raises CampanileError for text that PostgreSQL cannot hold; without it an id would be another one there."""
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        texts = column.flatten() if pa.types.is_list(column.type) else column
        if pa.types.is_string(texts.type) and pc.any(pc.match_substring(texts, "\0")).as_py():
            what = f"{name} in the table {table} holds the character NUL, which PostgreSQL cannot keep"
            raise CampanileError(what, "take it out of the file and import it again, or select on duckdb")


def _as_csv(batch: pa.RecordBatch) -> memoryview:
    """Rows as COPY reads them: unknown is nothing, text is in quotes, a list is its literal."""
    columns = [_as_literals(column) if pa.types.is_list(column.type) else column for column in batch.columns]
    sink = pa.BufferOutputStream()
    options = pa.csv.WriteOptions(include_header=False, quoting_style="needed")
    pa.csv.write_csv(pa.RecordBatch.from_arrays(columns, names=batch.schema.names), sink, options)
    return memoryview(sink.getvalue())


def _as_literals(lists: pa.Array) -> pa.Array:
    return pa.array([None if items is None else _literal(items) for items in lists.to_pylist()], pa.string())


def _literal(items: Sequence[str | None]) -> str:
    r"""A list as PostgreSQL writes it.

    >>> print(_literal(["a", 'say "b"', None]))
    {"a","say \"b\"",NULL}
    """
    quoted = ("NULL" if item is None else '"' + re.sub(r'(["\\])', r"\\\1", item) + '"' for item in items)
    return "{" + ",".join(quoted) + "}"


def create(backend: Backend, name: str, schema: ibis.Schema, *, place: str | None, temp: bool = False) -> None:
    """Makes an empty table. Text is compared by its bytes, as DuckDB does, whatever the server's language."""
    columns = [
        sge.ColumnDef(
            this=sg.to_identifier(column, quoted=True),
            kind=PostgresType.from_ibis(type_(nullable=True)),
            constraints=[_BY_BYTES.copy()] if _holds_text(type_) else [],
        )
        for column, type_ in schema.items()
    ]
    properties = sge.Properties(expressions=[sge.TemporaryProperty()]) if temp else None
    target = sge.Schema(this=_table(name, place), expressions=columns)
    statement = sge.Create(kind="TABLE", this=target, properties=properties)
    backend.con.execute(statement.sql(backend.dialect))


def replace(backend: Backend, name: str, fresh: str, *, place: str | None) -> None:
    """Gives a table the name of another, which is gone then. Inside a transaction nobody sees neither."""
    backend.con.execute(sge.Drop(kind="TABLE", this=_table(name, place), exists=True).sql(backend.dialect))
    rename = sge.AlterRename(this=sg.to_identifier(name, quoted=True))
    statement = sge.Alter(kind="TABLE", this=_table(fresh, place), actions=[rename])
    backend.con.execute(statement.sql(backend.dialect))
    backend.con.execute(f"ANALYZE {_table(name, place).sql(backend.dialect)}")


def drop(backend: Backend, name: str, *, database: Place) -> None:
    """Takes a table away."""
    statement = sge.Drop(kind="TABLE", this=_table(name, database[1]), exists=True)
    backend.con.execute(statement.sql(backend.dialect))


class ByBytes(ops.Value):  # type: ignore[misc] # ibis has no types
    """Text that is compared by its bytes."""

    text: ops.Value[dt.String]
    shape = rlz.shape_like("text")
    dtype = dt.string


def by_bytes(table: ir.Table) -> ir.Table:
    """The table, its text compared by its bytes: one that somebody else made compares as the server's language does."""
    texts = [column for column, type_ in table.schema().items() if type_.is_string()]
    return table.mutate(**{column: ByBytes(table[column]).to_expr() for column in texts})


def _holds_text(type_: dt.DataType) -> bool:
    return type_.is_string() or (isinstance(type_, dt.Array) and type_.value_type.is_string())


def _table(name: str, place: str | None) -> sge.Table:
    return sge.table_(name, db=place, quoted=True)
