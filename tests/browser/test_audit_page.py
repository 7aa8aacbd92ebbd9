"""The page of the audit in a real browser: on a desk and on a phone, by day and night, asking nobody for anything."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from browser.test_readout_page import _CONTRAST, _WIDER, opened
from campanile.customers.audit.findings import Age, Audit, Character, Completeness, Finding, Refusals, Value
from campanile.report.audit import audit_document, judge
from campanile.report.html import html
from campanile.spec.audit import AuditSettings
from campanile.spec.project import load_project
from conftest import AS_OF, ROOT

pytestmark = pytest.mark.browser

READERS = tuple(f"campaigns/a-campaign-with-a-long-name-{number}.yaml" for number in range(6))
LONG = "C" * 40
AUDIT = Audit(
    as_of=AS_OF,
    serial=9,
    customers=2_500_000,
    reachable={"email": 2_100_000, "sms": 1_300_000},
    value=Value(5_357_000, 1_254_000, 141_996_388_000),
    completeness=tuple(Completeness("customers", f"column_{n}", 10 * n, 100, READERS[:n]) for n in range(7)),
    findings=(
        Finding("invalid_email", "customers", "email", 400_000, 2_500_000, "are not written as one", (LONG, LONG)),
        Finding("rare_characters", "customers", "name", 93_000, 2_500_000, "have a rare character in their name"),
        Finding("zero_amounts", "order", "amount", 80, 69_659, "have an amount of zero", ("o1", "o2")),
        Finding("duplicate_orders", "order", "order_id", 0, 69_659, "have the order_id of another one"),
    ),
    ages=(
        Age("order", 69_659, AS_OF - timedelta(days=9), None, stale=True),
        Age("visited", 0, None, None, stale=False),
    ),
    characters=(Character(0x20BB7, "rare", 93), Character(0xFFFD, "replacement", 2)),
    refusals=(Refusals("customers", 100, 3, {"no customer_id": 2, "a quote that is never closed": 1}),),
    unjudged_phones=12,
)


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of an audit with a broken limit, long ids and many readers."""
    project = load_project(ROOT)
    policy = project.settings.policy.model_copy(update={"audit": AuditSettings(invalid_email="at most 5%")})
    project = replace(project, settings=project.settings.model_copy(update={"policy": policy}))
    path = tmp_path_factory.mktemp("audit") / "audit.html"
    path.write_text(html(audit_document(judge(project, AUDIT))), encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_audit_fits_is_legible_and_silent(browser: Browser, page_file: Path, width: int, scheme: str) -> None:
    with opened(browser, page_file, width=width, scheme=scheme) as (page, noise):
        assert page.evaluate(_WIDER) <= 0, "nobody must scroll sideways"
        assert page.evaluate(_CONTRAST) == []
        assert page.locator("h2").first.inner_text() == "Stops campaigns"
        assert noise.complaints == []
        assert noise.asked == []
