"""The readout in a real browser: on a desk and on a phone, by day and by night, asking nobody for anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from browser.conftest import Noise
from campanile.report.compose import document
from campanile.report.html import html
from campanile.report.readout import Readout
from report.conftest import early, golden, three_arms  # noqa: F401 - fixtures

pytestmark = pytest.mark.browser

#: A colour's share of light, as WCAG 2.2 defines relative luminance, and the contrast of two.
_CONTRAST = """
() => {
  const light = colour => {
    const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (!/, 0\\)$/.test(colour) && colour !== 'transparent') return colour;
    }
    return getComputedStyle(document.documentElement).backgroundColor;
  };
  const poor = [];
  for (const element of document.querySelectorAll('body *:not(svg *)')) {
    const said = [...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!said || !element.offsetParent) continue;
    const [a, b] = [light(getComputedStyle(element).color), light(behind(element))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) poor.push(element.textContent.trim().slice(0, 40));
  }
  return poor;
}
"""
_WIDER = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


@contextmanager
def opened(browser: Browser, path: Path, *, width: int, scheme: str) -> Iterator[tuple[Page, Noise]]:
    """The page as that screen shows it, and what it did besides."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page, noise = context.new_page(), Noise()
    noise.listen(page)
    page.goto(path.as_uri())
    page.wait_for_load_state("networkidle")
    yield page, noise
    context.close()


@pytest.fixture(scope="module")
def pages(
    tmp_path_factory: pytest.TempPathFactory,
    golden: Readout,  # noqa: F811
    early: Readout,  # noqa: F811
    three_arms: Readout,  # noqa: F811
) -> dict[str, Path]:
    """Readouts as files, by name."""
    folder = tmp_path_factory.mktemp("pages")
    made = {"golden": golden, "early": early, "three_arms": three_arms}
    for name, readout in made.items():
        (folder / f"{name}.html").write_text(html(document(readout)), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in made}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["golden", "early", "three_arms"])
def test_the_page_fits_is_legible_and_silent(
    browser: Browser, pages: dict[str, Path], name: str, width: int, scheme: str
) -> None:
    with opened(browser, pages[name], width=width, scheme=scheme) as (page, noise):
        assert page.evaluate(_WIDER) <= 0, "nobody must scroll sideways"
        assert page.evaluate(_CONTRAST) == []
        assert noise.complaints == []
        assert noise.asked == []
