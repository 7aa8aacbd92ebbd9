"""Records that were merged after they were assigned: one unit per person, or none where the arms differ."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import ibis

from campanile.customers.database import CustomerDatabase
from campanile.events import CONTROL
from campanile.report.readout import Check, Readout
from campanile.spec.project import Project
from readout.readout_world import Order, World, read, stores


def world_of(root: Path) -> World:
    """Forty customers of control bought, and 220 of treatment."""
    world = World(root, {CONTROL: 400, "treatment": 1600}, returned=[], unsubscribed=[])
    world.buy(CONTROL, [20_000] * 40)
    world.buy("treatment", [20_000] * 220)
    return world


def merge(project: Project, *persons: tuple[str, ...]) -> None:
    """Notes these records as persons, each under its first."""
    at = datetime(2026, 3, 10)
    rows = [
        {"customer_id": customer, "person_id": ids[0], "place": place, "rule": "email", "merged_at": at}
        for ids in persons
        for place, customer in enumerate(ids)
    ]
    with CustomerDatabase.open(project) as database:
        database.append_own("people", ibis.memtable(rows, schema=database.own("people").schema()))


def arm(readout: Readout, name: str) -> tuple[int, float]:
    """Its size and its response rate."""
    found = next(each for each in readout.against_control("response_rate") if each.treatment == "treatment")
    if name == CONTROL:
        return found.n_control, found.mean_control
    return found.n_treatment, found.mean_treatment


def check(readout: Readout, name: str = "one_person") -> Check:
    return next(found for found in readout.trust.checks if found.name == name)


def test_nobody_was_merged(tmp_path: Path) -> None:
    readout = read(world_of(tmp_path).build())
    assert check(readout).detail == "Nobody was assigned under two records."
    assert check(readout).passed


def test_two_records_in_one_arm_are_one_unit_that_did_what_both_did(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    project = world.build()
    # Both bought; one bought; nobody did.
    merge(project, ("tre00000", "tre00001"), ("tre01000", "tre00002"), ("con00300", "con00301"))
    readout = read(project)
    assert arm(readout, "treatment") == (1598, 219 / 1598)
    assert arm(readout, CONTROL) == (399, 40 / 399)
    assert check(readout).detail == "3 people were merged after assignment; each was in one arm."
    assert check(readout, "srm").detail.startswith("control 400 (planned 400), treatment 1,600 (planned 1,600)")


def test_who_was_in_two_arms_is_left_out_and_counted(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    project = world.build()
    merge(project, ("tre00000", "con00000"), ("con00399", "tre01599"), ("tre00001", "tre00002"))
    readout = read(project)
    assert arm(readout, "treatment") == (1597, 218 / 1597)
    assert arm(readout, CONTROL) == (398, 39 / 398)
    told = "3 people were merged after assignment; 2 had different arms and are left out."
    assert (check(readout).detail, check(readout).passed) == (told, True)
    assert check(readout, "control_untouched").passed, "what the person got under the other record is no stray message"
    assert readout.verdict.decision == "roll_out"


def test_many_in_two_arms_stop_the_roll_out_and_arm_sizes_are_judged_before(tmp_path: Path) -> None:
    project = world_of(tmp_path).build()
    merge(project, *((f"tre0{1000 + n}", f"con00{100 + n}") for n in range(100)))
    readout = read(project)
    assert arm(readout, CONTROL)[0] == 300
    assert not check(readout).passed
    assert check(readout).consequence == "no roll-out"
    assert check(readout, "srm").passed, "the split was as planned; the merges came later"
    assert readout.verdict.decision != "roll_out"


def test_what_a_record_that_was_never_assigned_does_counts_for_the_person(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    world.orders += [Order("elsewhere", 9_900), Order("elsewhere", 100, timedelta(days=40))]
    project = world.build()
    merge(project, ("elsewhere", "con00399"))
    readout = read(project)
    assert arm(readout, CONTROL) == (400, 41 / 400)
    assert check(readout).detail == "Nobody was assigned under two records."


def test_the_clock_of_a_person_starts_with_the_earlier_message(tmp_path: Path) -> None:
    world = world_of(tmp_path)
    world.due = {"tre01000": datetime.fromisoformat("2026-03-07T02:30+00:00")}
    # Thirty-one days after the earlier moment, twenty-nine after the later.
    world.orders.append(Order("tre01000", 500, timedelta(days=29)))
    project = world.build()
    merge(project, ("tre01000", "tre01001"))
    with stores(project) as (database, _):
        assert database.merged
    assert arm(read(project), "treatment") == (1599, 220 / 1599)
