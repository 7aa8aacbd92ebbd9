"""The registered terms: what is missing has a default, and costs are exact."""

from __future__ import annotations

from decimal import Decimal

import pytest

from campanile.errors import CampanileError
from campanile.money import Currency
from campanile.readout.terms import in_words, read_terms

CNY = Currency("CNY")


def spec(**changes: object) -> dict[str, object]:
    """A frozen spec as the ledger gives it back: plain JSON, numbers as floats."""
    frozen: dict[str, object] = {
        "campaign": {"channel": {"use": "email", "message": "hello"}, "costs": {"fixed": 500}},
        "experiment": {
            "hypothesis": "It works.",
            "split": {"control": "33.3333%", "a": "33.3333%", "b": "33.3333%"},
            "primary": {"metric": "response_rate", "window": "2w"},
            "alpha": 0.1,
        },
        "economics": {"margin_rate": 0.35, "cost_per_message": {"email": 0.006}},
    }
    return {**frozen, **changes}


def test_numbers_are_exact_and_defaults_are_the_specs_own() -> None:
    terms = read_terms("spring", spec())
    assert terms.margin_rate == Decimal("0.35")
    assert terms.per_message == Decimal("0.006")
    assert terms.fixed == 500
    assert terms.experiment.alpha == Decimal("0.1")
    assert terms.experiment.compare == (("a", "control"), ("b", "control"))
    assert terms.experiment.primary.window.days == 14


def test_rules_that_were_not_registered_have_a_default_that_says_so() -> None:
    terms = read_terms("spring", spec())
    assert (terms.roll_out.metric, terms.roll_out.side, terms.roll_out.level) == (
        "profit_per_customer",
        "lower",
        Decimal("0.9"),
    )
    assert (terms.stop.metric, terms.stop.side) == ("profit_per_customer", "upper")
    assert terms.roll_out.text == "profit per customer above 0 at 90% (no rule was registered, this is the default)"


def test_campaign_overrides_the_shops_economics() -> None:
    costs = {"campaign": {"channel": {"use": "email"}, "costs": {"per_message": 0.01, "margin_rate": "50%"}}}
    terms = read_terms("spring", spec(**costs))
    assert (terms.per_message, terms.margin_rate, terms.fixed) == (Decimal("0.01"), Decimal("0.5"), 0)


@pytest.mark.parametrize(("messages", "cost"), [(1, 0.6), (3, 1.8), (10_000, 6_000.0), (0, 0.0)])
def test_a_fraction_of_a_minor_unit_is_not_rounded_per_message(messages: int, cost: float) -> None:
    assert read_terms("spring", spec()).contact_cost("a", messages, CNY) == cost


def test_an_sms_costs_its_parts() -> None:
    changes = {
        "campaign": {"channel": {"use": "sms"}},
        "economics": {"margin_rate": 0.4, "cost_per_message": {"sms": 0.05}},
        "summary": {"load": {"messages": 1000, "segments": 1500}},
    }
    assert read_terms("spring", spec(**changes)).contact_cost("a", 200, CNY) == 1500.0


def test_each_arm_pays_for_its_own_text() -> None:
    changes = {
        "campaign": {"channel": {"use": "sms"}},
        "economics": {"margin_rate": 0.4, "cost_per_message": {"sms": 0.05}},
        "summary": {"load": {"messages": 1000, "segments": 2000, "by_arm": {"a": [500, 500], "b": [500, 1500]}}},
    }
    terms = read_terms("spring", spec(**changes))
    assert [terms.contact_cost(arm, 200, CNY) for arm in ("a", "b")] == [1000.0, 3000.0]
    assert "0.05 CNY per sms in parts on average: 1.00 (a) and 3.00 (b)" in dict(in_words(terms, CNY))["Economics"]


def test_a_medium_without_a_price_costs_nothing() -> None:
    assert (
        read_terms("spring", spec(economics={"margin_rate": 0.4, "cost_per_message": {}})).contact_cost("a", 9, CNY)
        == 0
    )


def test_campaign_that_measures_nothing() -> None:
    with pytest.raises(CampanileError, match="spring runs without an experiment, so there is nothing to read out"):
        read_terms("spring", spec(experiment=None))


@pytest.mark.parametrize("changes", [{"experiment": {"hypothesis": "It works."}}, {"campaign": {}}, {"economics": {}}])
def test_plan_of_another_version(changes: dict[str, object]) -> None:
    with pytest.raises(CampanileError, match="the registered plan of spring cannot be read"):
        read_terms("spring", spec(**changes))


def test_words_for_people() -> None:
    words = dict(in_words(read_terms("spring", spec()), CNY))
    assert words["Split"] == "control 33.3333%, a 33.3333%, b 33.3333%"
    assert words["Primary metric"] == "response rate within 14d"
    assert words["Economics"] == "margin 35% of net revenue, 0.006 CNY per email, 500 CNY fixed"
    assert "Guards" not in words
