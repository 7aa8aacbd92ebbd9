"""Everything in which DuckDB, PostgreSQL and Spark differ; the other rooms see Ibis relations.

`duck`, `postgres` and `spark` hold what is one engine's own, `values` and `tables` ask the one that a relation is of.
`landing` reads the files of a shop, which DuckDB alone does.
"""

from campanile.customers.engine.duck import connect
from campanile.customers.engine.files import PrivateFiles
from campanile.customers.engine.landing import (
    lines_refused,
    parse_time,
    read_columns,
    read_lines,
    trimmed,
    write_csv,
)
from campanile.customers.engine.single import in_a_file, open_file, table_errors
from campanile.customers.engine.tables import (
    alone,
    append,
    assign,
    batches,
    by_bytes,
    connect_postgres,
    connect_spark,
    content,
    delete,
    disconnect,
    drop,
    fill,
    load,
    parquet_rows,
    places,
    put,
    repeated,
    sql_of,
    stamp,
    store,
    transaction,
    write_parquet,
)
from campanile.customers.engine.troubles import engine_errors
from campanile.customers.engine.values import FALSE, TRUE, arm_number, cut_points, distinct_days, percentiles
from campanile.customers.engine.which import Location

__all__ = [
    "FALSE",
    "TRUE",
    "Location",
    "PrivateFiles",
    "alone",
    "append",
    "arm_number",
    "assign",
    "batches",
    "by_bytes",
    "connect",
    "connect_postgres",
    "connect_spark",
    "content",
    "cut_points",
    "delete",
    "disconnect",
    "distinct_days",
    "drop",
    "engine_errors",
    "fill",
    "in_a_file",
    "lines_refused",
    "load",
    "open_file",
    "parquet_rows",
    "parse_time",
    "percentiles",
    "places",
    "put",
    "read_columns",
    "read_lines",
    "repeated",
    "sql_of",
    "stamp",
    "store",
    "table_errors",
    "transaction",
    "trimmed",
    "write_csv",
    "write_parquet",
]
