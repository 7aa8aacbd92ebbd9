"""The contact policy: each rule on a shop made by hand, and all of them together against plain Python."""

from __future__ import annotations

import json
import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import ibis
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from audience.policy_oracle import SHOP, Shop, held_out, lost_lines
from audience.world import VOCABULARY, Tables, World
from campanile.audience import Audience, select
from campanile.audience.due import DueTimes
from campanile.audience.holdout import with_holdout
from campanile.audience.many import select_many
from campanile.customers.database import COMMITTED, RIVALS, SUPPRESSED
from campanile.design.assign import assign
from campanile.spec.campaign import CampaignSpec, Timing
from campanile.spec.grammar import Names, parse_conditions, parse_target
from campanile.spec.policy import Holdout

NOW = datetime(2026, 3, 1, 1)
DUE, DUE_DAY = datetime(2026, 3, 5, 2, 30), date(2026, 3, 5)
FIELDS = ("email", "phone", "email_consent", "sms_consent", "do_not_contact", "timezone")
EVERYBODY = parse_target(
    {"who": [{"none": [{"do_not_contact": "unknown"}]}]}, vocabulary=VOCABULARY, names=Names(), report=print
)


class Lean(Tables):
    """Tables with the columns that the policy reads, and no others."""

    def __init__(self, world: World, columns: tuple[str, ...] = FIELDS) -> None:
        self.ibis = ibis.duckdb.connect()
        self._events = world.events
        kinds = {"do_not_contact": pa.bool_(), "email_consent": pa.bool_(), "sms_consent": pa.bool_()}
        kinds |= {"global_holdout": pa.bool_()}
        names = ("customer_id", *columns)
        self._load("customers", world.customers, {name: kinds.get(name, pa.string()) for name in names})
        self._make_own()


def customer(name: str, **fields: Any) -> dict[str, Any]:
    able = {"email": f"{name}@mail.example", "phone": f"8610{sum(map(ord, name))}", "timezone": None}
    return {"customer_id": name} | able | {"email_consent": True, "sms_consent": True, "do_not_contact": False} | fields


def shop(names: str = "", **parts: Any) -> Shop:
    campaign = {"medium": "email", "objective": "growth", "start": "2026-03-05", "at": "10:30", "clock": "shop"}
    campaign |= {"quiet": "21:00-09:00", "deadline": "3d"}
    plain: dict[str, Any] = {"customers": [customer(name) for name in names], "contacts": [], "committed": []}
    plain |= {"rivals": [], "suppressed": [], "policy": {"caps": {"email": {"at_most": 99, "within": "1d"}}}}
    return Shop(**plain | {"as_of": NOW} | parts | {"campaign": campaign | parts.get("campaign", {})})


def chosen(plain: Shop, columns: tuple[str, ...] = FIELDS) -> Audience:
    world = World(plain.customers, {"contacted": plain.contacts}, plain.as_of.replace(tzinfo=UTC), SHOP)
    rest = {key: value for key, value in plain.policy.items() if key != "caps"}
    world.caps, world.policy = plain.policy.get("caps", {}), rest
    tables = Lean(world, columns)
    for name, rows in ((COMMITTED, plain.committed), (RIVALS, plain.rivals), (SUPPRESSED, plain.suppressed)):
        if rows:
            tables.ibis.insert(name, ibis.memtable(rows, schema=tables.own(name).schema()))
    return select(EVERYBODY, tables, world.as_of, project=world.project, campaign=spec(plain.campaign))  # type: ignore[arg-type]


def spec(campaign: dict[str, Any]) -> CampaignSpec:
    timing = {key: campaign[key] for key in ("start", "at", "clock", "quiet", "deadline")}
    return CampaignSpec.model_validate(
        {
            "name": "hello",
            "objective": campaign["objective"],
            "target": EVERYBODY,
            "offer": {"kind": "content"},
            "timing": timing,
            "channel": {"use": campaign["medium"], "message": "hello"},
        }
    )


def lost(audience: Audience) -> dict[str, str]:
    return {row["customer_id"]: row["line"] for row in audience.excluded().to_pyarrow().to_pylist()}


def contact(name: str, days: float = 1, channel: str = "email", purpose: str | None = "marketing") -> dict[str, Any]:
    return {"customer_id": name, "at": NOW - timedelta(days=days), "channel": channel, "purpose": purpose}


def waiting(name: str, at: datetime = DUE, channel: str = "email") -> dict[str, Any]:
    return {"customer_id": name, "channel": channel, "at": at}


def rival(name: str, campaign: str, place: int, *, first: bool, day: date = DUE_DAY) -> dict[str, Any]:
    return {"customer_id": name, "day": day, "campaign": campaign, "place": place, "comes_first": first}


# --- one rule after the other ----------------------------------------------------------------------------------------
CAPS = {
    "sms": [{"at_most": 1, "within": "7d"}, {"at_most": 3, "within": "30d"}],
    "email": {"at_most": 2, "within": "7d"},
    "all": {"at_most": 3, "within": "7d"},
}


def test_each_cap_is_a_line_with_its_own_count() -> None:
    plain = shop(
        "ABCDEF",
        policy={"caps": CAPS},
        campaign={"medium": "sms"},
        contacts=[
            contact("A", channel="sms"),
            *(contact("B", days=20, channel="sms") for _ in range(3)),
            *(contact("C") for _ in range(3)),
            *(contact("D", purpose="service", channel="sms") for _ in range(9)),
            *(contact("E") for _ in range(2)),
            contact("F", days=8, channel="sms"),
        ],
    )
    audience = chosen(plain)
    assert lost(audience) == {"A": "cap sms 7d", "B": "cap sms 30d", "C": "cap all 7d"}
    assert {step.line: step.lost for step in audience.waterfall()} == {
        "base": 0, "who 1": 0, "reachability": 0, "suppression": 0, "cap sms 7d": 1, "cap sms 30d": 1, "cap all 7d": 1,
        "quiet hours": 0, "same address": 0,
    }  # fmt: skip
    assert "marketing messages in 7d" in audience.lines["cap all 7d"]


def test_caps_count_what_other_plans_send_around_this_message() -> None:
    week = timedelta(days=7)
    plain = shop(
        "ABCDEF",
        policy={"caps": {"email": {"at_most": 1, "within": "7d"}, "all": {"at_most": 2, "within": "7d"}}},
        committed=[
            waiting("A"),
            waiting("B", DUE - week),
            waiting("C", DUE + week),
            waiting("D", DUE + week - timedelta(seconds=1)),
            waiting("E", channel="sms"),
            *(waiting("F", channel="sms") for _ in range(2)),
        ],
    )
    assert lost(chosen(plain)) == {"A": "cap email 7d", "D": "cap email 7d", "F": "cap all 7d"}


def test_service_is_free_of_every_rule_for_marketing() -> None:
    rules = {"marketing_share": {"at_most": "0%", "enforce": "exclude"}, "holdout": {"share": "50%", "salt": "x"}}
    plain = shop(
        "ABCDEFGH",
        policy={"caps": {"email": {"at_most": 1, "within": "7d"}}} | rules,
        contacts=[contact(name) for name in "ABCD"],
        rivals=[rival(name, "spring", 0, first=True) for name in "EF"],
    )
    assert set(lost(chosen(plain)).values()) == {"holdout", "cap email 7d", "priority"}
    plain.campaign["objective"] = "service"
    audience = chosen(plain)
    assert lost(audience) == {}
    lines = ["who 1", "reachability", "suppression", "quiet hours", "same address"]
    assert list(audience.lines) == lines


@pytest.mark.parametrize(("marketing", "service", "within"), [(0, 0, True), (3, 7, True), (4, 7, False), (1, 0, False)])
def test_seven_of_service_to_three_of_marketing(marketing: int, service: int, within: bool) -> None:
    sent = [contact("A") for _ in range(marketing)] + [contact("A", purpose="service") for _ in range(service)]
    old = [contact("A", days=91) for _ in range(50)]
    plain = shop("AB", contacts=sent + old)
    for enforce in ("exclude", "warn"):
        plain.policy["marketing_share"] = {"at_most": "30%", "within": "90d", "enforce": enforce}
        audience = chosen(plain)
        assert lost(audience) == ({"A": "marketing share"} if enforce == "exclude" and not within else {})
        assert audience.above_share == (enforce == "warn" and not within)


def test_the_holdout_is_a_share_of_everybody_and_moves_with_salt_and_year() -> None:
    plain = shop(customers=[customer(f"C{number}") for number in range(2_000)])
    found = {}
    for salt, year in (("a", 2026), ("b", 2026), ("a", 2027)):
        plain.policy["holdout"], plain.as_of = {"share": "5%", "salt": salt}, NOW.replace(year=year)
        plain.campaign["start"] = f"{year}-03-05"
        found[salt, year] = {name for name, line in lost(chosen(plain)).items() if line == "holdout"}
        assert found[salt, year] == {c["customer_id"] for c in plain.customers if held_out(plain, c["customer_id"])}
        assert stats.binomtest(len(found[salt, year]), 2_000, 0.05).pvalue > 1e-4
    assert len(found["a", 2026] & found["b", 2026]) < 20 > len(found["a", 2026] & found["a", 2027])


def test_who_is_held_out_does_not_depend_on_arms() -> None:
    """Under one salt the arms of everybody would be empty where the holdout is: under two they are alike."""
    table = ibis.memtable({"customer_id": [f"C{number}" for number in range(8_000)]})
    held = with_holdout(table, Holdout(share="20%", salt="2026"), date(2026, 3, 1))  # type: ignore[arg-type]
    shares = {"control": Decimal("0.2"), "treatment": Decimal("0.8")}
    both = assign(held, split=shares, stratify=(), salt="winback:1")
    rows = both.group_by("arm", "global_holdout").aggregate(n=ibis._.count()).to_pyarrow().to_pylist()
    counts = {(row["arm"], row["global_holdout"]): row["n"] for row in rows}
    square = [[counts[arm, out] for out in (True, False)] for arm in shares]
    assert sum(square[0]) == 1_600
    assert stats.chi2_contingency(square).pvalue > 1e-3


def test_an_imported_holdout_takes_the_place_of_the_drawn_one() -> None:
    people = [
        customer("A", global_holdout=True),
        customer("B", global_holdout=False),
        customer("C", global_holdout=None),
    ]
    plain = shop(customers=people, policy={"holdout": {"share": "50%", "salt": "x"}})
    assert lost(chosen(plain, (*FIELDS, "global_holdout"))) == {"A": "holdout"}


def test_the_holdout_is_a_field_of_conditions() -> None:
    plain = shop(
        customers=[customer(f"C{number}") for number in range(50)], policy={"holdout": {"share": "30%", "salt": "x"}}
    )
    world = World(plain.customers, {}, NOW.replace(tzinfo=UTC), SHOP)
    [out] = parse_conditions([{"global_holdout": True}], vocabulary=VOCABULARY, names=Names(), report=print)
    nowhere = select_many({"out": out}, Lean(world), world.as_of, project=world.project)  # type: ignore[arg-type]
    assert "policy: {holdout:" in nowhere.errors["out"]
    world.policy = plain.policy
    many = select_many({"out": out}, Lean(world), world.as_of, project=world.project)  # type: ignore[arg-type]
    assert many.judged is not None
    rows = many.judged.to_pyarrow().to_pylist()
    assert {row["customer_id"]: row["_0"] for row in rows} == {
        each["customer_id"]: held_out(plain, each["customer_id"]) for each in plain.customers
    }


def test_the_foremost_campaign_of_the_day_keeps_the_customer() -> None:
    plain = shop(
        "ABCDE",
        rivals=[
            rival("A", "spring", 0, first=True),
            rival("A", "summer", 1, first=True),
            rival("B", "summer", 1, first=True),
            rival("C", "autumn", 2, first=False),
            rival("D", "spring", 0, first=True, day=DUE_DAY + timedelta(days=1)),
        ],
    )
    audience = chosen(plain)
    assert lost(audience) == {"A": "priority", "B": "priority"}
    assert (audience.lost_to, audience.shared_with) == ({"spring": 1, "summer": 1}, {"autumn": 1})
    [told] = [word for word in audience.explain("B") if word.decides]
    assert told.text.endswith("; lost to summer")
    plain.policy["one_per_day"] = False
    audience = chosen(plain)
    assert (lost(audience), audience.lost_to, audience.shared_with) == ({}, {}, {})


def test_whom_no_minute_is_left_for_is_lost_before_the_split() -> None:
    """At 13:00 UTC it is 21:00 in Shanghai, 14:00 in Madrid and 08:00 in New York; the shop does not know Mars."""
    zones = {"A": "Asia/Shanghai", "B": "Europe/Madrid", "C": "America/New_York", "D": None, "E": "Mars/Base"}
    people = [customer(name, timezone=zone) for name, zone in zones.items()]
    timing = {"start": "2026-03-01", "at": "20:00", "clock": "customer", "deadline": "6h"}
    plain = shop(customers=people, campaign=timing, as_of=datetime(2026, 3, 1, 13))
    assert lost(chosen(plain)) == dict.fromkeys("ADE", "quiet hours")
    plain.as_of = datetime(2026, 3, 1, 12, 59)
    assert lost(chosen(plain)) == {}
    plain.campaign |= {"clock": "shop"}
    assert lost(chosen(plain)) == {}
    plain.as_of = datetime(2026, 3, 1, 13)
    assert lost(chosen(plain)) == dict.fromkeys("ABCDE", "quiet hours")
    plain.campaign |= {"deadline": "14h"}
    assert lost(chosen(plain)) == {}
    plain.campaign |= {"deadline": "6h", "quiet": "none"}
    assert lost(chosen(plain)) == {}


def test_an_hour_that_a_clock_change_skips_may_lie_in_quiet_hours() -> None:
    people = [customer("A", timezone="Europe/Madrid"), customer("B")]
    timing = {"start": "2026-03-29", "at": "2:30", "clock": "customer", "quiet": "3:00-9:00", "deadline": "1h"}
    plain = shop(customers=people, campaign=timing)
    assert lost(chosen(plain)) == {"A": "quiet hours"}


def test_a_wave_that_is_too_late_everywhere_is_another_matter() -> None:
    plain = shop("A", campaign={"start": "2026-02-01"})
    assert lost(chosen(plain)) == {}


def test_due_times_are_those_of_python() -> None:
    timing = Timing.model_validate({"start": "2026-03-05", "at": "10:30", "clock": "customer"})
    names = ["Europe/Madrid", "America/New_York", "", None, "Mars/Base", "Asia/Shanghai"]
    table = ibis.memtable({"customer_id": [f"C{n}" for n in range(6)], "timezone": names})
    due = DueTimes.of(table, timing, SHOP)
    assert set(due.zones) == {"Europe/Madrid", "America/New_York"}
    found = table.select("timezone", at=due.moment(table)).to_pyarrow().to_pylist()
    for row in found:
        zone = ZoneInfo(row["timezone"]) if row["timezone"] in due.zones else SHOP
        assert row["at"] == datetime(2026, 3, 5, 10, 30, tzinfo=zone).astimezone(UTC).replace(tzinfo=None)


# --- all rules together ----------------------------------------------------------------------------------------------
def random_shop(seed: int) -> Shop:
    chance = random.Random(seed)
    some = chance.choice
    people = [
        customer(
            f"C{number:02d}",
            email_consent=chance.random() < 0.9,
            sms_consent=chance.random() < 0.9,
            do_not_contact=chance.random() < 0.05,
            timezone=some([None, "Asia/Shanghai", "Europe/Madrid", "America/New_York", "Pacific/Kiritimati", "?"]),
            email=f"c{number % 34}@mail.example",
            phone=f"8610000{number % 34}",
        )
        for number in range(40)
    ]
    names = [each["customer_id"] for each in people]
    as_of = some([NOW, datetime(2026, 3, 4, 16, 0), datetime(2026, 3, 5, 12, 59), datetime(2026, 3, 5, 13, 1)])
    edges = [timedelta(days=7), timedelta(days=30), timedelta(days=90), timedelta(days=2), timedelta(hours=5)]
    near = [timedelta(0), timedelta(seconds=1), timedelta(seconds=-1), timedelta(hours=3)]

    def sent() -> dict[str, Any]:
        at = as_of - some(edges) + some(near)
        return {
            "customer_id": some(names),
            "at": at,
            "channel": some(["email", "sms", None]),
            "purpose": some(["marketing", "service", "service", None]),
        }

    campaign = {"medium": some(["email", "sms"]), "objective": some(["growth", "growth", "service"])}
    campaign |= {"clock": some(["shop", "customer"]), "at": some(["10:30", "20:00", "20:59", "9:00"])}
    campaign |= {"deadline": some(["1h", "6h", "12h", "3d"]), "quiet": some(["21:00-09:00", "21:00-09:00", "none"])}
    policy: dict[str, Any] = {"caps": some([CAPS, {"all": [{"at_most": 2, "within": "30d"}]}, {}])}
    policy["holdout"] = some([None, {"share": "20%", "salt": "s", "renewed": some(["yearly", "half-yearly", "never"])}])
    policy["marketing_share"] = some([None, {"at_most": some(["30%", "50%"]), "within": "90d", "enforce": "exclude"}])
    policy["one_per_day"] = chance.random() < 0.8
    plain = shop(customers=people, campaign=campaign, policy=policy, as_of=as_of)
    plain.contacts = [sent() for _ in range(80)]
    around = [DUE + some([-1, 1]) * some(edges) + some(near) for _ in range(40)]
    plain.committed = [waiting(some(names), at, some(["email", "sms"])) for at in around]
    days = [date(2026, 3, 4), date(2026, 3, 5), date(2026, 3, 6)]
    first = {place: chance.random() < 0.6 for place in range(3)}
    taken = [(some(names), some([0, 1, 2]), some(days)) for _ in range(15)]
    plain.rivals = [rival(name, f"other{place}", place, first=first[place], day=day) for name, place, day in taken]
    plain.suppressed = [
        {"channel": some(["email", "sms"]), "address": some(people)[some(["email", "phone"])]} for _ in range(3)
    ]
    return plain


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10**9))
def test_the_whole_policy_is_that_of_plain_python(seed: int) -> None:
    plain = random_shop(seed)
    audience = chosen(plain)
    assert lost(audience) == lost_lines(plain)
    base, *steps = audience.waterfall()
    assert base.left == 40 == audience.size + sum(step.lost for step in steps)


def test_event_tables_are_scanned_once_for_all_rules_and_conditions() -> None:
    plain = random_shop(5)
    plain.campaign |= {"medium": "sms", "objective": "growth"}
    plain.policy = {"caps": CAPS, "marketing_share": {"within": "90d", "enforce": "exclude"}}
    lines = [{"did": "contacted", "in": "3d"}, {"did_not": "contacted", "where": {"purpose": "service"}, "in": "60d"}]
    target = parse_target({"who": lines}, vocabulary=VOCABULARY, names=Names(), report=print)
    world = World(plain.customers, {"contacted": plain.contacts}, plain.as_of.replace(tzinfo=UTC), SHOP)
    world.caps, world.policy = CAPS, {"marketing_share": plain.policy["marketing_share"]}
    tables = Lean(world)
    assert target
    tables.ibis.insert(
        RIVALS, ibis.memtable([rival("C01", "spring", 0, first=True)], schema=tables.own(RIVALS).schema())
    )
    campaign = spec(plain.campaign)
    audience = select(target, tables, world.as_of, project=world.project, campaign=campaign)  # type: ignore[arg-type]
    counted = audience.everyone.group_by("line").aggregate(customers=ibis._.count())
    for relation in (counted, audience.eligible.select("customer_id")):
        scans = Counter(scanned(tables, relation))
        once = ("contacted", COMMITTED, RIVALS)
        assert {name: scans[name] for name in once} == dict.fromkeys(once, 1)


def scanned(tables: Tables, relation: ibis.Table) -> list[str]:
    """The tables that the engine's plan for a relation reads, as often as it reads them."""
    query = f"EXPLAIN (FORMAT json) {ibis.to_sql(relation, dialect='duckdb')}"
    waiting_nodes = json.loads(tables.ibis.con.execute(query).fetchall()[0][1])
    names = []
    while waiting_nodes:
        node = waiting_nodes.pop()
        waiting_nodes += node["children"]
        if "Table" in node.get("extra_info", {}):
            names.append(node["extra_info"]["Table"].rpartition(".")[2])
    return names
