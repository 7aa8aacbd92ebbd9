"""A profile may leave out dear columns that nobody reads: the others are the same, and what is asked for is made."""

from __future__ import annotations

from datetime import timedelta

from campanile.customers.database import PROFILE, CustomerDatabase
from campanile.customers.families import Family, lacking
from campanile.customers.profile import ensure_profile, refresh_profile
from campanile.plan.needs import fields_read
from campanile.spec.project import Project
from conftest import AS_OF

LATER = AS_OF + timedelta(days=3)


def profile(database: CustomerDatabase) -> dict[str, list[object]]:
    """The columns of the profile, in the order of customers."""
    found: dict[str, list[object]] = database.own(PROFILE).order_by("customer_id").to_pyarrow().to_pydict()
    return found


def test_families_alone_are_as_they_are_among_all(shop: Project) -> None:
    with CustomerDatabase.open(shop) as database:
        # A profile of another moment went before, so that there is something before.
        refresh_profile(shop, database, LATER)
        whole = profile(database)
        for families in ((), {Family.LINES, Family.CHANNEL, Family.SCOPES}, {Family.FORECASTS, Family.BEFORE}):
            database.note_profile(())
            ensure_profile(shop, database, LATER, fields=lacking(()) - lacking(families))
            lean = profile(database)
            assert lean == {name: values for name, values in whole.items() if name in lean}
            assert whole.keys() - lean.keys() == lacking(families) & whole.keys()


def test_what_is_asked_later_is_added_and_nothing_is_lost(shop: Project) -> None:
    with CustomerDatabase.open(shop) as database:
        ensure_profile(shop, database, LATER, fields=["favourite_category"])
        assert "preferred_hour" not in profile(database)
        ensure_profile(shop, database, LATER, fields=["preferred_hour"])
        assert {"favourite_category", "preferred_hour"} <= profile(database).keys()
        assert "clv_12m" not in profile(database)


def test_a_whole_profile_stands_whatever_is_asked(shop: Project) -> None:
    with CustomerDatabase.open(shop) as database:
        assert database.profile_as_of() == AS_OF
    with CustomerDatabase.open(shop, read_only=True) as database:
        # Making it anew would be refused here.
        ensure_profile(shop, database, AS_OF, fields=["points"])
        ensure_profile(shop, database, AS_OF)


def test_a_plan_names_what_its_project_reads(shop: Project) -> None:
    read = fields_read(shop)
    assert {"email", "email_consent"} <= read, "how messages reach people"
    assert {field for spec in shop.experiments.values() for field in spec.stratify} <= read
    assert "stage" in read, "the target of winback"
