"""The compiler against an independent evaluator in plain Python: the same ids for every condition."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from audience.oracle import Oracle
from audience.world import VOCABULARY, World, make_world
from campanile.audience.aggregates import Aggregates
from campanile.audience.compile import compile_condition
from campanile.audience.frame import Frame
from campanile.money import Currency
from campanile.spec.conditions import All, Segment
from campanile.spec.grammar import parse_conditions

HERE = Path(__file__).parent
SHARED = HERE.parents[2] / "shared" / "reference"


class PlainLoader(yaml.SafeLoader):
    """Safe YAML whose dates stay text, as in the product's own loader."""


PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith("timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), PlainLoader)


OWN = read(HERE / "conditions.yaml")
SEGMENTS = OWN.pop("segments")
MOMENTS = [
    ("Asia/Shanghai", datetime(2026, 3, 1, 1, tzinfo=UTC), tuple(OWN)),
    # Where clocks change, only what depends on time is asked again.
    ("Europe/Madrid", datetime(2026, 3, 31, 22, 30, tzinfo=UTC), ("dates", "windows", "where")),
    ("America/New_York", datetime(2024, 2, 29, 12, tzinfo=UTC), ("dates", "windows", "where")),
]


def parse(condition: Any, segments: Any) -> All:
    problems: list[str] = []
    parsed = parse_conditions(
        [condition],
        vocabulary=VOCABULARY,
        segments=segments,
        report=lambda at, what, cure: problems.append(f"{at}: {what}; {cure}"),
    )
    assert parsed, problems
    return All(parsed)


def parse_all(segments: dict[str, list[Any]]) -> dict[str, Segment]:
    return {
        name: Segment(name, (All(tuple(parse(each, segments) for each in data)),)) for name, data in segments.items()
    }


def selected(conditions: list[All], world: World) -> list[set[str]]:
    """The ids of every condition, from one joined relation."""
    tables = world.tables()
    aggregates = Aggregates(tables, Frame(world.as_of, world.zone, Currency("CNY"), world.segments))  # type: ignore[arg-type]
    verdicts = [compile_condition(condition, aggregates) for condition in conditions]
    joined = aggregates.joined(tables.customers(world.as_of))
    columns = {f"_{index}": verdict(joined) for index, verdict in enumerate(verdicts)}
    rows = joined.select("customer_id", **columns).to_pyarrow().to_pylist()
    assert len(rows) == len(world.customers)
    assert not any(value is None for row in rows for value in row.values())
    return [{row["customer_id"] for row in rows if row[name]} for name in columns]


@pytest.mark.parametrize(("zone", "as_of", "families"), MOMENTS)
def test_every_form_selects_whom_the_oracle_selects(zone: str, as_of: datetime, families: tuple[str, ...]) -> None:
    conditions = [condition for family in families for condition in OWN[family]]
    world = make_world([*conditions, *SEGMENTS.values()], seed=as_of.year, as_of=as_of, zone=ZoneInfo(zone))
    world.segments = parse_all(SEGMENTS)
    found = selected([parse(condition, SEGMENTS) for condition in conditions], world)
    oracle = Oracle(world, SEGMENTS)
    wrong = {
        str(condition): sorted(ids ^ oracle.ids(condition))[:5]
        for condition, ids in zip(conditions, found, strict=True)
        if ids != oracle.ids(condition)
    }
    assert wrong == {}
    trivial = [ids for ids in found if len(ids) in (0, len(world.customers))]
    assert len(trivial) < len(conditions) / 10


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.exists(), reason="the reference vocabulary ../shared/reference is not here")
def test_the_reference_vocabulary_selects_whom_the_oracle_selects(capsys: pytest.CaptureFixture[str]) -> None:
    segments = read(SHARED / "segments.yaml")["segments"]
    every = [condition for family in read(SHARED / "vocabulary.yaml") for *_, condition in family["items"]]
    examples = [example["target"] for example in read(SHARED / "examples.yaml")]
    every += [{"all": target["who"]} for target in examples] + [
        {"none": target["except"]} for target in examples if "except" in target
    ]
    conditions = [condition for condition in every if supported(condition, segments)]
    zone, as_of, _ = MOMENTS[0]
    world = make_world([*conditions, *segments.values()], seed=7, as_of=as_of, zone=ZoneInfo(zone))
    world.segments = parse_all(segments)
    oracle = Oracle(world, segments)
    found = selected([parse(condition, segments) for condition in conditions], world)
    wrong = [c for c, ids in zip(conditions, found, strict=True) if ids != oracle.ids(c)]
    assert wrong == []
    somebody = sum(0 < len(ids) < len(world.customers) for ids in found)
    with capsys.disabled():
        supported_ones = sum(supported(condition, segments) for condition in every[:330])
        print(f"\n{supported_ones} of 330 reference criteria work; {somebody} of {len(found)} tell customers apart")
    assert somebody > len(found) * 0.9


def supported(condition: Any, segments: Any) -> bool:
    """Whether the grammar knows every form in the condition; what is unknown must be reported, never guessed."""
    problems: list[str] = []
    parsed = parse_conditions(
        [condition], vocabulary=VOCABULARY, segments=segments, report=lambda _at, what, _cure: problems.append(what)
    )
    assert (parsed is None) == bool(problems)
    return parsed is not None
