"""Selection: the order of lines, the waterfall, reachability, caps, addresses and `keep`."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audience.oracle import Oracle
from audience.world import VOCABULARY, Tables, World, make_world
from campanile.audience import Audience, Step, select
from campanile.audience.frame import Frame
from campanile.audience.reach import address_of
from campanile.clock import Duration
from campanile.customers.database import COMMITTED
from campanile.errors import CampanileError
from campanile.ledger import Ledger
from campanile.ledger.addresses import address_key
from campanile.money import Currency
from campanile.spec.conditions import Segment, Target
from campanile.spec.grammar import Names, parse_conditions, parse_target
from campanile.spec.policy import Cap

AS_OF = datetime(2026, 3, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 2, 20, 12)


def customer(name: str, **fields: Any) -> dict[str, Any]:
    reachable = {"email": f"{name}@example.com", "email_ok": True, "email_consent": True, "do_not_contact": False}
    return {"customer_id": name} | reachable | fields


def world(*customers: dict[str, Any], events: dict[str, list[dict[str, Any]]] | None = None) -> World:
    return World(list(customers), events or {}, AS_OF, ZoneInfo("Asia/Shanghai"))


def target(data: dict[str, Any], segments: dict[str, Any] | None = None) -> Target:
    problems: list[Any] = []
    parsed = parse_target(
        data, vocabulary=VOCABULARY, names=Names(segments or {}), report=lambda *problem: problems.append(problem)
    )
    assert parsed, problems
    return parsed


def chosen(shop: World, data: dict[str, Any], *, medium: str | None = None, tables: Tables | None = None) -> Audience:
    tables = tables or shop.tables()
    return select(target(data, shop.segments), tables, AS_OF, project=shop.project, medium=medium)  # type: ignore[arg-type]


def ids(audience: Audience) -> list[str]:
    return sorted(audience.eligible["customer_id"].to_pyarrow().to_pylist())


def lost(audience: Audience) -> dict[str, str]:
    return {row["customer_id"]: row["line"] for row in audience.excluded().to_pyarrow().to_pylist()}


EVERYBODY = {"who": [{"none": [{"is_test": True}]}]}


def test_steps_follow_the_target_and_add_up() -> None:
    shop = world(
        customer("A", gender="female", age=30),
        customer("B", gender="male", age=30),
        customer("C", gender="female", age=50),
        customer("D", gender="female", age=31, is_test=True),
        customer("E", gender="female", age=32, email_consent=None),
        customer("F", gender="female", age=33, email=" a@EXAMPLE.com "),
    )
    audience = chosen(
        shop, {"who": [{"gender": "female"}, {"age": "25..34"}], "except": [{"is_test": True}]}, medium="email"
    )
    assert audience.waterfall() == (
        Step("base", "everyone in the customer database", 6, 0),
        Step("who 1", "gender: female", 5, 1),
        Step("who 2", "age: 25..34", 4, 1),
        Step("except 1", "is_test: true", 3, 1),
        Step(
            "reachability",
            "email_consent and email_ok, email well written, not do_not_contact, not erasure_requested",
            2,
            1,
        ),
        Step("suppression", "email not suppressed in the ledger", 2, 0),
        Step("same address", "one customer per email: the smallest customer_id", 1, 1),
    )
    assert audience.size == 1
    assert ids(audience) == ["A"]
    assert lost(audience) == {"B": "who 1", "C": "who 2", "D": "except 1", "E": "reachability", "F": "same address"}


def test_eligible_keeps_every_customer_column() -> None:
    audience = chosen(world(customer("A", **{"rfm.m": 5.0})), EVERYBODY, medium="email")
    assert audience.eligible.columns == ("customer_id", *VOCABULARY.fields)
    assert audience.eligible["rfm.m"].to_pyarrow().to_pylist() == [5.0]


def test_from_a_segment_comes_first() -> None:
    shop = world(customer("A", age=30, gender="female"), customer("B", age=60), customer("C", age=30))
    parsed = parse_conditions([{"age": "under 40"}], vocabulary=VOCABULARY, names=Names(), report=lambda *_: None)
    assert parsed
    shop.segments = {"young": Segment("young", parsed)}
    audience = chosen(shop, {"from": "young", "who": [{"gender": "female"}]})
    assert [(step.line, step.text, step.lost) for step in audience.waterfall()] == [
        ("base", "everyone in the customer database", 0),
        ("from", "segment: young", 1),
        ("who 1", "gender: female", 1),
    ]


def test_top_ranks_the_whole_base_whatever_the_order_of_lines() -> None:
    people = [customer(f"C{number}", clv_12m=number, gender="female" if number < 9 else "male") for number in range(10)]
    lines = [{"clv_12m": "top 20%"}, {"gender": "female"}]
    assert ids(chosen(world(*people), {"who": lines})) == ["C8"]
    assert ids(chosen(world(*people), {"who": lines[::-1]}, medium="email")) == ["C8"]


@pytest.mark.parametrize(
    ("fields", "reached"),
    [
        ({}, True),
        ({"email_consent": False}, False),
        ({"email_consent": None}, False),
        ({"email_ok": False}, False),
        ({"email_ok": None}, False),
        ({"email": None}, False),
        ({"email": "  "}, False),
        ({"do_not_contact": True}, False),
        ({"do_not_contact": None}, True),
        ({"erasure_requested": True}, False),
        ({"erasure_requested": False}, True),
        ({"sms_consent": False, "phone_ok": False}, True),
    ],
)
def test_who_can_be_reached_by_mail(fields: dict[str, Any], reached: bool) -> None:
    audience = chosen(world(customer("A", **fields)), EVERYBODY, medium="email")
    assert ids(audience) == (["A"] if reached else [])
    assert lost(audience) == ({} if reached else {"A": "reachability"})


def test_sms_asks_for_the_phone() -> None:
    phone = {"phone": "+86 138-0000", "phone_ok": True, "sms_consent": True}
    shop = world(
        customer("A", **phone),
        customer("B", **phone | {"sms_consent": False}),
        customer("C", **phone | {"phone": "+861380000"}),
    )
    assert lost(chosen(shop, EVERYBODY, medium="sms")) == {"B": "reachability", "C": "same address"}


def test_a_shop_without_consent_reaches_nobody_and_is_told() -> None:
    tables = world(customer("A")).tables()
    tables.ibis.create_table("customers", tables.ibis.table("customers").drop("sms_consent"), overwrite=True)
    with pytest.raises(CampanileError, match='has no field "sms_consent"; map a column'):
        chosen(world(), EVERYBODY, medium="sms", tables=tables)


def test_a_shop_without_flags_goes_by_address_and_consent() -> None:
    tables = world(customer("A", email_ok=False), customer("B", email=None)).tables()
    bare = tables.ibis.table("customers").drop("email_ok", "do_not_contact", "erasure_requested")
    tables.ibis.create_table("customers", bare, overwrite=True)
    assert ids(chosen(world(), EVERYBODY, medium="email", tables=tables)) == ["A"]


def test_an_unknown_medium_is_named() -> None:
    with pytest.raises(CampanileError, match='nobody can be reached by "fax"'):
        chosen(world(customer("A")), EVERYBODY, medium="fax")


ADDRESSES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.text(" \t\u3000\u00a0+0086123０８＋aBzZİıßẞſKÅΣς@.-()/\x00\n\v\u200b", max_size=20),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ADDRESSES, min_size=1, max_size=200))
def test_engine_and_ledger_compare_addresses_by_one_rule(texts: list[str]) -> None:
    shop = world(*(customer(str(number), email=text, phone=text) for number, text in enumerate(texts)))
    frame = Frame(AS_OF, shop.zone, Currency("CNY"), {})
    people = shop.tables().ibis.table("customers")
    for medium in ("email", "sms"):
        keys = people.select("customer_id", key=address_of(people, medium, frame)).to_pyarrow().to_pylist()
        found = {row["customer_id"]: row["key"] for row in keys}
        assert found == {str(number): address_key(medium, text) for number, text in enumerate(texts)}


@pytest.mark.parametrize("address", ["josé@mail.example", "li\u200b@mail.example", "ＬＩ＠mail.example", "li mail", ""])
def test_a_shop_cannot_vouch_for_an_address_that_no_mail_can_carry(address: str) -> None:
    audience = chosen(world(customer("A", email=address, email_ok=True)), EVERYBODY, medium="email")
    assert lost(audience) == {"A": "reachability"}


@pytest.mark.parametrize(
    ("medium", "suppressed", "typed"),
    [
        ("email", "li@mail.example", " LI@Mail.Example "),
        ("email", "Li@bücher.example", "li@bücher.example"),
        ("sms", "+8613800138000", "008613800138000"),
        ("sms", "0086 138 0013 8000", "8613800138000"),
        ("sms", "8613800138000", "+86 (138) 0013-8000"),
        ("sms", "+8613800138000", "＋８６１３８００１３８０００"),
    ],
)
def test_a_suppression_holds_however_the_address_was_typed(
    tmp_path: Path, medium: str, suppressed: str, typed: str
) -> None:
    reach = {"email": typed} if medium == "email" else {"phone": typed, "phone_ok": True, "sms_consent": True}
    shop = world(customer("A", **reach))
    tables = shop.tables()
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        ledger.suppress(medium, suppressed, reason="unsubscribed", source="test", at=AS_OF)
        assert ledger.is_suppressed(medium, typed)
        known = [{"channel": channel, "address": address} for channel, address in ledger.suppressions()]
    tables.ibis.insert("suppressed", known)
    assert lost(chosen(shop, EVERYBODY, medium=medium, tables=tables)) == {"A": "suppression"}


def test_suppressed_addresses_are_left_out_by_channel() -> None:
    shop = world(customer("A"), customer("B"))
    tables = shop.tables()
    rows = [{"channel": "email", "address": "a@example.com"}, {"channel": "sms", "address": "b@example.com"}]
    tables.ibis.insert("suppressed", rows)
    assert lost(chosen(shop, EVERYBODY, medium="email", tables=tables)) == {"A": "suppression"}


@pytest.mark.parametrize(
    ("fields", "channel", "hour", "kept"),
    [
        ({}, "email", 0, False),
        ({}, None, 0, False),
        ({}, "Email ", 0, False),
        ({}, "sms", 0, True),
        ({}, "email", 24 * 30, True),
        ({"email_consent_at": date(2026, 2, 21)}, "email", 0, True),
        ({"email_consent_at": date(2026, 2, 20)}, "email", 0, False),
        ({"email_consent_at": date(2026, 2, 21)}, "email", 12, False),
        ({"email_consent_at": date(2026, 3, 2)}, "email", 0, False),
        ({"sms_consent_at": date(2026, 2, 25)}, "email", 0, False),
    ],
)
def test_whoever_unsubscribed_is_suppressed_until_they_agree_again(
    fields: dict[str, Any], channel: str | None, hour: int, kept: bool
) -> None:
    """The unsubscription is of 20 February, 20:00 in the shop, or so many hours later; as_of is 1 March."""
    event = {"customer_id": "A", "at": NOON + timedelta(hours=hour), "channel": channel}
    earlier = {"customer_id": "A", "at": NOON - timedelta(days=90), "channel": "email"}
    events = {"unsubscribed": [event, *([earlier] if fields else [])]}
    audience = chosen(world(customer("A", **fields), events=events), EVERYBODY, medium="email")
    assert lost(audience) == ({} if kept else {"A": "suppression"})
    assert "not unsubscribed from email since the last email_consent_at" in audience.lines["suppression"]


def test_unsubscriptions_of_a_shop_without_channels_and_consent_dates_are_of_everything() -> None:
    tables = world(customer("A"), customer("B"), events={"unsubscribed": [{"customer_id": "A", "at": NOON}]}).tables()
    tables.ibis.create_table("unsubscribed", tables.all_events("unsubscribed").drop("channel"), overwrite=True)
    bare = tables.ibis.table("customers").drop("email_consent_at", "sms_consent_at")
    tables.ibis.create_table("customers", bare, overwrite=True)
    assert lost(chosen(world(), EVERYBODY, medium="email", tables=tables)) == {"A": "suppression"}


def contact(name: str, **fields: Any) -> dict[str, Any]:
    return {"customer_id": name, "at": NOON, "channel": "email", "purpose": "marketing"} | fields


def test_caps_count_marketing_on_the_same_medium_inside_the_window() -> None:
    edge = AS_OF.replace(tzinfo=None) - timedelta(days=14)
    contacts = [
        *(contact("A") for _ in range(2)),
        contact("B"),
        *(contact("C", purpose="service") for _ in range(5)),
        *(contact("D", channel="sms") for _ in range(5)),
        *(contact("E", purpose=None) for _ in range(2)),
        *(contact("F", at=edge) for _ in range(2)),
        *(contact("G", at=edge - timedelta(seconds=1)) for _ in range(5)),
        *(contact("H", at=AS_OF.replace(tzinfo=None)) for _ in range(5)),
    ]
    shop = world(*(customer(name) for name in "ABCDEFGH"), events={"contacted": contacts})
    shop.caps = {"email": Cap(at_most=2, within=Duration(days=14)), "sms": Cap(at_most=1, within=Duration(days=1))}
    audience = chosen(shop, EVERYBODY, medium="email")
    assert lost(audience) == {"A": "cap email 14d", "E": "cap email 14d", "F": "cap email 14d"}
    assert (
        audience.lines["cap email 14d"]
        == "at most 2 marketing email in 14d, this one and those of other plans included"
    )


def test_caps_count_what_other_plans_are_about_to_send() -> None:
    shop = world(*(customer(name) for name in "ABCD"), events={"contacted": [contact("C")]})
    shop.caps = {"email": Cap(at_most=2, within=Duration(days=14))}
    tables = shop.tables()
    sent = [("A", "email"), ("A", "email"), ("B", "email"), ("B", "sms"), ("C", "email")]
    tables.ibis.insert(COMMITTED, [{"customer_id": name, "channel": channel, "at": NOON} for name, channel in sent])
    found = lost(chosen(shop, EVERYBODY, medium="email", tables=tables))
    assert found == {"A": "cap email 14d", "C": "cap email 14d"}


def test_keep_ranks_with_ties_by_id_and_unknown_last() -> None:
    values = {"A": 5, "B": None, "C": 7, "D": 5, "E": 1}
    shop = world(*(customer(name, clv_12m=value) for name, value in values.items()))

    def kept(at_most: int, first: str) -> list[str]:
        return ids(chosen(shop, EVERYBODY | {"keep": {"at_most": at_most, "by": "clv_12m", "first": first}}))

    assert kept(2, "highest") == ["A", "C"]
    assert kept(3, "highest") == ["A", "C", "D"]
    assert kept(2, "lowest") == ["A", "E"]
    assert kept(4, "lowest") == ["A", "C", "D", "E"]
    assert kept(9, "highest") == ["A", "B", "C", "D", "E"]


def test_keep_ranks_dates_and_says_what_it_kept() -> None:
    shop = world(*(customer(f"C{day}", registered_at=date(2026, 1, day)) for day in range(1, 6)))
    audience = chosen(shop, EVERYBODY | {"keep": {"at_most": 2, "by": "registered_at", "first": "highest"}})
    assert ids(audience) == ["C4", "C5"]
    assert audience.waterfall()[-1] == Step("keep", "at most 2: the highest registered_at", 2, 3)


def test_random_keep_stays_with_the_moment_and_moves_with_it() -> None:
    shop = world(*(customer(f"C{number:03}") for number in range(200)))
    data = EVERYBODY | {"keep": {"at_most": 50}}
    first = ids(chosen(shop, data))
    assert first == ids(chosen(world(*reversed(shop.customers)), data))
    later = select(target(data), shop.tables(), AS_OF + timedelta(days=1), project=shop.project, medium=None)  # type: ignore[arg-type]
    assert len(first) == later.size == 50
    assert first != ids(later)


def test_of_several_with_one_address_the_best_ranked_stays() -> None:
    shared = {"email": "family@example.com"}
    shop = world(
        customer("A", clv_12m=1, **shared),
        customer("B", clv_12m=9, **shared),
        customer("C", clv_12m=5),
        customer("D", clv_12m=None, **shared),
    )
    audience = chosen(shop, EVERYBODY | {"keep": {"at_most": 1, "by": "clv_12m", "first": "highest"}}, medium="email")
    assert lost(audience) == {"A": "same address", "C": "keep", "D": "same address"}
    assert [step.lost for step in audience.waterfall()[-2:]] == [2, 1]


def test_a_field_the_shop_does_not_have_is_named() -> None:
    tables = world(customer("A")).tables()
    tables.ibis.create_table("customers", tables.ibis.table("customers").drop("nps"), overwrite=True)
    with pytest.raises(CampanileError, match='the customer database has no field "nps"; map a column for it'):
        chosen(world(), {"who": [{"nps": "at least 9"}]}, tables=tables)
    tables.ibis.create_table("order", tables.all_events("order").drop("store"), overwrite=True)
    with pytest.raises(CampanileError, match='the table "order" has no column "store"'):
        chosen(world(), {"who": [{"did": "order", "where": {"store": "S01"}}]}, tables=tables)


def test_a_column_of_another_type_is_named() -> None:
    tables = world(customer("A", age=30)).tables()
    people = tables.ibis.table("customers")
    tables.ibis.create_table("customers", people.mutate(age=people["age"].cast("string")), overwrite=True)
    with pytest.raises(CampanileError, match='"age" is num in the vocabulary, but string in the customer database'):
        chosen(world(), {"who": [{"age": "over 9"}]}, tables=tables)


def test_timestamps_in_date_fields_are_days_of_the_shop() -> None:
    tables = world(customer("A"), customer("B")).tables()
    people = tables.ibis.table("customers")
    late = datetime(2026, 2, 28, 17)
    early = datetime(2026, 2, 28, 15)
    moments = people["customer_id"].cases(("A", late), ("B", early)).cast("timestamp")
    tables.ibis.create_table("customers", people.mutate(registered_at=moments), overwrite=True)
    assert ids(chosen(world(), {"who": [{"registered_at": "today"}]}, tables=tables)) == ["A"]


def test_nobody_is_nobody() -> None:
    audience = chosen(world(), EVERYBODY | {"keep": {"at_most": 5}}, medium="email")
    assert audience.size == 0
    assert all(step.left == step.lost == 0 for step in audience.waterfall())


LINES = [
    {"gender": "female"},
    {"age": "over 30"},
    {"did": "order", "in": "365d"},
    {"did": "order", "sum amount": "top 30%"},
    {"any": [{"stage": "sleeping"}, {"did": "visited", "in": "90d"}]},
    {"none": [{"tags": "kol"}]},
]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(0, 10**6),
    st.lists(st.sampled_from(LINES), min_size=1, max_size=3),
    st.lists(st.sampled_from(LINES), max_size=2),
    st.sampled_from([None, "email", "sms"]),
    st.sampled_from([None, 5, 1000]),
)
def test_everybody_is_eligible_or_excluded_exactly_once(
    seed: int, who: list[Any], except_: list[Any], medium: str | None, at_most: int | None
) -> None:
    shop = make_world(LINES, seed=seed, as_of=AS_OF, zone=ZoneInfo("Asia/Shanghai"), customers=40, kinds=KINDS)
    shop.caps = {"email": Cap(at_most=1, within=Duration(days=60))}
    data = {"who": who} | ({"except": except_} if except_ else {})
    audience = chosen(shop, data | ({"keep": {"at_most": at_most, "by": "age"}} if at_most else {}), medium=medium)
    eligible, excluded = ids(audience), lost(audience)
    assert sorted([*eligible, *excluded]) == sorted(row["customer_id"] for row in shop.customers)
    base, *steps = audience.waterfall()
    assert base.left == 40 == audience.size + sum(step.lost for step in steps)
    assert all(before.left - after.lost == after.left for before, after in zip((base, *steps), steps, strict=False))
    assert audience.size == len(eligible)
    oracle = Oracle(shop)
    for name, line in excluded.items():
        kind, _, number = line.partition(" ")
        failed = [f"who {index}" for index, each in enumerate(who, 1) if not oracle.holds(each, name)]
        failed += [f"except {index}" for index, each in enumerate(except_, 1) if oracle.holds(each, name)]
        assert line == failed[0] if failed else kind not in ("who", "except"), (name, line, failed, number)
    for name in eligible:
        assert all(oracle.holds(each, name) for each in who)
        assert not any(oracle.holds(each, name) for each in except_)


KINDS = frozenset({"order", "visited", "contacted"})
