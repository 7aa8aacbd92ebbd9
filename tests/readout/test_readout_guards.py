"""Guards: kept and broken take a whole interval; anything else is open."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from campanile.events import CONTROL
from campanile.report.compose import document
from campanile.report.html import html
from campanile.report.jsonable import jsonable
from campanile.report.markdown import markdown
from campanile.report.readout import GuardFinding
from readout.readout_world import AFTER, DUE, FILES, Order, World, read

DAY = timedelta(days=1)


def world(root: Path, guards: str) -> World:
    files = dict(FILES)
    old = "{return_rate: at most control + 3%, opt_out_rate: under 1%}"
    assert old in files["experiments/winback.yaml"]
    files["experiments/winback.yaml"] = files["experiments/winback.yaml"].replace(old, guards)
    return World(root, {CONTROL: 1000, "treatment": 4000}, unsubscribed=[], returned=[], tickets=[], files=files)


def only(found: World) -> GuardFinding:
    (guard,) = read(found.build(), now=AFTER).guards
    return guard


@pytest.mark.parametrize("guards", ["{return_rate: at most control + 3%}", "{return_rate: under 9%}"])
def test_orderers_are_not_counted_before_the_window_ends(tmp_path: Path, guards: str) -> None:
    shop = world(tmp_path, guards)
    shop.arms = {CONTROL: 2003, "treatment": 8009}
    shop.buy(CONTROL, [20_000] * 97)
    shop.buy("treatment", [20_000] * 853)
    shop.returned = [(f"O{number}", order.customer, 500, order.after) for number, order in enumerate(shop.orders)]
    project = shop.build()
    now = DUE + timedelta(days=29, hours=23)
    (guard,) = (found := read(project, now=now)).guards
    assert (guard.state, guard.detail) == ("open", "Looked at when the window has ended.")
    assert guard.rate_control is guard.rate_treatment is guard.low is guard.high is None
    pages = (str(jsonable(found)), html(document(found)), markdown(document(found)))
    (count,) = read(project).guards
    assert "853" in count.detail
    for page in pages:
        assert "853" not in page
        assert "customers who ordered" not in page.replace("divided by customers who ordered in it", "")
        assert not re.search(r"\b97\b", page)


def test_harm_that_tells_no_effect_is_seen_at_once(tmp_path: Path) -> None:
    shop = world(tmp_path, "{opt_out_rate: under 1%}")
    shop.unsubscribed = [(customer, DAY) for customer in shop.customers("treatment")[:80]]
    (guard,) = read(shop.build(), now=DUE + 10 * DAY).guards
    assert guard.state == "broken"


@pytest.mark.parametrize(("left", "state"), [(20, "kept"), (40, "open"), (80, "broken")])
def test_share_of_the_treated(tmp_path: Path, left: int, state: str) -> None:
    shop = world(tmp_path, "{opt_out_rate: under 1%}")
    shop.unsubscribed = [(customer, DAY) for customer in shop.customers("treatment")[:left]]
    found = only(shop)
    assert found.state == state
    assert found.rate_treatment == pytest.approx(left / 4000)
    assert found.detail == f"{left} of 4,000 customers written to."


def test_only_customers_written_to_are_the_base(tmp_path: Path) -> None:
    shop = world(tmp_path, "{opt_out_rate: under 1%}")
    shop.states = dict.fromkeys(shop.customers("treatment")[:3000], "rejected")
    shop.unsubscribed = [(customer, DAY) for customer in shop.customers("treatment")[3000:3080]]
    assert only(shop).detail == "80 of 1,000 customers written to."


@pytest.mark.parametrize("written", [4000, 2000, 400])
def test_the_rate_is_right_at_any_share_sent(tmp_path: Path, written: int) -> None:
    """2% of everybody leave, written to or not: that is 2% of the customers written to."""
    shop = world(tmp_path, "{opt_out_rate: under 1%}")
    people = shop.customers("treatment")
    shop.states = dict.fromkeys(people[written:], "rejected")
    shop.unsubscribed = [(customer, DAY) for customer in people[::50]]
    found = only(shop)
    assert found.rate_treatment == pytest.approx(0.02)
    assert found.detail == f"{written // 50} of {written:,} customers written to."


@pytest.mark.parametrize(("treated", "state"), [(40, "kept"), (110, "open"), (250, "broken")])
def test_against_control(tmp_path: Path, treated: int, state: str) -> None:
    """Everybody orders once; control returns 2% of it."""
    shop = world(tmp_path, "{return_rate: at most control + 1%}")
    shop.orders = [
        Order(customer, 1000, DAY, order_id=customer) for arm in shop.arms for customer in shop.customers(arm)
    ]
    back = [*shop.customers(CONTROL)[:20], *shop.customers("treatment")[:treated]]
    shop.returned = [(customer, customer, 1000, 2 * DAY) for customer in back]
    found = only(shop)
    assert found.state == state
    assert (found.rate_control, found.rate_treatment) == (pytest.approx(0.02), pytest.approx(treated / 4000))


def test_complaints_are_tickets_of_that_kind(tmp_path: Path) -> None:
    shop = world(tmp_path, "{complaint_rate: under 0.5%}")
    people = shop.customers("treatment")
    shop.tickets = [(customer, "complaint", DAY) for customer in people[:60]]
    shop.tickets += [(customer, "question", DAY) for customer in people[60:200]]
    found = only(shop)
    assert (found.state, found.detail) == ("broken", "60 of 4,000 customers written to.")


def test_what_the_database_does_not_hold_is_unknown(tmp_path: Path) -> None:
    shop = world(tmp_path, "{opt_out_rate: under 1%}")
    shop.unsubscribed = None
    found = only(shop)
    assert (found.state, found.rate_treatment) == ("unknown", None)
    assert found.detail == "The customer database has no table unsubscribed."


def test_nobody_ordered_yet(tmp_path: Path) -> None:
    found = only(world(tmp_path, "{return_rate: at most control + 3%}"))
    assert (found.state, found.detail) == ("open", "There are no customers who ordered yet.")


def test_broken_guard_while_the_window_is_open_is_said(tmp_path: Path) -> None:
    shop = world(tmp_path, "{opt_out_rate: under 1%}")
    shop.unsubscribed = [(customer, DAY) for customer in shop.customers("treatment")[:80]]
    readout = read(shop.build(), now=DUE + 10 * DAY)
    assert readout.verdict.decision == "no_verdict"
    assert readout.verdict.reasons[1] == (
        "treatment broke a guard: opt-out rate under 1%, 80 of 4,000 customers written to. Consider stopping the send."
    )


def test_broken_guard_stops_what_pays(tmp_path: Path) -> None:
    shop = world(tmp_path, "{opt_out_rate: under 1%}")
    shop.buy(CONTROL, [20_000] * 50)
    shop.buy("treatment", [20_000] * 400)
    shop.unsubscribed = [(customer, DAY) for customer in shop.customers("treatment")[:80]]
    assert read(shop.build()).verdict.decision == "stop"
