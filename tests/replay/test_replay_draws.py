"""A draw is the product's own assignment, and its sums are those of pandas."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from decimal import Decimal

import pandas as pd
import pytest

from campanile.design.assign import assign
from campanile.measure.types import classes_of, pair
from campanile.replay.draws import Draws
from campanile.replay.units import Units
from replay.replay_shop import shop, units_of

SPLIT = {"control": Decimal("0.2"), "treatment": Decimal("0.8")}
METRICS = ("response_rate", "revenue_per_customer")


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Units]:
    with units_of(shop(tmp_path_factory.mktemp("draws"))) as found:
        yield found


@pytest.mark.parametrize("salt", ["winback:aa:1:0", "winback:aa:1:1", "another"])
def test_arms_and_sums_are_those_of_the_assignment(units: Units, salt: str) -> None:
    assigned = assign(units.rows, split=SPLIT, stratify=("stratum",), salt=salt).to_pandas()
    drawn = Draws(units.rows, SPLIT, METRICS, by_stratum=True, past=True).draw(salt)
    assert set(drawn.arms) == set(SPLIT)
    for arm, rows in assigned.groupby("arm"):
        found = drawn.arms[str(arm)].statistics
        assert (found.n, found.sums["response_rate"]) == (len(rows), rows["responded"].sum())
        assert found.sums["revenue_per_customer"] == rows["revenue"].sum()
        assert found.variance("revenue_per_customer") == pytest.approx(rows["revenue"].var())
        assert found.nonzero["revenue_per_customer"] == (rows["revenue"] != 0).sum()
        assert found.products[pair("revenue_per_customer", "pre_orders")] == pytest.approx(
            rows["revenue"].cov(rows["pre_orders"]) * (len(rows) - 1)
        )
        assert found.classes["revenue_per_customer"] == classes_of(rows["revenue"].tolist())
        for stratum, part in rows.groupby("stratum"):
            assert drawn.strata[str(stratum)][str(arm)].n == len(part)
            assert drawn.strata[str(stratum)][str(arm)].sums["response_rate"] == part["responded"].sum()


def test_another_salt_gives_other_arms_and_the_same_salt_the_same(units: Units) -> None:
    draws = Draws(units.rows, SPLIT, METRICS)
    first, again, other = (draws.draw(salt).arms["control"].statistics for salt in ("a", "a", "b"))
    assert first == again
    assert first.n == other.n or abs(first.n - other.n) <= 4
    assert first.sums != other.sums


def test_the_share_of_a_stratum_is_exact(units: Units) -> None:
    drawn = Draws(units.rows, SPLIT, METRICS, by_stratum=True).draw("exact")
    for arms in drawn.strata.values():
        whole = sum(arm.n for arm in arms.values())
        assert abs(arms["control"].n - whole / 5) < 1


def test_a_draw_is_by_the_hash_of_python_too(units: Units) -> None:
    """Promise 7: whoever comes first in a stratum by the first 15 digits of sha256 is in control."""
    rows: pd.DataFrame = units.rows.to_pandas()
    rows["number"] = [
        int(hashlib.sha256(f"by-hand:{customer}".encode()).hexdigest()[:15], 16) for customer in rows["customer_id"]
    ]
    control = []
    for _, stratum in rows.groupby("stratum"):
        start = stratum["number"].min() % 10**9
        size = (len(stratum) * 2 * 10**8 + start) // 10**9
        control.append(stratum.nsmallest(size, "number"))
    found = Draws(units.rows, SPLIT, METRICS).draw("by-hand").arms["control"].statistics
    assert found.n == sum(map(len, control))
    assert found.sums["revenue_per_customer"] == pd.concat(control)["revenue"].sum()


@pytest.mark.parametrize("salt", ["it's", "a b", "", 'x"; DROP TABLE y'])
def test_a_salt_cannot_become_sql(units: Units, salt: str) -> None:
    with pytest.raises(ValueError, match="cannot stand in a literal"):
        Draws(units.rows, SPLIT, METRICS).draw(salt)
