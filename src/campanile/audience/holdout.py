"""Who is held out of all marketing: decided by a keyed hash of its own, so no campaign's arms depend on it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import cast

import ibis.expr.types as ir

from campanile.customers.engine import arm_number
from campanile.spec.policy import Holdout
from campanile.spec.shop_tables import HOLDOUT

#: `arm_number` is below this.
_NUMBERS = 16**15


def with_holdout(customers: ir.Table, holdout: Holdout | None, day: date) -> ir.Table:
    """The customers with `global_holdout`; as they are where the shop imports the field, or holds nobody out.

    Args:
        customers: One row per customer.
        holdout: The policy of the shop.
        day: The calendar day of the selection, which decides the year or half-year.
    """
    if holdout is None or HOLDOUT in customers.columns:
        return customers
    number = arm_number(cast(ir.StringValue, customers["customer_id"]), holdout.key(day))
    return customers.mutate(**{HOLDOUT: number < first_kept(holdout.share)})


def first_kept(share: Decimal) -> int:
    """The smallest arm number that is not held out.

    >>> first_kept(Decimal("0.5")) == 8 * 16**14
    True
    """
    return int(share * _NUMBERS)
