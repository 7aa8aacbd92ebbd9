"""The page: well-formed, self-contained, escaped, explained, readable in light, dark and print."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from campanile.report.compose import document
from campanile.report.html import html
from campanile.report.readout import Readout

#: Elements that never have an end tag.
_VOID = {"meta", "link", "br", "img", "hr", "input"}
READOUTS = ("golden", "early", "three_arms")
_DRAWN: dict[int, str] = {}


class Page(HTMLParser):
    """Every element with its attributes; notes what is not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.faults: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if len(dict(attrs)) != len(attrs):
            self.faults.append(f"{tag} has an attribute twice")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes something else")

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data.strip())

    def attributes(self, name: str) -> list[str]:
        return [value for _, attrs in self.elements if (value := attrs.get(name)) is not None]

    @property
    def text(self) -> str:
        return " ".join(filter(None, self.words))


@pytest.fixture(scope="session", params=READOUTS)
def page(request: pytest.FixtureRequest) -> Page:
    return page_of(request.getfixturevalue(request.param))


def page_of(readout: Readout) -> Page:
    return Page(source_of(readout))


def source_of(readout: Readout) -> str:
    """The page of a readout, drawn once."""
    if id(readout) not in _DRAWN:
        _DRAWN[id(readout)] = html(document(readout))
    return _DRAWN[id(readout)]


def test_well_formed(page: Page) -> None:
    assert page.faults == []
    assert page.open == []
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))


def test_nothing_leaves_the_page(page: Page) -> None:
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "iframe", "img", "object", "embed", "form", "base"}
    assert all(target.startswith("#") for target in (*page.attributes("href"), *page.attributes("xlink:href")))
    assert page.attributes("src") == []
    assert not [name for _, attrs in page.elements for name in attrs if name.startswith("on")]


def test_no_address_of_the_web_in_the_source(golden: Readout, three_arms: Readout) -> None:
    for readout in (golden, three_arms):
        source = source_of(readout)
        assert not re.search(r"https?:|//\w|@import|url\((?!#)|<!ENTITY|javascript:", source)


def test_policy_forbids_everything_but_its_own_style(page: Page) -> None:
    policies = [attrs["content"] for tag, attrs in page.elements if tag == "meta" and "http-equiv" in attrs]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"]


def test_links_lead_somewhere(page: Page) -> None:
    ids = set(page.attributes("id"))
    assert {target[1:] for target in page.attributes("href")} <= ids
    assert {name for value in page.attributes("aria-labelledby") for name in value.split()} <= ids


def test_every_figure_has_its_definition_on_hover_and_in_the_appendix(page: Page) -> None:
    terms = [attrs for tag, attrs in page.elements if tag == "a" and attrs.get("class") == "term"]
    assert len(terms) > 10
    for attrs in terms:
        assert len(attrs["title"] or "") > 20
        assert attrs["title"] in page.text


def test_drawings_can_be_heard(page: Page) -> None:
    drawings = [attrs for tag, attrs in page.elements if tag == "svg"]
    assert drawings
    assert all(attrs["role"] == "img" and attrs["aria-labelledby"] for attrs in drawings)
    assert len([tag for tag, _ in page.elements if tag == "desc"]) == len(drawings)


def test_words_of_files_are_text(three_arms: Readout) -> None:
    page = page_of(three_arms)
    assert "<script>alert(1)</script> against control" in page.text
    assert '10% beats 50 yuan & "both" beat <nothing>.' in page.text
    assert "折扣 10%" in page.text


def test_verdict_comes_first_and_in_money(golden: Readout) -> None:
    text = page_of(golden).text
    order = [
        "Roll out", "11,068 CNY", "Can it be trusted?", "Did it work?", "Did it pay?", "Did it do harm?",
        "What became of the messages?", "What was agreed beforehand?", "How this was computed", "What the figures mean",
    ]  # fmt: skip
    body = text[text.index("Campaign readout") :]
    headings = [body.index("Roll out"), body.index("11,068 CNY")]
    after = body.rindex("How this was computed", 0, body.index("Yes: nothing was found"))
    places = [body.index(name, after - 200) for name in order[2:]]
    assert headings[0] < headings[1] < places[0]
    assert places == sorted(places)


def test_early_page_shows_no_effect(early: Readout) -> None:
    text = page_of(early).text
    assert "No verdict yet: the window ends on 2026-04-04 10:30." in text
    assert text.count("Not shown before the window ends on 2026-04-04 10:30") == 2
    for figure in ("3.30%", "2.20% in control", "11,068", "+1.10", "88.0"):
        assert figure not in text.replace("Control showed 2.20%", "")


def test_page_without_trust_warns_and_hides_the_money_headline(three_arms: Readout) -> None:
    page = page_of(three_arms)
    warning = "A check that ends trust has failed: these figures must not be used to decide."
    assert page.text.count(warning) == 2
    headline = page.text[: page.text.index(warning)]
    assert "Incremental profit" not in headline
    assert "Window ended" in headline


def test_same_readout_gives_the_same_bytes(golden: Readout) -> None:
    assert html(document(golden)) == source_of(golden)


def test_no_date_of_making_in_the_drawings(golden: Readout) -> None:
    source = source_of(golden)
    assert "<metadata" not in source
    assert "Matplotlib" not in source


class TestColours:
    """WCAG 2.2: text 4.5 to 1, drawings 3 to 1, in light, dark and print."""

    @pytest.fixture(params=["light", "dark", "print"])
    def palette(self, request: pytest.FixtureRequest, golden: Readout) -> dict[str, str]:
        source = source_of(golden)
        blocks = re.findall(r":root \{(.*?)\}", source, flags=re.DOTALL)
        assert len(blocks) == 3
        base, dark, printed = (dict(re.findall(r"(--[\w-]+): (#\w{6})", block)) for block in blocks)
        return {"light": base, "dark": {**base, **dark}, "print": {**base, **printed}}[request.param]

    def test_text_is_readable(self, palette: dict[str, str]) -> None:
        for ink in ("--ink", "--muted", "--link"):
            for paper in ("--page", "--surface"):
                assert contrast(palette[ink], palette[paper]) >= 4.5, (ink, paper)

    def test_words_on_their_soft_ground_are_readable(self, palette: dict[str, str]) -> None:
        for tone in ("good", "care", "bad", "plain"):
            assert contrast(palette[f"--{tone}"], palette[f"--{tone}-soft"]) >= 4.5, tone
            assert contrast(palette["--ink"], palette[f"--{tone}-soft"]) >= 4.5, tone
            assert contrast(palette["--muted"], palette[f"--{tone}-soft"]) >= 4.5, tone

    def test_drawings_stand_out(self, palette: dict[str, str]) -> None:
        for name in (*(f"--series-{number}" for number in range(6)), "--good", "--care", "--bad", "--wait"):
            assert contrast(palette[name], palette["--surface"]) >= 3, name


def contrast(first: str, second: str) -> float:
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
