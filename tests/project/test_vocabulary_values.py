"""What a target may ask of a computed field is what the profile computes."""

from __future__ import annotations

from decimal import Decimal

from campanile.customers.database import CustomerDatabase
from campanile.customers.stages import STAGES
from campanile.spec.project import Project
from campanile.spec.segment_map import own_map
from campanile.spec.shop_tables import COMPUTED, COMPUTED_FROM, shop_tables
from campanile.spec.vocabulary import load_vocabulary
from conftest import AS_OF


def test_the_vocabulary_has_every_value_that_the_profile_computes() -> None:
    values = load_vocabulary().values
    assert values["stage"] == values["stage_before"] == STAGES
    assert values["rfm.segment"] == values["rfm_segment_before"] == own_map("default").names
    for score in ("rfm.r", "rfm.f", "rfm.m"):
        assert values[score] == tuple(map(Decimal, range(1, 6)))


def test_the_fields_that_every_shop_has_are_those_of_the_profile(shop: Project) -> None:
    mapped = shop.settings.imports["customers"].columns
    with CustomerDatabase.open(shop) as database:
        computed = set(database.customers(AS_OF).columns) - set(mapped)
    tables = shop_tables({name: tuple(table.columns) for name, table in shop.settings.imports.items()})
    assert tables is not None
    told = {name for name in {*COMPUTED, *COMPUTED_FROM} if tables.lacks_field(name) is None}
    assert computed & set(load_vocabulary().fields) == told - set(mapped)
    assert told > COMPUTED
