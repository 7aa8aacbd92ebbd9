"""A repeating campaign is one experiment in the registry and in the replay, from its first wave to its last window."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from campanile.customers.database import CustomerDatabase
from campanile.design.assign import assign_each
from campanile.ledger.store import Ledger
from campanile.plan.make import make_plan
from campanile.registry import entry
from campanile.replay.draws import Draws
from campanile.replay.units import past_wave
from campanile.spec.project import Project
from sending.test_dispatch import WAVES, look, repeating

WINDOW = timedelta(days=30)
LAST_END = WAVES[-1] + WINDOW


def test_states_from_the_first_wave_to_the_last_window(own_shop: Callable[[], Project]) -> None:
    project = repeating(own_shop)
    assert entry(project, "winback", WAVES[0]).state == "draft"
    look(project, WAVES[0])
    running = entry(project, "winback", WAVES[0] + WINDOW + timedelta(days=1))
    assert (running.state, running.window_ends) == ("window running", LAST_END), "two waves are still to come"
    with CustomerDatabase.open(project) as database, Ledger.open(project.ledger_place) as ledger:
        make_plan(project, "winback", WAVES[1] - timedelta(hours=1), database=database, ledger=ledger)
    planned = entry(project, "winback", WAVES[1])
    assert (planned.state, len(planned.versions)) == ("window running", 2), "a wave that is only planned is not all"
    for moment in WAVES[1:]:
        look(project, moment)
    found = entry(project, "winback", LAST_END)
    assert (found.state, found.window_ends, found.wave) == ("ready to read", LAST_END, "2026-03-05")
    assert found.design is not None
    assert sum(found.design.arms.values()) == 180
    assert [version.wave for version in found.versions] == ["2026-03-05", "2026-03-12", "2026-03-19"]


def test_the_replay_takes_the_waves_that_are_over_and_keeps_arms_sticky(own_shop: Callable[[], Project]) -> None:
    project = repeating(own_shop)
    for moment in WAVES:
        look(project, moment)
    with CustomerDatabase.open(project) as database, Ledger.open(project.ledger_place) as ledger:
        now = WAVES[1] + WINDOW
        units = past_wave(project, "winback", database=database, ledger=ledger, now=now)
        assert units is not None
        assert (units.n, units.repeated, units.sticky) == (120, 0, True)
        assert units.source == "2 waves, 2026-03-05 to 2026-03-12, of winback"
        assert units.ends == now
        split = units.terms.experiment.split
        drawn = Draws(units.rows, split, ("response_rate",), sticky=True).draw("salt")
        assigned = assign_each(units.rows, split=split, stratify=(), salt="salt").to_pandas()
        sizes = {arm: found.statistics.n for arm, found in drawn.arms.items()}
        assert sizes == assigned["arm"].value_counts().to_dict()
