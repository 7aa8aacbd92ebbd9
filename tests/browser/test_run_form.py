"""The operator's way: a form in Prefect's UI plans and sends a campaign, and what it came to is seen there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser, Locator, Page, expect

from browser.prefect_world import PrefectServer, SmallShop, prefect_server, process, small_shop, wait_for
from campanile.cli.main import cli
from support.smtp_sink import Sink, running_sink

pytestmark = pytest.mark.browser


@dataclass
class Desk:
    """What the operator has: the UI with a served project, and a mail server to watch."""

    server: PrefectServer
    shop: SmallShop
    sink: Sink
    page: Page

    def open_form(self) -> None:
        """Shows the form of `run-campaign`."""
        found = wait_for(self._deployment, seconds=90, what="the deployment")
        self.page.goto(f"{self.server.url}/deployments/deployment/{found['id']}/run")
        self.page.get_by_role("button", name="Submit").wait_for()

    def field(self, name: str) -> Locator:
        """The input of one parameter."""
        return self.page.locator(".schema-form-property").filter(has_text=name).locator(".p-select").first

    def choices(self, name: str) -> list[str]:
        """What a parameter's drop-down offers; left open."""
        self.field(name).locator(".p-select-button__icon").click()
        options = self.page.locator(".p-select-option")
        options.first.wait_for()
        return options.all_inner_texts()

    def choose(self, name: str, value: str) -> None:
        """Picks a value as a person does: by the arrow, then the line."""
        assert value in self.choices(name)
        self.page.locator(".p-select-option").get_by_text(value, exact=True).click()
        expect(self.field(name)).to_have_text(value)

    def submit(self, run: str) -> str:
        """The state in which the run of that name ended."""
        self.page.get_by_role("button", name="Submit").click()
        self.page.wait_for_url("**?tab=Runs", timeout=120_000)
        return str(wait_for(lambda: self._ended(run), seconds=120, what=f"the end of {run}"))

    def _deployment(self) -> Any:
        served = self.server.post("/deployments/filter", {})
        return next((each for each in served if each["name"] == "run-campaign"), None)

    def _ended(self, name: str) -> str | None:
        found = self.server.post("/flow_runs/filter", {"flow_runs": {"name": {"any_": [name]}}})
        states = [run["state"]["type"] for run in found]
        return next((state for state in states if state in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}), None)


@pytest.fixture(scope="module")
def desk(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    with running_sink() as sink:
        shop = small_shop(folder / "project", port=sink.port, campaigns={"spring": (1, "30d"), "autumn": (1, "30d")})
        imported = CliRunner().invoke(cli, ["import", "--project", str(shop.root)])
        assert imported.exit_code == 0, imported.output
        with prefect_server(folder / "prefect") as server:
            environment = {**server.environment, **shop.environment}
            with process([sys.executable, "-m", "flows.serve"], environment, folder / "serve.log"):
                yield Desk(server, shop, sink, browser.new_page(viewport={"width": 1280, "height": 1000}))


def test_the_form_offers_campaigns_and_starts_with_the_dry_run(desk: Desk) -> None:
    desk.open_form()
    assert desk.field("mode").inner_text() == "dry-run"
    assert desk.choices("campaign") == ["autumn", "spring"]
    desk.page.keyboard.press("Escape")


def test_from_the_form_a_campaign_is_planned_and_sent_once(desk: Desk) -> None:
    desk.open_form()
    desk.choose("campaign", "spring")
    assert desk.submit("spring-dry-run") == "COMPLETED"
    assert desk.sink.recipients() == []
    desk.open_form()
    desk.choose("campaign", "spring")
    desk.choose("mode", "send")
    assert desk.submit("spring-send") == "COMPLETED"
    sent = desk.sink.recipients()
    assert len(sent) == len(set(sent)) > 200


def test_what_it_came_to_is_seen_in_the_ui(desk: Desk) -> None:
    """Runs last: looks at what the test before it left."""
    found = desk.server.post("/flow_runs/filter", {"flow_runs": {"name": {"any_": ["spring-send"]}}})
    desk.page.goto(f"{desk.server.url}/runs/flow-run/{found[0]['id']}")
    desk.page.get_by_text("Completed", exact=True).first.wait_for()
    desk.page.get_by_role("tab", name="Artifacts").or_(desk.page.get_by_text("Artifacts", exact=True)).first.click()
    for artifact in ("send-spring", "status-spring", "progress-spring"):
        desk.page.get_by_text(artifact).first.wait_for(timeout=15_000)
    everything = desk.page.locator("body").inner_text()
    assert [word for word in desk.shop.contact_data if word in everything] == []
