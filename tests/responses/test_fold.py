"""The folds: the same for any order and any number of duplicates."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campanile.events import DeliveryEvent, EventType, RejectReason
from campanile.responses.fold import fold
from campanile.responses.standing import standing

AT = datetime(2026, 3, 5, 2, 30, tzinfo=UTC)


def event(kind: EventType, seconds: int = 0, key: str = "", **more: object) -> DeliveryEvent:
    key = key or f"{kind}{seconds}{more}"
    return DeliveryEvent("sendgrid", key, "m", kind, AT + timedelta(seconds=seconds), **more)  # type: ignore[arg-type]


EVENTS = st.lists(
    st.builds(
        event,
        st.sampled_from(list(EventType)),
        st.integers(0, 40) | st.integers(0, 90 * 86_400),
        # Few keys: a provider that tells two things under one id must not make the order matter.
        st.integers(0, 12).map(str),
        machine=st.booleans(),
        link=st.integers(0, 2),
        reject_reason=st.none() | st.sampled_from(list(RejectReason)),
        detail=st.sampled_from(["", "30003", "30004", "30007", "stop"]),
        scope=st.sampled_from(["", "global", "topic:News"]),
    ),
    max_size=12,
)


@given(EVENTS, st.randoms(use_true_random=False))
def test_order_and_duplicates_do_not_matter(events: list[DeliveryEvent], chance: random.Random) -> None:
    again = [*events, *chance.choices(events, k=5)] if events else []
    chance.shuffle(again)
    assert fold(again) == fold(events)


@given(EVENTS, st.randoms(use_true_random=False))
def test_whom_we_may_write_to_does_not_depend_on_order(events: list[DeliveryEvent], chance: random.Random) -> None:
    events = list({each.event_id: each for each in events}.values())
    again = [*events, *chance.choices(events, k=5)] if events else []
    chance.shuffle(again)
    assert standing(again) == standing(events)


@given(EVENTS)
def test_people_and_machines_add_up_to_all_hits(events: list[DeliveryEvent]) -> None:
    once = list({each.event_id: each for each in events}.values())
    state = fold(once)
    hits = [each for each in once if each.type in {EventType.OPENED, EventType.CLICKED}]
    opens = len(hits) - state.machine_hits - state.clicks
    assert 0 <= opens <= len([each for each in hits if each.type is EventType.OPENED])


@pytest.mark.parametrize(
    ("kinds", "status"),
    [
        ([EventType.QUEUED], "queued"),
        ([EventType.DEFERRED, EventType.QUEUED], "deferred"),
        ([EventType.DELIVERED, EventType.QUEUED, EventType.DEFERRED], "delivered"),
        ([EventType.BOUNCED, EventType.QUEUED], "bounced"),
        ([EventType.DELIVERED, EventType.BOUNCED], "bounced_after_delivery"),
        ([EventType.REJECTED], "rejected"),
        ([EventType.FAILED, EventType.SENT], "failed"),
        ([EventType.CLICKED], "delivered"),
        ([EventType.UNKNOWN], "unknown"),
        ([], "unknown"),
    ],
)
def test_the_furthest_step_or_the_end_is_the_status(kinds: list[EventType], status: str) -> None:
    assert fold([event(kind, 60 * n) for n, kind in enumerate(kinds)]).status == status


class TestMachines:
    def test_a_click_at_once_after_delivery_is_one(self) -> None:
        state = fold([event(EventType.DELIVERED), event(EventType.CLICKED, 9), event(EventType.CLICKED, 11)])
        assert (state.clicks, state.machine_hits) == (1, 1)
        assert state.clicked_at == AT + timedelta(seconds=11)

    def test_who_follows_two_links_at_once_is_one(self) -> None:
        state = fold([event(EventType.CLICKED, 100, link=0), event(EventType.CLICKED, 101, link=1)])
        assert (state.clicks, state.machine_hits) == (0, 2)

    def test_who_clicks_twice_on_one_link_is_a_person(self) -> None:
        assert fold([event(EventType.CLICKED, 100), event(EventType.CLICKED, 101)]).clicks == 2

    def test_a_machine_does_not_hide_the_person_after_it(self) -> None:
        state = fold([event(EventType.OPENED, 50, machine=True), event(EventType.OPENED, 90)])
        assert state.opened_at == AT + timedelta(seconds=90)
        assert state.machine_hits == 1


class TestStanding:
    @pytest.mark.parametrize(
        ("reason", "refused"),
        [
            (RejectReason.BOUNCED, "bounced"),
            (RejectReason.INVALID, "bounced"),
            (RejectReason.SPAM, "complained"),
            (RejectReason.UNSUBSCRIBED, "unsubscribed"),
            (RejectReason.BLOCKED, None),
            (RejectReason.OTHER, None),
        ],
    )
    def test_one_failure(self, reason: RejectReason, refused: str | None) -> None:
        found = standing([event(EventType.BOUNCED, reject_reason=reason)])
        assert (found[""].reason if found else None) == refused

    def test_three_passing_failures_in_a_month_are_enough(self) -> None:
        days = [event(EventType.BOUNCED, 86_400 * day, reject_reason=RejectReason.OTHER) for day in (0, 31, 40, 45)]
        assert standing(days[:3]) == {}
        assert standing(days)[""].reason == "unreachable"
        assert standing(days)[""].at == days[3].at

    def test_two_blocks_are_enough_and_spam_filters_are_not_theirs(self) -> None:
        blocks = [event(EventType.BOUNCED, n, detail="30004", reject_reason=RejectReason.BLOCKED) for n in (0, 9)]
        assert standing(blocks)[""].reason == "unreachable"
        filtered = [event(EventType.BOUNCED, n, detail="30007", reject_reason=RejectReason.BLOCKED) for n in range(9)]
        assert standing(filtered) == {}

    def test_a_complaint_outlives_a_later_yes(self) -> None:
        found = standing([event(EventType.COMPLAINED), event(EventType.SUBSCRIBED, 60, scope="global")])
        assert found[""].reason == "complained"

    def test_of_a_yes_and_a_no_at_one_moment_the_no_holds(self) -> None:
        assert standing([event(EventType.UNSUBSCRIBED), event(EventType.SUBSCRIBED)])[""].reason == "unsubscribed"

    def test_a_yes_to_the_channel_leaves_the_wider_no(self) -> None:
        no, yes = event(EventType.UNSUBSCRIBED, scope="global"), event(EventType.SUBSCRIBED, 60)
        assert set(standing([no, yes])) == {"global"}
