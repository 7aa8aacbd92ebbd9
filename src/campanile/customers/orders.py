"""Which orders count: paid, worth something after what was sent back, as far as was known at a moment."""

from __future__ import annotations

import functools
import operator
from datetime import datetime

import ibis
import ibis.expr.types as ir

from campanile.customers.zones import naive

TRUE, FALSE = ibis.literal(value=True), ibis.literal(value=False)
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
    net = _net(orders, returned)
    return net.filter(net.net > 0)


def _net(orders: ir.Table, returned: ir.Table | None) -> ir.Table:
    """The orders with `net`, their amount less what came back of them."""
    if returned is None or not ({"order_id", "amount"} <= set(returned.columns) and "order_id" in orders.columns):
        return orders.mutate(net=orders.amount)
    back = returned.filter(returned.order_id.notnull()).group_by("order_id").agg(refunded=returned.amount.sum())
    joined = orders.left_join(back, "order_id")
    return joined.select(*orders.columns, net=joined.amount - joined.refunded.fill_null(0))


def _void_orders(orders: ir.Table, returned: ir.Table | None) -> ir.Table:
    """The ids of order rows that do not count: read by themselves, as they are few."""
    orders = orders.filter(orders.order_id.notnull())
    counts = [orders.state.isin(VALID_STATES).fill_null(FALSE)] if "state" in orders.columns else []
    if "amount" in orders.columns:
        net = _net(orders.select("order_id", "amount", *(["state"] if counts else [])), returned)
        counts = [*([net.state.isin(VALID_STATES).fill_null(FALSE)] if counts else []), (net.net > 0).fill_null(FALSE)]
        orders = net
    return orders.filter(~functools.reduce(operator.and_, counts, TRUE)).select("order_id")


def valid_lines(lines: ir.Table, orders: ir.Table, returned: ir.Table | None, *, all_known: bool) -> ir.Table:
    """Order lines without those of orders that do not count, and with those that name no order.

    Args:
        lines: Lines known at some moment.
        orders: Orders known at that moment.
        returned: Return events known at that moment; None where the shop has none.
        all_known: Whether an order that is not there is one we know nothing of, so that its lines count; otherwise it
            may have been left out of the import because it does not count.
    """
    if "order_id" not in lines.columns or "order_id" not in orders.columns:
        return lines
    if not all_known:
        valid = valid_orders(orders, returned)
        return lines.semi_join(valid, "order_id").union(lines.filter(lines.order_id.isnull()))
    # A shop may write an order in several rows; it is void when none of them counts. Few are, so the engine need not
    # look all the others up: neither among the lines, nor for another row that counts.
    void = _void_orders(orders, returned)
    void = void.anti_join(valid_orders(orders.semi_join(void, "order_id"), returned), "order_id")
    return lines.anti_join(void, "order_id")


def unmatched_returns(returned: ir.Table, orders: ir.Table) -> ir.Table:
    """Returns that name no order we know: they lower a customer's money and no order's."""
    if "order_id" not in returned.columns or "order_id" not in orders.columns:
        return returned
    return returned.anti_join(orders, "order_id")
