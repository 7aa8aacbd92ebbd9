"""What a target may ask of a computed field is what the profile computes."""

from __future__ import annotations

from decimal import Decimal

from campanile.customers.rfm import SCORES, SEGMENTS
from campanile.customers.stages import STAGES
from campanile.spec.vocabulary import load_vocabulary


def test_the_vocabulary_has_every_value_that_the_profile_computes() -> None:
    values = load_vocabulary().values
    assert values["stage"] == values["stage_before"] == STAGES
    assert values["rfm.segment"] == values["rfm_segment_before"] == tuple(SEGMENTS)
    for score in ("rfm.r", "rfm.f", "rfm.m"):
        assert values[score] == tuple(map(Decimal, range(1, SCORES + 1)))
