"""The policy pack cn-sms (delivery §4.5): in the committed files, and in every text that is rendered."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from campanile.cli.main import cli
from campanile.errors import CampanileError, ProblemsError
from campanile.events import Message
from campanile.messages.render import open_messages
from campanile.spec.check import check_project
from campanile.spec.project import load_project
from support.plans import planned
from support.sent_project import write_project

RULES: dict[str, object] = {"pack": "cn-sms"}


def project(root: Path, text: str, *, objective: str = "retention", timing: str = "", **rules: object) -> Path:
    """A project whose one campaign sends this text by SMS under these rules."""
    write_project(root, medium="sms", signature="【优选】", rules={**RULES, **rules})
    (root / "templates" / "hello.sms.j2").write_text(text, encoding="utf-8")
    campaign = root / "campaigns" / "winback.yaml"
    changed = campaign.read_text(encoding="utf-8").replace("objective: retention", f"objective: {objective}")
    campaign.write_text(changed.replace('quiet: "21:00-09:00"', timing or 'quiet: "21:00-09:00"'), encoding="utf-8")
    return root


def rendered(root: Path, **variables: object) -> Message:
    message = planned(1, channel="sms", address="+8613800138000", variables=variables)
    return open_messages(load_project(root), "winback").render(message)


def checked(root: Path) -> str:
    done = CliRunner().invoke(cli, ["check", "--project", str(root)])
    return f"{done.output}{done.exception or ''}"


class TestTexts:
    def test_begin_with_the_signature_and_end_with_how_to_refuse(self, tmp_path: Path) -> None:
        root = project(tmp_path, "好久不见，满199减50。")
        assert rendered(root).text == "【优选】好久不见，满199减50。拒收请回复R"

    def test_that_say_how_to_refuse_say_it_once(self, tmp_path: Path) -> None:
        root = project(tmp_path, "【优选】好久不见，回T退订", opt_out="回T退订")
        assert rendered(root).text == "【优选】好久不见，回T退订"

    def test_of_service_need_not_say_how_to_refuse(self, tmp_path: Path) -> None:
        assert rendered(project(tmp_path, "您的包裹已到", objective="service")).text == "【优选】您的包裹已到"

    @pytest.mark.parametrize(
        ("rules", "name", "why"),
        [
            ({}, "★王★", "gets a text that holds ★, which gateways filter"),
            ({"max_chars": 20}, "王" * 30, "gets a text that has 46 characters, more than 20"),
        ],
    )
    def test_that_break_a_rule_through_a_value_are_not_rendered(
        self, tmp_path: Path, rules: dict[str, object], name: str, why: str
    ) -> None:
        root = project(tmp_path, "{{ name }}，好久不见", **rules)
        with pytest.raises(CampanileError, match=why) as caught:
            rendered(root, name=name)
        assert name not in str(caught.value)


class TestFiles:
    def test_that_keep_the_rules_have_no_problem(self, tmp_path: Path) -> None:
        assert "1 campaign(s) without a problem" in checked(project(tmp_path, "{{ name }}，好久不见"))

    @pytest.mark.parametrize(
        ("text", "rules", "said"),
        [
            ("好久不见\n【优惠】五折", {}, "templates/hello.sms.j2:2: only the signature may stand in 【】"),
            ("满199减¥50", {}, "templates/hello.sms.j2:1: gateways filter ¥; write it in words"),
            ("您好\n{{ name }}", {"variables": False}, "hello.sms.j2:2: promotional texts may hold no values"),
            ("看 {{ link }}", {"links": False}, "hello.sms.j2:1: texts may hold no links, and this one holds link"),
            ("看 https://x.example", {"links": False}, "hello.sms.j2:1: texts may hold no links; remove it"),
        ],
    )
    def test_that_break_one_are_told_where(
        self, tmp_path: Path, text: str, rules: dict[str, object], said: str
    ) -> None:
        root = project(tmp_path, text, **rules)
        assert said in checked(root)
        with pytest.raises(ProblemsError) as caught:
            rendered(root, name="王")
        assert said in str(caught.value), "a plan refuses it as well"

    def test_of_service_may_hold_values(self, tmp_path: Path) -> None:
        root = project(tmp_path, "{{ name }}，您的包裹已到", objective="service", variables=False)
        assert "without a problem" in checked(root)

    @pytest.mark.parametrize("timing", ['quiet: "22:00-08:00"', "quiet: none", 'quiet: "21:00-07:30"'])
    def test_must_be_quiet_when_gateways_are(self, tmp_path: Path, timing: str) -> None:
        said = checked(project(tmp_path, "好久不见", timing=timing))
        assert 'cn-sms allows promotional texts from 08:00 to 21:00 only; write quiet: "21:00-08:00", or more' in said

    def test_need_a_signature_as_gateways_register_it(self, tmp_path: Path) -> None:
        root = project(tmp_path, "好久不见")
        settings = root / "campanile.yaml"
        settings.write_text(settings.read_text(encoding="utf-8").replace("【优选】", "优选"), encoding="utf-8")
        said = [str(problem) for problem in check_project(root).problems]
        assert any("the signature wants 2 to 16 characters in 【】; write signature: 【优选】" in each for each in said)

    def test_need_a_cap_a_day(self, tmp_path: Path) -> None:
        root = project(tmp_path, "好久不见")
        settings = root / "campanile.yaml"
        caps = "policy: {caps: {sms: {at_most: 3, within: 30d}}}\n"
        settings.write_text(settings.read_text(encoding="utf-8") + caps, encoding="utf-8")
        said = [str(problem) for problem in check_project(root).problems]
        assert any("cn-sms allows 1 promotional texts a day, and no cap of policy keeps to it" in each for each in said)

    def test_with_an_opt_out_phrase_that_breaks_the_rules(self, tmp_path: Path) -> None:
        with pytest.raises(ProblemsError, match="the opt-out phrase holds a character that texts may not hold"):
            project(tmp_path, "好久不见", opt_out="★退订")
