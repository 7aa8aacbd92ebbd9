"""What templates see, what plans freeze, and what a whole campaign renders."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campanile.clock import Duration
from campanile.errors import CampanileError, ProblemsError
from campanile.events import PlannedMessage
from campanile.messages.check import NAMED, check_all
from campanile.messages.context import build_context, freeze
from campanile.messages.environment import Absent
from campanile.messages.preview import contact_sheet, preview
from campanile.messages.render import open_messages
from campanile.messages.sms import segments
from campanile.messages.templates import RenderError, check_templates
from campanile.messages.tokens import Purpose, Signed
from campanile.money import Currency
from campanile.spec.campaign import Offer
from campanile.spec.project import Project, load_project
from campanile.spec.shop_tables import shop_tables


def context_of(planned_message, offer, shop, links):
    return build_context(planned_message, offer, shop=shop, links=links, campaign="winback")


def test_offer_terms_are_written_as_people_write_them(planned, offer, shop, links):
    context = context_of(planned(), offer, shop, links)
    assert (context["offer"]["amount"], context["offer"]["min_spend"]) == (50, 199)
    assert str(context["offer"]["valid_until"]) == "2026-03-19"
    percent = Offer(kind="percent", off=Decimal("0.10"), min_spend=Decimal("49.9"))
    context = context_of(planned(), percent, shop, links)
    assert (context["offer"]["percent"], str(context["offer"]["min_spend"])) == (10, "49.90")
    assert all(isinstance(context["offer"][name], Absent) for name in ("amount", "valid_until", "code"))
    assert isinstance(context["code"], Absent)


@pytest.mark.parametrize(
    ("zone", "due", "valid", "expected"),
    [
        ("Asia/Shanghai", datetime(2026, 3, 5, 16, 30, tzinfo=UTC), "14d", date(2026, 3, 20)),
        ("America/New_York", datetime(2026, 3, 5, 2, 30, tzinfo=UTC), "14d", date(2026, 3, 18)),
        ("Europe/Madrid", datetime(2026, 1, 31, 12, tzinfo=UTC), "1m", date(2026, 2, 28)),
        ("Europe/Madrid", datetime(2026, 3, 28, 12, tzinfo=UTC), "1d", date(2026, 3, 29)),
    ],
)
def test_offers_end_on_the_recipients_calendar(planned, shop, links, zone, due, valid, expected):  # noqa: PLR0917
    message = replace(planned(), zone=zone, due_at=due)
    offer = Offer(kind="content", valid=Duration.parse(valid))
    assert context_of(message, offer, shop, links)["offer"]["valid_until"] == expected


def test_links_and_codes_belong_to_the_message(planned, offer, shop, links):
    first, second = (context_of(planned(customer=name), offer, shop, links) for name in ("1", "2"))
    token = first["link"].removeprefix("https://t.youxuan.example/c/")
    assert links.keys.verify(Purpose.CLICK, token) == Signed(planned(customer="1").message_id, 0)
    token = first["unsubscribe_link"].removeprefix("https://t.youxuan.example/u/")
    assert links.keys.verify(Purpose.UNSUBSCRIBE, token) == Signed(planned(customer="1").message_id, 0)
    assert links.keys.verify(Purpose.CLICK, token) is None
    assert len({first["code"], second["code"], first["link"], second["link"]}) == 4
    assert first["code"] == first["offer"]["code"]


def test_one_code_for_all(planned, shop, links):
    offer = Offer(kind="gift", code="SPRING")
    assert {context_of(planned(customer=name), offer, shop, links)["code"] for name in ("1", "2")} == {"SPRING"}


def test_dotted_fields_are_groups_and_reserved_names_win(planned, offer, shop, links):
    variables = {"name": "Li", "rfm.r": 5, "rfm.segment": "vip", "shop": "x", "link": "https://evil.example"}
    context = context_of(planned(variables=variables), offer, shop, links)
    assert context["rfm"] == {"r": 5, "segment": "vip"}
    assert context["shop"]["name"] == "优选"
    assert context["link"].startswith("https://t.youxuan.example/c/")
    with pytest.raises(CampanileError, match=r'"rfm" and "rfm\.r"'):
        context_of(planned(variables={"rfm": 1, "rfm.r": 2}), offer, shop, links)


def test_missing_values_are_absent(planned, offer, shop, links):
    variables = {"a": None, "b": "", "c": "  \u200b", "d": float("nan"), "e": ["x", "", None]}
    context = context_of(planned(variables=variables), offer, shop, links)
    assert all(isinstance(context[name], Absent) for name in "abcd")
    assert context["e"] == ["x"]


plain = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.datetimes() | st.decimals()
)


@given(st.dictionaries(st.text(), plain | st.lists(plain)))
def test_frozen_values_survive_json(row):
    frozen = freeze(row, row, money=set(), currency=Currency("CNY"))
    assert set(frozen) == set(row)
    text = json.dumps(frozen)
    assert "NaN" not in re.sub(r'"(?:\\.|[^"\\])*"', "", text)
    assert json.loads(text) == frozen


def test_frozen_money_is_in_major_units():
    row = {"a": 4990, "b": 5000, "c": None, "d": Decimal(4990), "e": 4990}
    frozen = freeze(row, [*row, "missing"], money={"a", "b", "c", "d"}, currency=Currency("CNY"))
    assert frozen == {"a": 49.9, "b": 50, "c": None, "d": 49.9, "e": 4990, "missing": None}
    assert freeze({"a": 4990}, ["a"], money={"a"}, currency=Currency("JPY")) == {"a": 4990}


def test_frozen_fields_are_only_those_asked_for():
    assert freeze({"name": "Li", "phone": "+86"}, {"name"}, money=(), currency=Currency("CNY")) == {"name": "Li"}


# A whole campaign.

SETTINGS = """
shop: {name: 优选, currency: CNY, timezone: Asia/Shanghai, base_url: "https://t.youxuan.example"}
channels:
  email: {via: outbox, sender: 优选 <news@youxuan.example>}
  sms: {via: outbox, signature: 【优选】}
economics: {margin_rate: 40%, cost_per_message: {email: 0.01, sms: 0.05}}
"""
CAMPAIGN = """
objective: retention
target: {who: [{email_consent: true}]}
offer: {kind: coupon, amount: 50}
timing: {start: 2026-03-05, at: "10:30"}
channel: {use: MEDIUM, message: hello}
arms: {treatment: {}, percent: {offer: {kind: percent, off: 10%}}, plain: {message: other}}
"""
EXPERIMENT = """
hypothesis: One of the arms sells more.
split: {control: 25%, treatment: 25%, percent: 25%, plain: 25%}
primary: {metric: response_rate, window: 30d, baseline: 3%, expect: 4%}
"""


@pytest.fixture
def project(tmp_path: Path, write) -> Project:
    (tmp_path / "campaigns").mkdir()
    (tmp_path / "experiments").mkdir()
    (tmp_path / "campanile.yaml").write_text(SETTINGS)
    for name, medium in (("mail", "email"), ("text", "sms")):
        (tmp_path / "campaigns" / f"{name}.yaml").write_text(CAMPAIGN.replace("MEDIUM", medium))
        (tmp_path / "experiments" / f"{name}.yaml").write_text(EXPERIMENT)
    write({
        "hello.subject.j2": "{{ name|default('friend') }}",
        "hello.html.j2": "<html><head><style>p { color: red }</style></head><body><p>{{ name }}: {% if offer.amount %}"
        "{{ offer.amount }} off{% else %}{{ offer.percent }}% off{% endif %}</p>{{ unsubscribe_link }}</body></html>",
        "hello.txt.j2": "{{ link }} {{ unsubscribe_link }}",
        "hello.sms.j2": "{{ name }}: {{ offer.amount or offer.percent }} {{ link }}",
        "other.subject.j2": "other",
        "other.html.j2": "<p>other {{ tier }} {{ unsubscribe_link }}</p>",
        "other.txt.j2": "{{ unsubscribe_link }}",
        "other.sms.j2": "other {{ tier }}",
    })  # fmt: skip
    return load_project(tmp_path)


def test_arms_get_their_own_offer_and_template(project, planned):
    messages = open_messages(project, "mail", columns=["name"])
    assert messages.variables == {"name", "tier"}
    variables = {"name": "Li", "tier": "gold"}
    bodies = {
        arm: messages.render(planned("email", variables, arm=arm)).html for arm in ("treatment", "percent", "plain")
    }
    assert '<p style="color: red;">Li: 50 off</p>' in bodies["treatment"]
    assert "Li: 10% off" in bodies["percent"]
    assert "other gold" in bodies["plain"]


def test_the_date_is_the_moment_of_hand_over(project, planned):
    messages = open_messages(project, "mail")
    message = planned("email", {"name": "Li"})
    at = datetime(2026, 3, 7, 1, 2, 3, tzinfo=UTC)
    assert b"Date: Sat, 07 Mar 2026 01:02:03 +0000\r\n" in messages.render(message, at=at).mime
    assert b"Date: Thu, 05 Mar 2026 02:30:00 +0000\r\n" in messages.render(message).mime


def test_samples_have_nobodys_links_and_the_same_size(project, planned):
    messages = open_messages(project, "text")
    message = planned("sms", {"name": "Li"})
    real, sample = messages.render(message).text, messages.as_samples().render(message).text
    assert "/c/sample---" in sample
    assert (len(real), segments(real)) == (len(sample), segments(sample))
    assert len(messages.links.code("1")) == len(messages.as_samples().links.code("1"))


def test_every_template_of_every_campaign_is_checked(project, write):
    assert check_templates(project.root, project.campaigns.values()) == ()
    write({"other.sms.j2": "{{ teir }}", "hello.txt.j2": "{{ unsubscribe_link }} {{ offer.amonut }}"})
    assert [str(problem) for problem in check_templates(project.root, project.campaigns.values())] == [
        'templates/hello.txt.j2:1: no customer field or word "offer.amonut"; did you mean "offer.amount"?',
        'templates/other.sms.j2:1: no customer field or word "teir"; did you mean "tier"?',
    ]
    write({"other.sms.j2": "{{ qqqqq }}", "hello.txt.j2": "{{ unsubscribe_link }}"})
    assert [str(problem) for problem in check_templates(project.root, project.campaigns.values())] == [
        'templates/other.sms.j2:1: no customer field or word "qqqqq"; docs/reference/segments.md lists all fields',
    ]
    assert not (project.home / "token.keys").exists()


def test_a_template_reads_only_what_the_shop_imports(project, write):
    write({"hello.txt.j2": "{{ unsubscribe_link }}\n{{ name }} {{ stage }} {{ employees or '' }}"})
    shop = shop_tables({"customers": ("customer_id", "name", "tier")})
    assert [str(problem) for problem in check_templates(project.root, project.campaigns.values(), shop)] == [
        'templates/hello.txt.j2:2: the shop imports no "employees" of customers; '
        "map a column for it in campanile.yaml, under import: customers:"
    ]


def test_columns_beyond_the_vocabulary(project, write, planned):
    write({"hello.sms.j2": "{{ shoe_colour }}"})
    with pytest.raises(ProblemsError, match="shoe_colour"):
        open_messages(project, "text", columns=["name"])
    assert open_messages(project, "text", columns=["shoe_colour"]).variables == {"shoe_colour", "tier"}
    sent_later = open_messages(project, "text").render(planned("sms", {"shoe_colour": "red"}))
    assert sent_later.text == "【优选】red"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("sender: 优选 <news@youxuan.example>", "reply_to: a@b.example", "the channel email has no sender"),
        ("https://t.youxuan", "http://t.youxuan", "over https only"),
        ('base_url: "https://t.youxuan.example"', "language: zh", "over https only"),
    ],
)
def test_settings_that_mail_needs(project, old, new, expected):
    (project.root / "campanile.yaml").write_text(SETTINGS.replace(old, new))
    with pytest.raises(CampanileError, match=expected):
        open_messages(load_project(project.root), "mail")


# Rendering everybody.


def test_check_counts_everybody(project, planned):
    messages = open_messages(project, "text")
    names = ["Li"] * 5 + ["优" * 60] * 3 + ["优" * 200]
    result = check_all(messages.render, (planned("sms", {"name": n}, customer=str(i)) for i, n in enumerate(names)))
    parts = sorted(
        segments(messages.render(planned("sms", {"name": n}, customer=str(i))).text).parts for i, n in enumerate(names)
    )
    assert (result.messages, result.failed) == (9, 0)
    assert result.segments == (parts[0], parts[4], parts[-1])
    assert result.segments_total == sum(parts)
    assert result.bytes_max == max(
        len(messages.render(planned("sms", {"name": n}, customer=str(i))).text.encode()) for i, n in enumerate(names)
    )
    result.raise_for_failures()


def test_check_names_customers_by_id_and_counts_the_rest(project, planned):
    messages = open_messages(project, "mail")
    people = [planned("email", {"name": None if i % 2 else "Li"}, customer=str(i)) for i in range(100)]
    people += [planned("email", {"name": "Wang-Secret"}, customer="200", address="secret address@mail")]
    result = check_all(messages.render, iter(people))
    assert (result.messages, result.failed, len(result.failures)) == (50, 51, NAMED)
    assert result.failures[0] == ("1", "templates/hello.html.j2:1: customer 1 has no value for name")
    with pytest.raises(CampanileError) as caught:
        result.raise_for_failures()
    text = str(caught.value)
    assert text.startswith("51 of 101 messages cannot be written:\n  templates/hello.html.j2:1: customer 1 has")
    assert "and 31 more" in text
    assert text.endswith('\nwrite {{ name or "…" }} or leave these customers out of the target')
    only = check_all(messages.render, people[-1:])
    assert "customer 200 cannot be written to: the address" in only.failures[0][1]
    assert "ecret" not in str(only)


def test_check_stops_at_a_fault_of_the_template(project, planned, write):
    write({"hello.sms.j2": "{{ name.upper() }}"})
    seen = []

    def people():
        for number in range(1000):
            seen.append(number)
            yield planned("sms", {"name": "Li"}, customer=str(number))

    with pytest.raises(RenderError, match=r"templates/hello\.sms\.j2:1: "):
        check_all(open_messages(project, "text").render, people())
    assert len(seen) == 1


def test_check_gives_up_when_everybody_fails(project, planned):
    endless = (planned("sms", {"name": None}, customer=str(number)) for number in range(10**9))
    with pytest.raises(RenderError, match=r'has no value for name; write {{ name or "…" }}$'):
        check_all(open_messages(project, "text").render, endless)


def test_check_of_nobody(project):
    result = check_all(open_messages(project, "text").render, [])
    assert (result.messages, result.segments, result.bytes_max) == (0, (0, 0, 0), 0)


def test_clipped_mails_are_counted(project, planned, write):
    write(
        {"hello.subject.j2": "large", "hello.html.j2": "<p>" + "x" * 101_000 + "{{ name }}{{ unsubscribe_link }}</p>"}
    )
    people = [planned("email", {"name": "y" * size}) for size in (10, 2000)]
    assert check_all(open_messages(project, "mail").render, people).clipped == 1


def test_memory_does_not_grow_with_the_audience(project, planned):
    import tracemalloc

    messages = open_messages(project, "text")

    def peak(count: int) -> int:
        tracemalloc.start()
        check_all(messages.render, (planned("sms", {"name": "Li"}, customer=str(i)) for i in range(count)))
        result = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return result

    peak(300)
    assert peak(3000) < peak(300) * 1.5 + 50_000


# The page to look at.


def test_the_sheet_shows_messages_and_loads_nothing(project, planned):
    people = [planned("email", {"name": '<b>Li</b> "&'}, customer=str(i)) for i in range(5)]
    mails = preview(open_messages(project, "mail").as_samples().render, people, most=3)
    texts = preview(open_messages(project, "text").as_samples().render, [planned("sms", {"name": "<i>王"})])
    page = contact_sheet([*mails, *texts], title="win<b>ack", labels=["treatment", "per<cent"])
    assert len(mails) == 3
    assert page.count('<iframe sandbox=""') == 3
    assert "default-src &#x27;none&#x27;" in page
    assert not re.search(r"<(?:script|link|img|object|embed)\b", page)
    assert "<b>Li" not in page
    assert "per&lt;cent" in page
    assert "win&lt;b&gt;ack" in page
    assert "&lt;i&gt;王" in page
    assert "li.wei@mail.example" not in page
    assert "+8610000000000" not in page


def test_the_sheet_has_an_end(project, planned):
    render = open_messages(project, "text").render
    messages = preview(render, [planned("sms", {"name": "Li"})] * 100, most=100)
    assert contact_sheet(messages, title="t").count("<article>") == 60
    assert contact_sheet(messages, title="t", most=7, labels=["a"] * 100).count("<article>") == 7
    assert "<article>" not in contact_sheet([], title="t")


def test_a_message_of_the_shop_reads_well(offer, shop, links, planned):
    """The golden message: changes here are changes of what customers read."""
    from campanile.messages.mime import Sender
    from campanile.messages.templates import load_templates

    root = Path(__file__).parents[2]
    message: PlannedMessage = planned("sms", {"name": "王伟"})
    text = (
        load_templates(root, "winback", "sms", sender=Sender("", signature="【优选】"))
        .render(message, context_of(message, offer, shop, links))
        .text
    )
    assert re.fullmatch(
        r"【优选】王伟，好久不见！送您50元券，满199可用，3月19日前有效："
        r"https://t\.youxuan\.example/c/[\w-]{42} 拒收请回复R",
        text,
    )
    nameless = replace(message, variables={"name": None})
    mail = load_templates(root, "winback", "email").render(
        replace(nameless, address="a@b.example"), context_of(nameless, offer, shop, links)
    )
    assert mail.subject == "AD | 朋友，好久不见，送您 ¥50"
    assert "上海市示例路 100 号" in mail.text
    assert mail.html.count(links.unsubscribe(message.message_id)) == 1
    assert "退订" in mail.html
    assert "2026年3月19日前有效" in mail.html
