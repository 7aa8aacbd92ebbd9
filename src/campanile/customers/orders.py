"""Which orders count: paid, worth something after what was sent back, as far as was known at a moment."""

from __future__ import annotations

from datetime import datetime

import ibis
import ibis.expr.types as ir

from campanile.customers.zones import naive

#: States of an order that counts, where the shop says states.
VALID_STATES = ("paid", "part_refunded")


def before(rows: ir.Table, as_of: datetime) -> ir.Table:
    """The events that had happened by then."""
    return rows.filter(rows["at"] < ibis.timestamp(naive(as_of)))


def valid_orders(orders: ir.Table, returned: ir.Table | None) -> ir.Table:
    """Orders in a state that counts whose amount is above zero after returns of the same order, with that `net` amount.

    Args:
        orders: Order events known at some moment.
        returned: Return events known at the same moment; None where the shop has none.
    """
    if "state" in orders.columns:
        orders = orders.filter(orders.state.isin(VALID_STATES))
    if "amount" not in orders.columns:
        return orders.mutate(net=ibis.null("int64"))
    orders = orders.mutate(net=orders.amount)
    if returned is not None and {"order_id", "amount"} <= set(returned.columns) and "order_id" in orders.columns:
        back = returned.filter(returned.order_id.notnull()).group_by("order_id").agg(refunded=returned.amount.sum())
        joined = orders.left_join(back, "order_id")
        orders = joined.select(*orders.drop("net").columns, net=joined.amount - joined.refunded.fill_null(0))
    return orders.filter(orders.net > 0)


def valid_lines(lines: ir.Table, orders: ir.Table, valid: ir.Table, *, all_known: bool) -> ir.Table:
    """Order lines without those of orders that do not count, and with those that name no order.

    Args:
        lines: Lines known at some moment.
        orders: Orders known at that moment.
        valid: Those of them that count.
        all_known: Whether an order that is not there is one we know nothing of, so that its lines count; otherwise it
            may have been left out of the import because it does not count.
    """
    if "order_id" not in lines.columns or "order_id" not in orders.columns:
        return lines
    if not all_known:
        return lines.semi_join(valid, "order_id").union(lines.filter(lines.order_id.isnull()))
    void = orders.anti_join(valid, "order_id").filter(ibis._.order_id.notnull())
    return lines.anti_join(void, "order_id")


def unmatched_returns(returned: ir.Table, orders: ir.Table) -> ir.Table:
    """Returns that name no order we know: they lower a customer's money and no order's."""
    if "order_id" not in returned.columns or "order_id" not in orders.columns:
        return returned
    return returned.anti_join(orders, "order_id")
