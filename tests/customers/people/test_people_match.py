"""Which records are found to be one person: all that are planted and can be seen, and nobody else."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import ibis
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ibis.backends.duckdb import Backend

from campanile.customers.people.components import components
from campanile.customers.people.keys import text_key, text_key_of
from campanile.customers.people.matching import match_people
from campanile.customers.people.merging import merge_people
from campanile.customers.people.report import MatchReport
from campanile.errors import CampanileError
from campanile.spec.people import PeopleSettings
from customers.people.people_shop import NOW, Row, groups, pairs_of, planted, project_of, stocked
from support.small_project import FILES, said, write_files


def found(root: Path, rows: list[Row], **rules: object) -> tuple[MatchReport, set[frozenset[str]]]:
    """The report, and the records of each merged person."""
    with stocked(root, rows) as database:
        report = merge_people(database, PeopleSettings(**rules), NOW)
        return report, groups(database)


def row(customer: str, **facts: object) -> Row:
    return {"customer_id": customer, **facts}


def test_precision_and_recall_on_planted_duplicates(tmp_path: Path) -> None:
    shop = planted(200, seed=5)
    report, merged = found(tmp_path, shop.records)
    pairs = pairs_of(merged)
    assert pairs <= shop.pairs, "precision is 1: nobody is merged with somebody else"
    # Of every ten persons one has a duplicate that was typed anew in every field; nothing can find it.
    assert len(pairs) == 100
    assert len(pairs) / len(shop.pairs) == pytest.approx(5 / 6), "recall"
    assert report.persons == len(shop.persons) + 20
    assert report.shared == {"email": 0, "phone": 1, "name_and_address": 0}
    assert report.vetoed == {"birth_date": 20}
    assert report.sizes == {2: 40, 3: 20}
    assert report.merged == sum(len(ids) for ids in merged) == 140


@pytest.mark.parametrize(
    ("rules", "sizes"),
    [(["email"], {2: 40}), (["phone"], {2: 20}), (["name_and_address"], {2: 20}), ([], {})],
)
def test_each_rule_alone(tmp_path: Path, rules: list[str], sizes: dict[int, int]) -> None:
    report, merged = found(tmp_path, planted(200, seed=5).records, match=rules)
    assert Counter(map(len, merged)) == report.sizes == sizes


def test_a_chain_is_one_person_and_too_long_a_chain_is_reported(tmp_path: Path) -> None:
    chain = [row(f"C{n:02d}", email=f"m{n // 2}@x.example", phone=f"17000000{(n + 1) // 2}") for n in range(9)]
    report, merged = found(tmp_path / "short", chain)
    assert merged == {frozenset(each["customer_id"] for each in chain)}
    report, merged = found(tmp_path / "long", chain, largest=8)
    assert merged == set()
    assert report.held == {"too_large": 1}
    assert report.held_examples == (tuple(f"C{n:02d}" for n in range(9)),)
    assert report.persons == 9


@pytest.mark.parametrize(("staff", "together"), [(5, True), (6, False)])
def test_an_office_phone_merges_nobody(tmp_path: Path, staff: int, together: bool) -> None:
    rows = [row(f"C{number}", phone="030 / 555 00 00") for number in range(staff)]
    _, merged = found(tmp_path, rows)
    assert bool(merged) == together


def test_records_left_out_still_make_a_number_shared(tmp_path: Path) -> None:
    rows = [row(f"C{number}", phone="0305550000", is_employee=number < 4) for number in range(6)]
    assert found(tmp_path, rows)[1] == set()


def test_employees_are_left_out_unless_the_setting_lets_them_in(tmp_path: Path) -> None:
    rows = [row("A", email="a@x.example"), row("B", email="a@x.example", is_employee=True)]
    assert found(tmp_path / "out", rows)[1] == set()
    assert found(tmp_path / "in", rows, leave_out=[])[1] == {frozenset("AB")}


LI = {"email": "li@x.example", "gender": "female", "name": "Li Na"}


@pytest.mark.parametrize(
    ("other", "veto", "together"),
    [
        ({"gender": "male", "name": "Li Wei"}, ["gender_and_name"], False),
        ({"gender": "male", "name": "LI  NA"}, ["gender_and_name"], True),
        ({"gender": None, "name": "Li Wei"}, ["gender_and_name"], True),
        ({"name": "Wang Na"}, ["gender_and_name"], True),
        ({"name": "Wang Na"}, ["name"], False),
        ({"gender": "male", "name": "Li Wei"}, [], True),
    ],
)
def test_another_gender_with_another_name_is_somebody_else(
    tmp_path: Path, other: Row, veto: list[str], together: bool
) -> None:
    rows = [row("A", **LI), row("B", **{**LI, **other})]
    report, merged = found(tmp_path, rows, veto=veto)
    assert bool(merged) == together
    assert sum(report.vetoed.values()) == (0 if together else 1)


def test_whom_a_third_record_ties_together_although_they_differ_is_reported_not_merged(tmp_path: Path) -> None:
    born = [pa.scalar(0, pa.date32()).as_py(), pa.scalar(400, pa.date32()).as_py()]
    rows = [
        row("A", email="a@x.example", birth_date=born[0]),
        row("B", email="a@x.example", phone="01700000001"),
        row("C", phone="01700000001", birth_date=born[1]),
    ]
    report, merged = found(tmp_path, rows)
    assert merged == set()
    assert (report.held, report.held_examples) == ({"conflict": 1}, (("A", "B", "C"),))


def test_a_look_changes_nothing(tmp_path: Path) -> None:
    with stocked(tmp_path, [row("A", email="a@x.example"), row("B", email="A@X.example")]) as database:
        report = match_people(database, PeopleSettings(), NOW).report
        assert (report.persons, report.merged, report.examples) == (1, 0, (("A", "B"),))
        assert not database.merged
        assert database.own("people_log").count().execute() == 0


def test_without_customers_it_says_what_to_do(tmp_path: Path) -> None:
    from campanile.customers.database import CustomerDatabase

    with CustomerDatabase.open(project_of(tmp_path)) as database, pytest.raises(CampanileError, match="run campanile"):
        match_people(database, PeopleSettings(), NOW)


LETTERS = st.text(
    st.sampled_from("aZé ÉßıİſK'\"\\-,.;１Ａａ　号路·'\u00a0\u200bΣσςЖж\t\n%|_") | st.characters(max_codepoint=0x2FFF),
    max_size=12,
)


@settings(max_examples=25, deadline=None)
@given(st.lists(LETTERS, min_size=1, max_size=40))
def test_python_and_the_engine_compare_texts_alike(texts: list[str]) -> None:
    texts = [text.replace("\x00", "") for text in texts]
    table = ibis.memtable({"text": texts, "row": range(len(texts))})
    keys = table.mutate(key=text_key_of(table["text"])).order_by("row").to_pyarrow()["key"].to_pylist()
    assert keys == [text_key(text) for text in texts]


def _joined(edges: list[tuple[int, int]]) -> dict[int, int]:
    """Union by the smallest number: an oracle that looks at one pair after the other."""
    label = {end: end for edge in edges for end in edge}
    for one, other in edges:
        low, high = sorted((label[one], label[other]))
        label = {end: low if at == high else at for end, at in label.items()}
    return label


ENDS = st.integers(10, 40)


@pytest.fixture(scope="module")
def backend() -> Backend:
    return ibis.duckdb.connect()


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(ENDS, ENDS).filter(lambda edge: edge[0] != edge[1]), min_size=1), st.randoms())
def test_components_are_those_of_union_find_in_any_order(
    backend: Backend, edges: list[tuple[int, int]], dice: random.Random
) -> None:
    expected = _joined(edges)
    dice.shuffle(edges)
    table = pa.table({"a_id": [str(a) for a, _ in edges], "b_id": [str(b) for _, b in edges]})
    rows = components(backend, backend.create_table("e", table, overwrite=True)).to_pyarrow().to_pylist()
    assert {int(each["customer_id"]): int(each["label"]) for each in rows} == expected


def test_a_long_chain_is_found_whole(backend: Backend) -> None:
    length = 3_000
    table = pa.table({"a_id": [f"{n:05d}" for n in range(length)], "b_id": [f"{n:05d}" for n in range(1, length + 1)]})
    found = components(backend, backend.create_table("e", table, overwrite=True))
    assert found["label"].nunique().execute() == 1


@pytest.mark.parametrize(
    ("people", "says"),
    [
        ("{match: [mail]}", "campanile.yaml:5"),
        ("{shared_by: 1}", "must be 2 at least"),
        ("{leed: [latest_order]}", 'unknown key "leed"; did you mean "lead"?'),
    ],
)
def test_a_wrong_setting_is_a_sentence(tmp_path: Path, people: str, says: str) -> None:
    changed = FILES["campanile.yaml"].replace("economics:", f"policy: {{people: {people}}}\neconomics:")
    write_files(tmp_path, {**FILES, "campanile.yaml": changed})
    problems = said(tmp_path)
    assert len(problems) == 1
    assert says in problems[0]


@pytest.mark.parametrize(("people", "problems"), [("{}", 1), ("{household: address}", 0)])
def test_a_target_may_ask_for_households_that_the_product_computes(tmp_path: Path, people: str, problems: int) -> None:
    changed = FILES["campanile.yaml"].replace("economics:", f"policy: {{people: {people}}}\neconomics:")
    columns = "customer_id: Id, email_consent: Consent, email: Mail"
    changed += f"  customers: {{file: data/customers.csv, columns: {{{columns}}}}}\n"
    campaign = FILES["campaigns/spring.yaml"].replace("target:", "target:\n  one_per: household")
    write_files(tmp_path, {**FILES, "campanile.yaml": changed, "campaigns/spring.yaml": campaign})
    found = [problem for problem in said(tmp_path) if "household" in problem]
    assert len(found) == problems
