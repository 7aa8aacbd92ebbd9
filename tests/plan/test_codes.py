"""Codes of the till, one for each customer: nobody shares one, and a plan without enough of them is not made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from campanile.errors import CampanileError
from campanile.events import PlannedMessage
from campanile.ledger import Ledger
from campanile.ledger.hand_overs import waiting
from campanile.messages.render import open_messages
from campanile.messages.tokens import open_key_ring
from campanile.plan.codes import read_codes
from campanile.responses.coupons import Redeemed, index_codes, redeem
from campanile.spec.project import Project
from conftest import AS_OF, DUE, planned

OWN = "code: one per customer"


def with_codes(own_shop: Callable[[], Project], codes: list[str], *, home: bool = True) -> Project:
    project = own_shop()
    for name in ("winback", "again"):
        source = project.root / "campaigns" / "winback.yaml"
        text = source.read_text(encoding="utf-8").replace(OWN, "codes: codes.csv")
        if name == "again":  # rules for marketing would leave nobody a second message on the same day
            text = text.replace("objective: retention", "objective: service")
        (project.root / "campaigns" / f"{name}.yaml").write_text(text, encoding="utf-8")
        experiment = (project.root / "experiments" / "winback.yaml").read_text(encoding="utf-8")
        (project.root / "experiments" / f"{name}.yaml").write_text(experiment, encoding="utf-8")
    folder = project.home if home else project.root
    (folder / "codes.csv").write_text("code\n" + "\n".join(codes) + "\n", encoding="utf-8")
    return own_shop()


def messages(project: Project, campaign: str = "winback") -> list[PlannedMessage]:
    with Ledger.open(project.ledger_place) as ledger:
        record = ledger.plan(campaign)
        assert record is not None
        return [message for message, _ in waiting(ledger, record.plan_id)]


def test_everybody_gets_one_and_keeps_it_when_the_plan_is_made_anew(own_shop: Callable[[], Project]) -> None:
    project = with_codes(own_shop, [f"TILL-{n:04d}" for n in range(2_000)])
    planned(project)
    first = {message.customer_id: message.variables["code"] for message in messages(project)}
    planned(project)
    again = {message.customer_id: message.variables["code"] for message in messages(project)}
    assert first == again
    assert len(first) > 50
    assert len(set(first.values())) == len(first), "nobody shares one"
    one = messages(project)[0]
    rendered = open_messages(project, "winback")
    assert str(one.variables["code"]) in rendered.render(one).text
    shown = rendered.as_samples().render(one).text
    assert str(one.variables["code"]) not in shown, "a preview shows no code that is good for something"
    assert "SAMPLECOD" in shown


def test_another_campaign_gets_the_ones_that_are_left(own_shop: Callable[[], Project]) -> None:
    project = with_codes(own_shop, [f"TILL-{n:04d}" for n in range(2_000)])
    planned(project)
    planned(project, "again")
    mine = {message.variables["code"] for message in messages(project)}
    others = {message.variables["code"] for message in messages(project, "again")}
    assert others
    assert not mine & others


def test_a_till_knows_whose_it_is(own_shop: Callable[[], Project]) -> None:
    project = with_codes(own_shop, [f"till-{n:04d}" for n in range(2_000)])
    planned(project)
    one = messages(project)[0]
    with Ledger.open(project.ledger_place) as ledger:
        assert index_codes(ledger, open_key_ring(project.home)) == len(messages(project))
        code = str(one.variables["code"]).upper()
        assert redeem(ledger, Redeemed(code, "order-1", DUE)).state == "redeemed"
        assert redeem(ledger, Redeemed(code, "order-2", DUE)).state == "used"
        assert redeem(ledger, Redeemed("TILL-1999", "order-3", DUE)).state == "unknown", "nobody was given it"


def test_too_few_are_a_sentence_and_no_plan(own_shop: Callable[[], Project]) -> None:
    project = with_codes(own_shop, ["TILL-0001", "TILL-0002"])
    with pytest.raises(CampanileError, match=r"codes.csv has 2 codes that nobody has, and \d+ customers get one; add"):
        planned(project)
    with Ledger.open(project.ledger_place) as ledger:
        assert ledger.plan("winback") is None


def test_the_file_may_lie_in_the_project_and_must_lie_somewhere(own_shop: Callable[[], Project]) -> None:
    project = with_codes(own_shop, ["TILL-0001"], home=False)
    assert read_codes(project, "codes.csv") == ["TILL-0001"]
    with pytest.raises(CampanileError, match="there is no file other.csv with codes in"):
        read_codes(project, "other.csv")


@pytest.mark.parametrize(
    ("codes", "said"),
    [
        (["GOOD", "two words"], "codes.csv:3: no code of 4 to 40 letters"),
        (["ABC"], "codes.csv:2: no code of 4 to 40 letters"),
        (["ABCD", "EFGH", "abcd"], "codes.csv:4: the same code as in line 2; remove one"),
    ],
)
def test_a_line_that_is_no_code_is_named(own_shop: Callable[[], Project], codes: list[str], said: str) -> None:
    with pytest.raises(CampanileError, match=said):
        read_codes(with_codes(own_shop, codes), "codes.csv")


def test_code_and_codes_are_one_too_many(own_shop: Callable[[], Project], tmp_path: Path) -> None:
    project = with_codes(own_shop, ["TILL-0001"])
    path = project.root / "campaigns" / "winback.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("codes: codes.csv", f"{OWN}, codes: codes.csv"))
    assert "winback" not in own_shop().campaigns
    assert AS_OF < DUE
