"""Scores by every method, and the names of their cells, against the definitions in plain Python."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import ibis
import pytest

from campanile.customers import rfm
from campanile.money import Currency
from campanile.spec.scoring import RfmSettings
from campanile.spec.segment_map import MAPS, own_map

TYPES = {"customer_id": "string", "rfm_recency": "int64", "rfm_frequency": "int64", "rfm_money": "int64"}


@pytest.fixture(scope="module")
def memory():
    return ibis.duckdb.connect()


def scored(memory, rows, settings, frozen=()):
    table = memory.create_table("buyers", ibis.memtable(rows, schema=ibis.schema(TYPES)), overwrite=True)
    how = rfm.scales(settings, Currency("EUR"), frozen)
    return {row["customer_id"]: row for row in rfm.scored(table, how).to_pyarrow().to_pylist()}


def people(count: int, seed: int = 1) -> list[dict[str, object]]:
    draw = random.Random(seed)
    return [
        {"customer_id": f"c{n:04}", "rfm_recency": draw.randrange(40), "rfm_frequency": draw.randrange(1, 6),
         "rfm_money": draw.randrange(1_000)}
        for n in range(count)
    ]  # fmt: skip


def nested_by_hand(rows):
    """Five parts by recency, each in five by frequency, each of those in five by money; ties by customer."""

    def parts(members, value):
        ordered = sorted(members, key=lambda row: (value(row), row["customer_id"]))
        size = len(ordered) // 5
        return [ordered[part * size : (part + 1) * size] for part in range(5)]

    found = {}
    for r, first in enumerate(parts(rows, lambda row: -row["rfm_recency"]), start=1):
        for f, second in enumerate(parts(first, lambda row: row["rfm_frequency"]), start=1):
            for m, third in enumerate(parts(second, lambda row: row["rfm_money"]), start=1):
                found |= {row["customer_id"]: (r, f, m) for row in third}
    return found


def test_nested_scores_make_125_cells_of_equal_size_whatever_the_order_of_rows(memory):
    rows = people(500)
    settings = RfmSettings(recency="nested", frequency="nested", money="nested")
    expected = nested_by_hand(rows)
    random.Random(2).shuffle(rows)
    found = {who: (row["rfm.r"], row["rfm.f"], row["rfm.m"]) for who, row in scored(memory, rows, settings).items()}
    assert found == expected
    assert Counter(Counter(found.values()).values()) == {4: 125}


def test_other_numbers_of_scores(memory):
    rows = people(200)
    settings = RfmSettings(scores=3)
    assert settings.frequency == "quantile"
    found = scored(memory, rows, settings)
    for letter, column, sign in (("r", "rfm_recency", -1), ("f", "rfm_frequency", 1), ("m", "rfm_money", 1)):
        values = [sign * row[column] for row in rows]
        for row in rows:
            worse = sum(value < sign * row[column] for value in values)
            assert found[row["customer_id"]][f"rfm.{letter}"] == 1 + 3 * worse // len(values)


def test_frozen_cut_points_are_lower_bounds(memory):
    rows = [{**row, "rfm_money": money} for row, money in zip(people(6), (99, 100, 199, 200, 399, 400), strict=True)]
    found = scored(memory, rows, RfmSettings(money="frozen"), frozen=(100, 200, 300, 400))
    assert [found[row["customer_id"]]["rfm.m"] for row in rows] == [1, 2, 2, 3, 4, 5]


def test_who_never_came_has_the_lowest_recency(memory):
    rows = [{**row, "rfm_recency": None if n == 0 else n} for n, row in enumerate(people(10))]
    assert scored(memory, rows, RfmSettings())["c0000"]["rfm.r"] == 1
    assert scored(memory, rows, RfmSettings(recency=(1, 2, 3, 4)))["c0000"]["rfm.r"] == 1


@pytest.mark.parametrize("name", MAPS)
def test_the_engine_names_every_cell_as_the_map_does(memory, name):
    chosen = own_map(name)
    cells = list(itertools.product(range(1, chosen.scores + 1), repeat=3))
    table = ibis.memtable([dict(zip("rfm", cell, strict=True)) for cell in cells])
    found = table.mutate(name=rfm.segment_of(chosen, table.r, table.f, table.m))
    rows = memory.to_pyarrow(found).to_pylist()
    assert [row["name"] for row in rows] == [chosen.name_of(row["r"], row["f"], row["m"]) for row in rows]


def test_the_eight_way_map_divides_at_the_mean_or_at_a_score(memory):
    cells = [(1, 1, 1), (2, 5, 2), (5, 1, 5), (5, 5, 5)]
    rows = [
        {"customer_id": str(n), **{f"rfm.{letter}": score for letter, score in zip("rfm", cell, strict=True)}}
        for n, cell in enumerate(cells)
    ]
    table = memory.create_table("cells", ibis.memtable(rows), overwrite=True)
    by_mean = rfm.named(table, own_map("eight"), RfmSettings()).order_by("customer_id").to_pyarrow()["rfm8"].to_pylist()
    assert by_mean == ["一般挽留", "一般保持", "重要发展", "重要价值"]
    at_two = rfm.named(table, own_map("default"), RfmSettings(high=2)).order_by("customer_id").to_pyarrow()
    assert at_two["rfm8"].to_pylist() == ["一般挽留", "重要价值", "重要发展", "重要价值"]
    assert at_two["rfm.code"].to_pylist() == ["111", "252", "515", "555"]
