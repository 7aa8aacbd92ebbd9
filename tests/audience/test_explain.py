"""What is told of one customer is what the waterfall counted, and targets of a thousand conditions are no trouble."""

from __future__ import annotations

from collections import Counter
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from audience import forms
from audience.test_select import AS_OF, chosen, customer, ids, target, world
from audience.world import make_world
from campanile.clock import Duration
from campanile.errors import CampanileError
from campanile.spec.policy import Cap

CUSTOMERS = 8
lines = st.lists(forms.conditions, min_size=1, max_size=3)


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 10**6),
    who=lines,
    except_=st.lists(forms.conditions, max_size=2),
    medium=st.sampled_from([None, "email", "sms"]),
    one_per=st.booleans(),
    keep=st.sampled_from([None, 1, 4, 1000]),
)
def test_explain_agrees_with_the_waterfall(  # noqa: PLR0917 - what a target may say
    seed: int, who: list[Any], except_: list[Any], medium: str | None, one_per: bool, keep: int | None
) -> None:
    data: dict[str, Any] = {"who": who}
    data |= {"except": except_} if except_ else {}
    data |= {"one_per": "household"} if one_per else {}
    data |= {"keep": {"at_most": keep, "by": "age", "first": "highest"}} if keep else {}
    try:
        target(data)
    except AssertionError:
        reject()  # A condition drawn for another file: it names a segment or metric that this target has not.
    shop = make_world([*who, *except_], seed=seed, as_of=AS_OF, zone=ZoneInfo("Asia/Shanghai"), customers=CUSTOMERS)
    shop.caps = {"email": Cap(at_most=1, within=Duration(days=60))}
    audience = chosen(shop, data, medium=medium)
    told = {row["customer_id"]: audience.explain(row["customer_id"]) for row in shop.customers}
    steps = audience.waterfall()
    for name, words in told.items():
        assert [word.line for word in words] == [step.line for step in steps[1:]]
        deciding = [place for place, word in enumerate(words) if word.decides]
        assert (not deciding) == (name in ids(audience)), name
        assert len(deciding) <= 1
        before = words[: deciding[0]] if deciding else words
        assert all(word.keeps for word in before), name
        assert all(words[place].keeps is False for place in deciding), name
    decided = Counter(word.line for words in told.values() for word in words if word.decides)
    assert {step.line: step.lost for step in steps[1:]} == {step.line: decided[step.line] for step in steps[1:]}
    assert steps[-1].left == sum(not any(word.decides for word in words) for words in told.values())


def test_who_is_nobody_is_a_sentence() -> None:
    audience = chosen(world(customer("A", age=30)), {"who": [{"age": 30}]})
    with pytest.raises(CampanileError, match='no customer "B"; give an id'):
        audience.explain("B")


def test_many_conditions_are_no_deeper_than_few() -> None:
    """Neither in a row of `who`, nor in one of `any`, nor counted: the writer of SQL calls itself for each level."""
    shop = world(*(customer(f"C{age}", age=age) for age in (7, 77, 777)))
    ages = [{"age": age} for age in range(600)]
    assert ids(chosen(shop, {"who": [{"any": ages}]})) == ["C7", "C77"]
    assert ids(chosen(shop, {"who": [{"none": ages}]})) == ["C777"]
    over = [{"age": f"over {age}"} for age in range(300)]
    assert ids(chosen(shop, {"who": [{"at_least": 200, "of": over}]})) == ["C777"]
    audience = chosen(shop, {"who": [{"age": f"not {age}"} for age in range(400)]})
    assert ids(audience) == ["C777"]
    assert {step.line: step.lost for step in audience.waterfall() if step.lost} == {"who 8": 1, "who 78": 1}
