"""Which records hang together: the connected components of the pairs, found by passing the smallest id on.

In each round a record takes the smallest label of its neighbours, then the label of that label, so that a chain of n
records needs about log n rounds. The result depends on the pairs only, not on the order of rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import ibis
import ibis.expr.types as ir

from campanile.customers import engine

if TYPE_CHECKING:
    from ibis.backends.duckdb import Backend

_EDGES, _LABELS = "campanile_people_edges", "campanile_people_labels"


def components(backend: Backend, edges: ir.Table) -> ir.Table:
    """Every record that has a neighbour once: customer_id, and `label`, the smallest customer_id of its component.

    Args:
        backend: The open database; the result is a temporary table there.
        edges: a_id and b_id of records that belong together.
    """
    ways = edges.select(one="a_id", other="b_id").union(edges.select(one="b_id", other="a_id"), distinct=True)
    stored = engine.store(backend, _EDGES, ways, temp=True)
    first = stored.select(customer_id="one", label="one").distinct().mutate(changed=engine.TRUE)
    labels = engine.store(backend, _LABELS, first, temp=True)
    while _any_changed(labels):
        labels = engine.store(backend, _LABELS, _passed_on(stored, labels), temp=True)
    return labels.select("customer_id", "label")


def _any_changed(labels: ir.Table) -> bool:
    return bool(labels.filter(labels["changed"]).count().to_pyarrow().as_py())


def _passed_on(edges: ir.Table, labels: ir.Table) -> ir.Table:
    """The labels after one more round."""
    heard = edges.inner_join(labels.select(other="customer_id", heard="label"), "other")
    lowest = heard.group_by("one").aggregate(heard=heard["heard"].min())
    own = labels.select("customer_id", before="label")
    near = own.inner_join(lowest, [("customer_id", "one")])
    near = near.select("customer_id", "before", "heard").mutate(near=ibis.least(ibis._["before"], ibis._["heard"]))
    of_label = labels.select(_id="customer_id", far="label")
    joined = near.left_join(of_label, [("near", "_id")])
    label = ibis.least(joined["near"], joined["far"])
    return cast(ir.Table, joined.select("customer_id", label=label, changed=label != joined["before"]))
