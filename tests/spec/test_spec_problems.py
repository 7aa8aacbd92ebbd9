"""Every mistake has its sentence, with file, line and cure."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campanile.errors import ProblemsError, UsageError
from campanile.spec.project import load_project
from support.small_project import FILES, said, write_files

Change = Callable[[str, str, str], list[str]]

C, E, P, S = "campaigns/spring.yaml", "experiments/spring.yaml", "campanile.yaml", "segments.yaml"


def test_the_good_project_has_no_problems(shop: Path) -> None:
    assert said(shop) == []


_MISTAKES = yaml.safe_load((Path(__file__).parent / "mistakes.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("mistake", _MISTAKES, ids=lambda mistake: f"{mistake['file']}: {mistake['new']}")
def test_a_mistake_has_its_sentence(change: Change, mistake: dict[str, Any]) -> None:
    assert change(mistake["file"], mistake["old"], mistake["new"]) == mistake["says"]


def test_a_shop_that_imports_a_field_has_its_own_words(shop: Path) -> None:
    columns = "customers: {file: data/c.csv, columns: {customer_id: Id, stage: Phase, email_consent: Ok}}\n"
    write_files(shop, {P: FILES[P] + "  " + columns, C: FILES[C].replace("stage: active", "stage: dormant")})
    assert said(shop) == []


_SHOP = FILES[P] + (
    "  customers: {file: data/c.csv, columns: {customer_id: Id, email: Mail, email_consent: Ok}}\n"
    "  order: {file: data/o.csv, columns: {customer_id: Id, at: On, amount: Paid}}\n"
)


@pytest.mark.parametrize(
    ("file", "old", "new", "sentence"),
    [
        (C, "stage: active", "p_churn: over 5", f'{C}:4: the shop imports no "p_churn" of customers; '
         "map a column for it in campanile.yaml, under import: customers:"),
        (C, "stage: active", "did: ticket", f'{C}:4: the shop imports no events "ticket"; '
         "map a file for them in campanile.yaml, under import:"),
        (C, "stage: active", "did: order, where: {channel: web}", f'{C}:4: the shop imports no "channel" of "order"; '
         "map a column for it in campanile.yaml, under import: order:"),
        (C, "stage: active", "did: order, sum items: over 2", f'{C}:4: the shop imports no "items" of "order"; '
         "map a column for it in campanile.yaml, under import: order:"),
        (C, "stage: active", "points_expiring: over 2", f'{C}:4: the shop imports no "points_expiring" of '
         "customers; map a column for it in campanile.yaml, under import: customers:"),
        (C, "offer:", "  keep: {at_most: 5, by: points}\noffer:", f'{C}:6: the shop imports no "points" of customers; '
         "map a column for it in campanile.yaml, under import: customers:"),
        (S, "email_consent", "app_installed", f'{S}:2: the shop imports no "app_installed" of customers; '
         "map a column for it in campanile.yaml, under import: customers:"),
        (E, "rfm.m", "city_tier", f'{E}:3: the shop imports no "city_tier" of customers; '
         "map a column for it in campanile.yaml, under import: customers:"),
        (C, "stage: active", "email_ok: true, rfm.code: 555", ""),
        (C, "stage: active", "clv_12m: over 5, p_alive: over 0.5", ""),
        (C, "stage: active", "did: contacted, where: {purpose: marketing}", ""),
        (C, "stage: active", "did: bought, where: {sku: A}, sum amount: over 5", ""),
        (C, "stage: active", "did: order, where: {hour: at least 5}", ""),
    ],
)  # fmt: skip
def test_what_the_shop_has_no_data_for(shop: Path, file: str, old: str, new: str, sentence: str) -> None:
    write_files(shop, {file: FILES[file].replace(old, new)})
    assert said(shop) == [], "a mapping without customers says nothing"
    write_files(shop, {P: _SHOP})
    assert said(shop) == [sentence] * bool(sentence)
    assert set(load_project(shop).campaigns) == {"spring"}, "a sent campaign can still be read"


def test_all_problems_of_all_files_at_once(shop: Path) -> None:
    write_files(shop, {
        C: FILES[C].replace("growth", "grow").replace("stage", "stagee").replace("hello", "helo"),
        E: FILES[E].replace("80%", "90%").replace("[rfm.m]", "[rfm.x]"),
        P: FILES[P].replace("EUR", "euro").replace("outbox", "out"),
        S: FILES[S].replace("email_consent", "consent"),
        "campaigns/broken.yaml": "a: b: c\n",
        "campaigns/alone.yaml": FILES[C],
        "experiments/alone2.yaml": FILES[E],
    })  # fmt: skip
    assert [line.split(": ")[0] for line in said(shop)] == [
        "campaigns/alone.yaml:1", "campaigns/broken.yaml:1", "campaigns/spring.yaml:1",
        "campaigns/spring.yaml:4", "campaigns/spring.yaml:8", "campanile.yaml:1", "campanile.yaml:4",
        "experiments/alone2.yaml:1", "experiments/spring.yaml:2", "experiments/spring.yaml:3", "segments.yaml:2",
    ]  # fmt: skip


def test_a_broken_campaign_is_its_own_problem(shop: Path) -> None:
    """Whatever stands in one file of a campaign, the others go on."""
    write_files(shop, {
        "campaigns/draft.yaml": "a: b: c\n",
        "campaigns/late.yaml": FILES[C],
        "experiments/late.yaml": FILES[E].replace("80%", "90%"),
    })  # fmt: skip
    project = load_project(shop)
    assert set(project.campaigns) == set(project.experiments) == {"spring"}
    with pytest.raises(ProblemsError, match=r"^campaigns/draft\.yaml:1: a second colon in one line"):
        project.campaign("draft")
    with pytest.raises(ProblemsError, match=r"^experiments/late\.yaml:2: arm shares add up to 110%"):
        project.campaign("late")
    with pytest.raises(UsageError, match=r'did you mean "draft"'):
        project.campaign("drafft")


@pytest.mark.parametrize(("file", "old", "new"), [(P, "EUR", "euro"), (S, "email_consent", "consent")])
def test_a_broken_shop_is_everybodys_problem(shop: Path, file: str, old: str, new: str) -> None:
    write_files(shop, {file: FILES[file].replace(old, new), "campaigns/draft.yaml": "a: b: c\n"})
    with pytest.raises(ProblemsError) as caught:
        load_project(shop)
    assert {problem.file for problem in caught.value.problems} == {file}


def _cases() -> list[tuple[dict[str, str], str]]:
    none = "experiment: none\n"
    why = "why: It is a receipt.\n"
    return [
        ({"campaigns/a.yaml": ""}, "campaigns/a.yaml: the file is empty; write key: value lines"),
        ({"campaigns/a.yaml": "{}"}, "campaigns/a.yaml:1: the file is empty; write key: value lines"),
        ({"campaigns/a.yaml": "# nothing\n"}, "campaigns/a.yaml: the file is empty; write key: value lines"),
        (
            {"campaigns/a.yaml": "- b\n"},
            "campaigns/a.yaml:1: the file wants keys and values, got a list; write key: value lines",
        ),
        (
            {"campaigns/a b.yaml": "x"},
            'campaigns/a b.yaml: the file name wants a name, got text "a b"; use letters, digits, - and _, at most 60',
        ),
        (
            {"campaigns/a.yaml": FILES[C]},
            "campaigns/a.yaml:1: the campaign has no experiment experiments/a.yaml; "
            "commit one, or write experiment: none and why: with the reason",
        ),
        (
            {"campaigns/a.yaml": FILES[C] + none},
            "campaigns/a.yaml:9: experiment: none needs a reason; add why: and one sentence",
        ),
        (
            {"campaigns/a.yaml": FILES[C].replace("growth", "grow").replace("hello", "helo") + none},
            'campaigns/a.yaml:1: objective cannot be "grow"; did you mean "growth"?\n'
            "campaigns/a.yaml:8: no template templates/helo.subject.j2, templates/helo.html.j2, templates/helo.txt.j2; "
            'did you mean "hello"?\n'
            "campaigns/a.yaml:9: experiment: none needs a reason; add why: and one sentence",
        ),
        (
            {"campaigns/a.yaml": FILES[C] + none + why + "arms: {b: {}}\n"},
            "campaigns/a.yaml:11: arms without an experiment cannot be told apart; "
            "write experiments/a.yaml, or remove arms",
        ),
        ({"campaigns/a.yml": FILES[C] + none + why}, "campaigns/a.yml: the file name ends in .yml; rename it a.yaml"),
        (
            {"experiments/sprin.yaml": FILES[E]},
            'experiments/sprin.yaml:1: no campaign campaigns/sprin.yaml; did you mean "spring"?',
        ),
        (
            {"experiments/zzz.yaml": FILES[E]},
            "experiments/zzz.yaml:1: no campaign campaigns/zzz.yaml; known: spring",
        ),
        ({"segments.yaml": ""}, 'campaigns/spring.yaml:5: no segment "mailable"'),
        # not read: read-me files, sub-folders, hidden files
        ({"campaigns/README.md": "x", "campaigns/proposed/x.yaml": ":", "campaigns/.x.yaml": ":"}, ""),
        ({"experiments/metrics.yaml": "", "campaigns/a.yaml": FILES[C] + none + why}, ""),
        (
            {"experiments/metrics.yaml": "visits: {of: visitd, take: any}"},
            'experiments/metrics.yaml:1: no event "visitd"; did you mean "visited"?',
        ),
    ]


@pytest.mark.parametrize(("files", "sentence"), _cases())
def test_files_that_come_and_go(shop: Path, files: dict[str, str], sentence: str) -> None:
    write_files(shop, files)
    assert said(shop) == sentence.splitlines()


def test_missing_template_parts_name_what_is_there(shop: Path) -> None:
    (shop / "templates/hello.txt.j2").unlink()
    assert said(shop) == [
        "campaigns/spring.yaml:8: no template templates/hello.txt.j2; "
        "add it; templates/ has hello.html.j2, hello.sms.j2, hello.subject.j2"
    ]
    for path in (shop / "templates").iterdir():
        path.unlink()
    (shop / "templates/_base.html.j2").touch()
    assert said(shop)[0].endswith("templates/hello.txt.j2; templates/ has no messages yet")


def test_without_campanile_yaml_the_other_files_are_still_checked(change: Change, shop: Path) -> None:
    (shop / P).unlink()
    assert change(C, "growth", "grow") == [
        'campaigns/spring.yaml:1: objective cannot be "grow"; did you mean "growth"?',
        f"campanile.yaml: no such file in {shop}; name the folder that holds it with --project",
    ]


@pytest.mark.parametrize(
    "secret",
    [
        "password: hunter2-hunter2",
        "token: hunter2-hunter2",
        "sender: SG.hunter2hunter2hunter2.hunter2hunter2",
        "username: AC0123456789abcdef0123456789abcdef",
        "host: smtp://me:hunter2@smtp.example.com",
    ],
)
def test_a_pasted_secret_is_refused_and_never_repeated(change: Change, secret: str) -> None:
    sentences = change(P, "sms: {via: outbox}", f"sms: {{via: outbox, {secret}}}")
    cure = "keep it in an environment variable, and name that here: password_env: SMTP_PASSWORD"
    assert sentences == [f"campanile.yaml:4: a password or key does not belong in a committed file; {cure}"]


def test_a_secret_in_a_value_of_the_wrong_kind_is_not_repeated(change: Change) -> None:
    sentences = change(P, "sms: {via: outbox}", "sms: {via: outbox, password_env: hunter2!}")
    assert sentences == [
        "campanile.yaml:4: password_env wants the name of an environment variable; "
        "write it as in password_env: SMTP_PASSWORD"
    ]


_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 200),
    st.sampled_from(["", "email", "30d", "20%", "control", "x"]),
    st.text(max_size=5),
)
_PLAIN = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["did", "who", "a", "kind"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def _places(data: object, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [at, *(place for key, value in items for place in _places(value, (*at, key)))]


def _put(data: Any, at: tuple[Any, ...], value: object) -> object:
    if not at:
        return value
    copy = dict(data) if isinstance(data, dict) else list(data)
    copy[at[0]] = _put(copy[at[0]], at[1:], value)
    return copy


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_anywhere_is_reported_and_never_raises(shop: Path, data: st.DataObject) -> None:
    write_files(shop, FILES)
    file = data.draw(st.sampled_from([C, E, P, S]))
    good = yaml.load(FILES[file], yaml.BaseLoader)
    changed = _put(good, data.draw(st.sampled_from(_places(good))), data.draw(_PLAIN))
    write_files(shop, {file: json.dumps(changed, ensure_ascii=True)})
    for sentence in said(shop):
        place, _, words = sentence.partition(": ")
        assert place.split(":")[0] in FILES
        assert words
        assert "pydantic" not in words
        assert "type=" not in words
        assert "\n" not in words


@pytest.mark.parametrize("file", [C, E, S])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_plain_file_is_a_problem_and_hangs_nothing(
    tmp_path: Path, file: str, make: Callable[[Path], None]
) -> None:
    write_files(tmp_path, FILES)
    (tmp_path / file).unlink()
    make(tmp_path / file)
    assert any("is no file that can be read" in line for line in said(tmp_path))


@pytest.mark.parametrize("start", ["9999-12-31", "0001-01-01"])
def test_a_date_far_away_is_a_problem(tmp_path: Path, start: str) -> None:
    campaign = FILES["campaigns/spring.yaml"].replace("2026-03-05", start)
    write_files(tmp_path, {**FILES, "campaigns/spring.yaml": campaign})
    assert any(f"the date {start} is not between the years 1900 and 2100" in line for line in said(tmp_path))
