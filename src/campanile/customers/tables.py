"""The tables of the customer database: their columns, what identifies a row, and how rows lie on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from campanile.spec.references import table_columns
from campanile.spec.vocabulary import FieldType, load_vocabulary

#: Schema of the product's own tables inside the customer database.
PRODUCT = "campanile"

CUSTOMERS = "customers"
ORDER = "order"
BOUGHT = "bought"
RETURNED = "returned"
VISITED = "visited"
CONTACTED = "contacted"
ASSIGNED = "assigned"
SCORE = "score"

#: Columns whose values never leave the two stores of personal data, not even into the file of rejects.
CONTACT_COLUMNS = frozenset({"name", "last_name", "email", "phone", "address"})


def columns_of(table: str) -> Mapping[str, FieldType]:
    """Every column the table can have; empty when there is no such table.

    >>> columns_of("order")["amount"].value, columns_of("ordr")
    ('money', {})
    """
    return table_columns(load_vocabulary()).get(table, {})


def table_names() -> tuple[str, ...]:
    """The names of all tables that a shop can have."""
    return tuple(table_columns(load_vocabulary()))


def clustering(columns: Sequence[str]) -> tuple[str, ...]:
    """The columns a table is sorted by: a customer's rows lie together, which makes adding them up three times cheaper.

    >>> clustering(["order_id", "customer_id", "at"])
    ('customer_id', 'at')
    """
    return tuple(column for column in ("customer_id", "at") if column in columns)


def mapping_example(table: str) -> str:
    """Lines for campanile.yaml that would import the table, for the cure of an error."""
    known = columns_of(table)
    shown = [column for column in known if column not in ("customer_id", "at")][:3]
    cells = ["customer_id: Customer", *(["at: Date"] if "at" in known else []), *(f"{name}: {name}" for name in shown)]
    return f"import:\n  {table}:\n    file: data/{table}.csv\n    columns: {{{', '.join(cells)}}}"
