"""Assignment: against a reference in plain Python, and what may not change it."""

from __future__ import annotations

import hashlib
import random
from collections import Counter, defaultdict
from decimal import Decimal
from fractions import Fraction
from typing import Any

import ibis
import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from campanile.design.assign import assign, cumulative_parts

Rows = list[dict[str, Any]]
HALVES = {"control": Decimal("0.5"), "treatment": Decimal("0.5")}
FIFTH = {"control": Decimal("0.2"), "treatment": Decimal("0.8")}
THIRDS = {"b": Decimal("0.333333"), "control": Decimal("0.333333"), "a": Decimal("0.333333")}
FINE = {"control": Decimal("0.05"), "a": Decimal("0.475"), "b": Decimal("0.475")}
ENGINE = ibis.duckdb.connect()


def run(
    rows: Rows, split: dict[str, Decimal], stratify: list[str], salt: str = "winback:1"
) -> dict[str, tuple[str, str]]:
    """Arm and stratum of every id."""
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    typed = {
        name: pa.array(values, None if any(value is not None for value in values) else pa.string())
        for name, values in columns.items()
    }
    table = ENGINE.create_table("audience", pa.table(typed), overwrite=True)
    assigned = assign(table, split=split, stratify=stratify, salt=salt)
    assert assigned.columns == (*table.columns, "stratum", "arm")
    return {row["customer_id"]: (row["arm"], row["stratum"]) for row in assigned.to_pyarrow().to_pylist()}


def number(salt: str, name: str) -> int:
    return int(hashlib.sha256(f"{salt}:{name}".encode()).hexdigest()[:15], 16)


def reference(rows: Rows, split: dict[str, Decimal], stratify: list[str], salt: str) -> dict[str, tuple[str, str]]:
    """The same by hand: exact fractions, one stratum after the other."""
    label = {
        row["customer_id"]: " / ".join("unknown" if row[f] is None else str(row[f]) for f in stratify) for row in rows
    }
    sizes = Counter(label.values())
    strata: dict[str, list[str]] = defaultdict(list)
    for name, text in label.items():
        strata["(all)" if not stratify else "(pooled)" if sizes[text] < 10 else text].append(name)
    found = {}
    arms = ["control", *(arm for arm in split if arm != "control")]
    for stratum, names in strata.items():
        ordered = sorted(names, key=lambda name: (number(salt, name), name))
        start = Fraction(number(salt, ordered[0]) % 10**9, 10**9)
        for place, name in enumerate(ordered, 1):
            share = Fraction(0)
            for arm in arms:
                share += Fraction(split[arm])
                if place <= share * len(names) + start or arm == arms[-1]:
                    found[name] = (arm, stratum)
                    break
    return found


def units(size: int, seed: int = 0) -> Rows:
    chance = random.Random(seed)
    return [
        {
            "customer_id": f"C{number}",
            "rfm.m": chance.choice([1, 2, 3, 4, 5, None]),
            "tier": chance.choice(["gold", "basic", None]),
            "vip": chance.random() < 0.01,
        }
        for number in range(size)
    ]


@settings(max_examples=25, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    st.integers(1, 400),
    st.integers(0, 10**6),
    st.sampled_from([HALVES, FIFTH, THIRDS, FINE]),
    st.sampled_from([[], ["rfm.m"], ["rfm.m", "tier"], ["vip"]]),
    st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=8),
)
def test_equals_the_reference(size: int, seed: int, split: dict[str, Decimal], stratify: list[str], salt: str) -> None:
    rows = units(size, seed)
    for row in rows:
        row["vip"] = str(row["vip"])
    assert run(rows, split, stratify, salt) == reference(rows, split, stratify, salt)


def test_row_order_changes_no_arm() -> None:
    rows = units(500)
    first = run(rows, FIFTH, ["rfm.m", "tier"])
    for seed in range(3):
        assert run(random.Random(seed).sample(rows, len(rows)), FIFTH, ["rfm.m", "tier"]) == first


def test_chunks_of_rows_change_no_arm() -> None:
    rows = units(200)
    first = run(rows, FIFTH, ["rfm.m"])
    halves = ibis.union(ibis.memtable(rows[:70]), ibis.memtable(rows[70:]))
    assigned = assign(halves, split=FIFTH, stratify=["rfm.m"], salt="winback:1")
    strata = {row["customer_id"]: row["arm"] for row in ENGINE.to_pyarrow(assigned).to_pylist()}
    assert strata == {name: arm for name, (arm, _) in first.items()}


@pytest.mark.parametrize("split", [HALVES, FIFTH, THIRDS, FINE])
def test_every_arm_has_its_share_of_every_stratum(split: dict[str, Decimal]) -> None:
    rows = units(700)
    counts = Counter(run(rows, split, ["rfm.m", "tier"]).values())
    sizes = Counter(stratum for _, stratum in counts.elements())
    for arm, share in split.items():
        for stratum, size in sizes.items():
            assert abs(counts[arm, stratum] - float(share) * size) <= 1, (arm, stratum)


def test_whole_shares_are_exact() -> None:
    counts = Counter(arm for arm, _ in run(units(17_085), FIFTH, []).values())
    assert counts == {"control": 3417, "treatment": 13668}


def test_many_small_strata_do_not_round_the_same_way() -> None:
    rows = [{"customer_id": f"C{number}", "store": number % 500} for number in range(6000)]
    control = sum(arm == "control" for arm, _ in run(rows, FIFTH, ["store"]).values())
    # Twelve units each: rounding 2.4 always down would give 1000, four standard errors of a fair rounding are 44.
    assert abs(control - 1200) < 44


def test_another_stratum_moves_nobody() -> None:
    rows = [row for row in units(600) if row["tier"] is not None]
    first = run(rows, FIFTH, ["tier"])
    more = [{"customer_id": f"N{number}", "rfm.m": 1, "tier": "platinum", "vip": False} for number in range(90)]
    second = run([*rows, *more], FIFTH, ["tier"])
    assert {name: second[name] for name in first} == first


def test_unknown_is_a_stratum_and_small_ones_are_pooled() -> None:
    rows = [
        {"customer_id": f"C{number}", "tier": tier} for number, tier in enumerate([None] * 12 + ["a"] * 9 + ["b"] * 3)
    ]
    strata = Counter(stratum for _, stratum in run(rows, HALVES, ["tier"]).values())
    assert strata == {"unknown": 12, "(pooled)": 12}


def test_one_stratum_without_stratification() -> None:
    assert {stratum for _, stratum in run(units(5), HALVES, []).values()} == {"(all)"}


def test_control_comes_first_however_the_split_is_written() -> None:
    rows = units(300)
    backwards = {"treatment": Decimal("0.8"), "control": Decimal("0.2")}
    assert run(rows, backwards, ["tier"]) == run(rows, FIFTH, ["tier"])
    assert [arm for arm, _ in cumulative_parts(THIRDS)] == ["control", "b", "a"]


def test_one_arm_alone_takes_everybody() -> None:
    assert {arm for arm, _ in run(units(50), {"treatment": Decimal(1)}, []).values()} == {"treatment"}


def test_another_salt_gives_another_assignment() -> None:
    rows = units(400)
    first, second = run(rows, HALVES, [], "a:1"), run(rows, HALVES, [], "a:2")
    assert 140 < sum(first[name] == second[name] for name in first) < 260


@pytest.mark.statistical
def test_arm_numbers_are_uniform() -> None:
    from scipy.stats import kstest

    shares = [number("winback:1", f"C{index}") / 16**15 for index in range(20_000)]
    assert kstest(shares, "uniform").pvalue > 0.001


@pytest.mark.statistical
def test_two_salts_are_independent() -> None:
    from scipy.stats import chi2_contingency

    rows = units(20_000)
    first, second = run(rows, FIFTH, [], "spring:1"), run(rows, FINE, [], "summer:1")
    pairs = Counter((first[name][0], second[name][0]) for name in first)
    table = [[pairs[one, other] for other in FINE] for one in FIFTH]
    assert chi2_contingency(table).pvalue > 0.001


@pytest.mark.statistical
def test_every_unit_has_its_share_of_being_control() -> None:
    rows = [{"customer_id": f"C{number}", "tier": "a"} for number in range(13)]
    times = Counter(
        name
        for salt in range(120)
        for name, (arm, _) in run(rows, FIFTH, ["tier"], f"s:{salt}").items()
        if arm == "control"
    )
    # 120 draws at 20%: 24, and four standard errors are 17.5.
    assert all(abs(times[row["customer_id"]] - 24) < 17.5 for row in rows)
    assert abs(sum(times.values()) - 120 * 13 * 0.2) < 30
