"""The index of experiments and the page of a replay in a real browser: on a desk and on a phone."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser

from browser.test_readout_page import _CONTRAST, _WIDER, opened
from campanile.money import Currency
from campanile.registry.page import write_page
from campanile.replay import Series, replay, told
from campanile.report.files import write_readout
from readout.readout_world import AFTER, ENDS, golden, read
from registry.registry_shop import keep_elsewhere, units
from replay.replay_shop import shop, units_of

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Experiments that were read, one with a long name, one under way and one that cannot be read."""
    world = golden(tmp_path_factory.mktemp("index"))
    for name in ("second-campaign-of-a-long-name-indeed", "broken"):
        for folder in ("campaigns", "experiments"):
            world.files[f"{folder}/{name}.yaml"] = world.files[f"{folder}/winback.yaml"]
    world.files["experiments/broken.yaml"] = "hypothesis: [\n"
    project = world.build()
    for moment in (ENDS - timedelta(days=1), AFTER):
        write_readout(read(project, moment), project.readouts_dir / "winback")
    keep_elsewhere(project, "Spring sale, 10% or fifty yuan, by mail and by telephone", units(1))
    return write_page(project, AFTER)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_index_fits_is_legible_and_leads_to_readouts(
    browser: Browser, index: Path, width: int, scheme: str
) -> None:
    with opened(browser, index, width=width, scheme=scheme) as (page, noise):
        assert page.evaluate(_WIDER) <= 0, "nobody must scroll sideways"
        wider = "() => [...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth + 1).length"
        assert page.evaluate(wider) == 0, "no table is cut off"
        assert page.evaluate(_CONTRAST) == []
        page.get_by_role("link", name="winback").first.click()
        page.wait_for_load_state("networkidle")
        assert "winback: Roll out" in page.title()
        assert noise.complaints == []
        assert noise.asked == []


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_of_a_replay_fits_and_is_legible(browser: Browser, tmp_path: Path, width: int) -> None:
    with units_of(shop(tmp_path, 600)) as units:
        path, _ = told.write(replay(units, Currency("CNY"), Series(20)), "winback", tmp_path, ZoneInfo("Asia/Shanghai"))
    with opened(browser, path, width=width, scheme="dark") as (page, noise):
        assert page.evaluate(_WIDER) <= 0, "nobody must scroll sideways"
        assert page.evaluate(_CONTRAST) == []
        assert noise.complaints == []
        assert noise.asked == []
