"""Each fault of a shop made by hand is counted once, where it belongs; nothing of a customer but the id is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from campanile.customers.audit.findings import Audit
from campanile.customers.database import CustomerDatabase
from campanile.customers.profile import ensure_profile
from campanile.plan.sound import whole_audit
from campanile.report.audit import judge
from campanile.report.audit_answers import audit_text, write_audit
from campanile.spec.audit import ADVICE
from campanile.spec.project import Project, load_project
from customers_audit.faulty_shop import NOW, expected, imported, people, write_faulty_shop


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, CustomerDatabase, Audit]]:
    project = write_faulty_shop(tmp_path_factory.mktemp("faulty"))
    with imported(project) as database:
        yield project, database, whole_audit(project, database, NOW)


def test_every_fault_is_counted_once_where_it_belongs(faulty: tuple[Project, CustomerDatabase, Audit]) -> None:
    found: Counter[tuple[str, str, str]] = Counter()
    words: dict[tuple[str, str, str, str], int] = {}
    for each in faulty[2].findings:
        found[each.check, each.table, each.field] += each.count
        if each.count:
            words[each.check, each.table, each.field, each.words] = each.count
    wanted: Counter[tuple[str, str, str]] = Counter()
    for (check, table, field, sentence), count in expected().items():
        wanted[check, table, field] += count
        assert not sentence or words[check, table, field, sentence] == count, (check, sentence)
    assert +found == wanted


def test_every_check_can_find_something(faulty: tuple[Project, CustomerDatabase, Audit]) -> None:
    assert {each.check for each in faulty[2].findings if each.count} == {*ADVICE, "several_a_day"}


def test_the_examples_are_the_rows_with_the_fault(faulty: tuple[Project, CustomerDatabase, Audit]) -> None:
    examples = {each.words: each.examples for each in faulty[2].findings if each.count}
    assert examples["are older than 110 years"] == ("old",)
    assert examples["have the mail address of another one"] == ("fine-0", "same-mail")
    assert examples["have the telephone number of another one"] == ("fine-0", "same-phone")
    assert examples["have the name and the address of another one"] == ("fine-0", "same-place")
    assert examples["got back more than was paid"] == ("overpaid",)
    assert examples["have an amount of zero"] == ("zero",)
    assert examples["have no order line"] == ("bare",)


def test_characters_are_listed_and_names_are_not(faulty: tuple[Project, CustomerDatabase, Audit]) -> None:
    assert {(each.shown, each.kind, each.customers) for each in faulty[2].characters} == {
        ("U+FFFD", "replacement", 1),
        ("U+E001", "private", 1),
        ("U+0007", "control", 1),
        ("U+0378", "unassigned", 1),
        ("U+20BB7 \U00020bb7", "rare", 1),
    }


def test_completeness_says_who_needs_a_field(faulty: tuple[Project, CustomerDatabase, Audit]) -> None:
    columns = {each.column: each for each in faulty[2].completeness if each.table == "customers"}
    assert columns["email"].known == len(people()) - 3 and columns["email"].needed_by == ("messages by email",)
    assert columns["city"].known == len(people()) - 3 and columns["city"].needed_by == ("templates/hello",)
    assert columns["name"].needed_by == ()


def test_nothing_that_is_written_holds_contact_data(
    faulty: tuple[Project, CustomerDatabase, Audit], tmp_path: Path
) -> None:
    judgement = judge(faulty[0], faulty[2])
    texts = [path.read_text(encoding="utf-8") for path in write_audit(judgement, tmp_path)]
    texts.append(audit_text(judgement))
    for person in people().values():
        for field in ("name", "email", "phone", "address"):
            secret = person.get(field, "")
            assert len(secret) < 2 or not [text[:80] for text in texts if secret.strip() in text], secret


def test_ids_that_are_addresses_are_no_examples(tmp_path: Path) -> None:
    project = write_faulty_shop(tmp_path)
    path = tmp_path / "people.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("bad-phone,", "li@shop.example,"), encoding="utf-8")
    with imported(project) as database:
        assert not [each for each in whole_audit(project, database, NOW).findings if each.examples]


def test_nothing_at_or_after_the_moment_is_seen(faulty: tuple[Project, CustomerDatabase, Audit]) -> None:
    project, database, _ = faulty
    early = whole_audit(project, database, NOW.replace(year=2025, month=1, day=11, hour=0))
    orders = next(age for age in early.ages if age.table == "order")
    assert (orders.rows, orders.newest) == (12, NOW.replace(year=2025, month=1, day=10, hour=0))
    assert not early.complete


def test_a_shop_of_customers_only_is_audited(tmp_path: Path) -> None:
    write_faulty_shop(tmp_path)
    settings = (tmp_path / "campanile.yaml").read_text(encoding="utf-8").split("  order:")[0]
    (tmp_path / "campanile.yaml").write_text(settings, encoding="utf-8")
    (tmp_path / "people.csv").write_text("customer_id\na\nb\n", encoding="utf-8")
    project = load_project(tmp_path)
    with imported(project) as database:
        before = whole_audit(project, database, NOW)
        ensure_profile(project, database, NOW)
        found = whole_audit(project, database, NOW)
    assert not [each for each in before.findings if each.count], "nobody knows yet what the product computes"
    assert found.customers == 2 and found.value.orders == 0
    assert [(each.field, each.count) for each in found.findings if each.count] == [
        ("email", 2), ("email_consent", 2), ("city", 2)
    ]  # fmt: skip
