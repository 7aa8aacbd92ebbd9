"""Arms by keyed hash inside strata: the ids, the salt and the shares decide, nothing else.

No row order, no engine, no other stratum and no earlier run changes an arm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import cast

import ibis
import ibis.expr.types as ir

from campanile.customers.engine import arm_number
from campanile.events import CONTROL

POOLED = "(pooled)"
WHOLE = "(all)"
UNKNOWN = "unknown"
_SMALLEST_STRATUM = 10
#: Shares are whole parts of this; fine enough for 33.3333333%, and the products of sizes and parts fit 64 bits.
_PARTS = 10**9


def assign(audience: ir.Table, *, split: Mapping[str, Decimal], stratify: Sequence[str], salt: str) -> ir.Table:
    """The audience with two more columns, `arm` and `stratum`; lazy.

    Inside a stratum of n units, ordered by arm number and then customer_id, the arms take turns: control first, then
    the others as in `split`, each with its share of n rounded down or up. Which of the two is decided by the ids as
    well, so many small strata do not all round the same way, and every unit has exactly its share's chance.

    Args:
        audience: One row per unit, with customer_id.
        split: Share of each arm; adds up to 1.
        stratify: Columns whose values make the strata; strata with fewer than 10 units are pooled, unknown is a value.
        salt: Campaign and wave; another salt gives an independent assignment.
    """
    units = audience.mutate(stratum=_label(audience, stratify))
    if stratify:
        units = units.mutate(stratum=_pooled(units["stratum"]))
    return inside_strata(units, split=split, salt=salt)


def inside_strata(units: ir.Table, *, split: Mapping[str, Decimal], salt: str) -> ir.Table:
    """The units, whose `stratum` is known, with the `arm` that `assign` gives them; lazy."""
    units = units.mutate(_number=arm_number(cast(ir.StringValue, units["customer_id"]), salt))
    # One order for all three figures: an engine then sorts a stratum once.
    whole = ibis.window(group_by="stratum", order_by=[units["_number"].asc(), units["customer_id"].asc()])
    units = units.mutate(
        _place=ibis.row_number().over(whole) + 1,
        _units=units.count().over(whole),
        _start=cast(ir.IntegerColumn, units["_number"]).min().over(whole) % _PARTS,
    )
    return units.mutate(arm=_arm(units, split)).drop("_number", "_place", "_units", "_start")


def assign_each(audience: ir.Table, *, split: Mapping[str, Decimal], stratify: Sequence[str], salt: str) -> ir.Table:
    """The audience with two more columns, `arm` and `stratum`; each unit's arm is its own number's alone; lazy.

    For campaigns whose customers come one after the other: whenever and with whomever a unit comes, it is in the same
    arm. Sizes are the shares up to chance, so no stratum is exact.

    Args:
        audience: One row per unit, with customer_id.
        split: Share of each arm; adds up to 1.
        stratify: Columns whose values make the strata, for the estimate; nothing is pooled.
        salt: The campaign; the same in all of its waves.
    """
    number = cast(ir.IntegerValue, arm_number(cast(ir.StringValue, audience["customer_id"]), salt)) % _PARTS
    *firsts, (last, _) = cumulative_parts(split)
    arm: ir.Value = ibis.literal(last)
    for name, end in reversed(firsts):
        arm = ibis.ifelse(number < end, name, arm)
    return audience.mutate(stratum=_label(audience, stratify), arm=cast(ir.StringValue, arm))


def _label(audience: ir.Table, stratify: Sequence[str]) -> ir.StringValue:
    """The values of a unit in words, as in `5 / gold`."""
    values = [cast(ir.StringValue, audience[name].cast("string").fill_null(UNKNOWN)) for name in stratify]
    return ibis.literal(" / ").join(values) if values else ibis.literal(WHOLE)


def _pooled(stratum: ir.Value) -> ir.StringValue:
    size = cast(ir.IntegerValue, stratum.count().over(group_by=stratum))
    return cast(ir.StringValue, ibis.ifelse(size < _SMALLEST_STRATUM, POOLED, stratum))


def _arm(units: ir.Table, split: Mapping[str, Decimal]) -> ir.StringValue:
    """The first arm whose end the place has not passed: place ≤ ⌊units · cumulative share + start⌋, in integers."""
    place, size, start = (cast(ir.IntegerValue, units[name]) for name in ("_place", "_units", "_start"))
    *firsts, (last, _) = cumulative_parts(split)
    arm: ir.Value = ibis.literal(last)
    for name, parts in reversed(firsts):
        arm = ibis.ifelse(place * _PARTS <= size * parts + start, name, arm)
    return cast(ir.StringValue, arm)


def cumulative_parts(split: Mapping[str, Decimal]) -> list[tuple[str, int]]:
    """The arms in the order in which they take turns, each with the parts in a thousand million up to its end.

    >>> cumulative_parts({"sms": Decimal("0.8"), "control": Decimal("0.2")})
    [('control', 200000000), ('sms', 1000000000)]
    """
    arms = sorted(split, key=lambda arm: arm != CONTROL)
    ends = [sum((split[arm] for arm in arms[: index + 1]), Decimal(0)) for index in range(len(arms))]
    return [(arm, round(end * _PARTS)) for arm, end in zip(arms, ends, strict=True)]
