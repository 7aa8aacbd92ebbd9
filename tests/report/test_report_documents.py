"""Whole documents against golden files, and the drawings' words against the figures."""

from __future__ import annotations

import csv
import io
import os
from dataclasses import replace
from pathlib import Path

import pytest

from campanile.errors import CampanileError
from campanile.money import Currency
from campanile.report import charts
from campanile.report.compose import document
from campanile.report.document import Account, Table
from campanile.report.files import write_readout
from campanile.report.markdown import markdown
from campanile.report.numbers import LIFT, PERCENT, POINTS, money
from campanile.report.readout import Delivery, Readout

GOLDEN = Path(__file__).parent / "golden"


def test_a_lift_has_its_interval_and_is_withheld_with_it(golden: Readout) -> None:
    found = golden.comparisons[0]
    assert (found.lift_low, found.lift_high) != (None, None)
    limits = LIFT.interval(found.lift_low, found.lift_high)
    assert f"| {LIFT.text(found.lift)} ({limits}) |" in markdown(document(golden))
    bare = replace(found, lift=0.5, lift_low=None, lift_high=None)
    told = markdown(document(replace(golden, comparisons=(bare,))))
    assert "+50%" not in told
    assert "| – |" in told


def test_small_figures_are_not_rounded_away() -> None:
    yen = money(Currency("JPY"), each=True)
    assert (yen.text(0.4), yen.interval(-0.0123, 3.456)) == ("0.40 JPY", "−0.012 to 3.46 JPY")
    assert POINTS.interval(-0.000004, 0.000021) == "−0.0004 to +0.0021 points"
    assert (POINTS.text(-0.0), POINTS.text(-1e-18), money(Currency("CNY")).text(-1e-15)) == (
        "+0.00 points",
        "+0.00 points",
        "0.00 CNY",
    )


@pytest.mark.parametrize(
    ("code", "digits"), [("XOF", 0), ("UGX", 0), ("PYG", 0), ("IQD", 3), ("LYD", 3), ("HUF", 2), ("CLF", 4), ("EUR", 2)]
)
def test_currencies_have_the_decimals_of_iso_4217(code: str, digits: int) -> None:
    assert Currency(code).digits == digits


@pytest.mark.parametrize("name", ["golden", "early", "three_arms"])
def test_document_is_the_golden_one(name: str, request: pytest.FixtureRequest) -> None:
    """Every section, sentence, table and figure. CAMPANILE_GOLDEN=write writes the files anew: read the difference."""
    text = markdown(document(request.getfixturevalue(name)))
    path = GOLDEN / f"{name}.md"
    if os.environ.get("CAMPANILE_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_markdown_tables_are_rectangular(three_arms: Readout) -> None:
    block: list[int] = []
    for line in [*markdown(document(three_arms)).splitlines(), ""]:
        if line.startswith("|"):
            block.append(line.replace("\\|", "").count("|"))
        elif block:
            assert len(set(block)) == 1
            assert len(block) >= 3
            block = []


def test_files_cannot_smuggle_markup_into_markdown(three_arms: Readout) -> None:
    text = markdown(document(three_arms))
    assert "\\<script\\>alert(1)\\</script\\>" in text
    assert "<script>" not in text


def test_rows_have_a_cell_for_every_column(golden: Readout, three_arms: Readout) -> None:
    for readout in (golden, three_arms):
        tables = [
            block for section in document(readout).sections for block in section.blocks if isinstance(block, Table)
        ]
        assert len(tables) >= 3
        assert all(1 + len(cells) == len(table.columns) for table in tables for _, cells in table.rows)


def test_every_label_is_defined(golden: Readout, three_arms: Readout, early: Readout) -> None:
    for readout in (golden, three_arms, early):
        found = document(readout)
        keys = {definition.key for definition in found.definitions}
        used = {
            row.label.key
            for section in found.sections
            for block in section.blocks
            if isinstance(block, Account)
            for row in block.rows
        }
        assert used - {""} <= keys


def test_several_arms_give_one_table_a_figure_with_corrected_p(three_arms: Readout) -> None:
    work = next(section for section in document(three_arms).sections if section.name == "work")
    tables = [block for block in work.blocks if isinstance(block, Table)]
    assert [table.caption.text for table in tables][:2] == ["Response rate (primary)", "Net revenue per customer"]
    assert all(table.columns[-1].key == "p_adjusted" for table in tables)


def test_comparisons_as_csv(golden: Readout, early: Readout, tmp_path: Path) -> None:
    write_readout(golden, tmp_path)
    found = list(csv.DictReader(io.StringIO((tmp_path / "comparisons.csv").read_text(encoding="utf-8"))))
    assert found[0]["metric"] == "response_rate"
    assert float(found[0]["difference"]) == pytest.approx(0.011)
    write_readout(early, tmp_path)
    assert len((tmp_path / "comparisons.csv").read_text(encoding="utf-8").splitlines()) == 1


def test_writing_again_replaces_and_leaves_nothing_else(golden: Readout, early: Readout, tmp_path: Path) -> None:
    write_readout(golden, tmp_path / "a" / "b")
    write_readout(early, tmp_path / "a" / "b")
    shown = (path for path in (tmp_path / "a" / "b").iterdir() if path.is_file())
    assert sorted(path.name for path in shown) == [
        "comparisons.csv", "readout.html", "readout.json", "readout.md",
    ]  # fmt: skip
    assert "No verdict" in (tmp_path / "a" / "b" / "readout.md").read_text(encoding="utf-8")


def test_folder_that_cannot_be_made(golden: Readout, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(CampanileError, match="cannot write the readout in .*Not a directory; a file lies where"):
        write_readout(golden, tmp_path / "file" / "readouts")


class TestDrawings:
    def test_rates(self, golden: Readout) -> None:
        drawing = charts.rates(golden.arms, "response_rate", title="t", unit=PERCENT)
        assert drawing is not None
        assert drawing.description == (
            "control: 2.20% (1.64% to 2.94%) of 2,000 customers; treatment: 3.30% (2.93% to 3.71%) of 8,000 customers."
        )
        assert ">3.30%</text>" in drawing.svg

    def test_differences_mark_the_break_even(self, golden: Readout) -> None:
        found = golden.against_control("response_rate")
        drawing = charts.differences(found, title="t", unit=POINTS, break_even={"treatment": 0.0009})
        assert drawing is not None
        assert "break-even at +0.09 points" in drawing.description
        assert "dashed mark: break-even" in drawing.svg
        plain = charts.differences(found, title="t", unit=POINTS, break_even={})
        assert plain is not None
        assert "break-even" not in plain.svg

    def test_curves_end_at_their_totals(self, golden: Readout) -> None:
        drawing = charts.curves(golden.curves, title="t")
        assert drawing is not None
        assert drawing.description == "control: 44 of 2,000; treatment: 264 of 8,000 by the end."

    def test_nothing_to_draw(self, early: Readout, golden: Readout) -> None:
        assert charts.rates(early.arms, "response_rate", title="t", unit=PERCENT) is None
        assert charts.differences((), title="t", unit=POINTS, break_even={}) is None
        withheld = replace(golden.comparisons[0], low=None, high=None)
        assert charts.differences((withheld,), title="t", unit=POINTS, break_even={}) is None
        assert charts.curves((), title="t") is None
        nobody = tuple(replace(curve, responders=(0,) * 30) for curve in golden.curves)
        assert charts.curves(nobody, title="t") is None
        assert charts.delivery((Delivery("treatment", {}, {}),), title="t") is None

    def test_names_are_text_and_not_formulas(self, golden: Readout) -> None:
        accounts = (Delivery("$x_1$ & <b>", {"accepted": 3, "rejected": 1}, {}),)
        drawing = charts.delivery(accounts, title='a "title" & more')
        assert drawing is not None
        assert "$x_1$ &amp; &lt;b&gt;" in drawing.svg
        assert "a &quot;title&quot; &amp; more" in drawing.svg

    def test_colours_are_the_pages(self, golden: Readout) -> None:
        drawing = charts.curves(golden.curves, title="t")
        assert drawing is not None
        assert "var(--series-0)" in drawing.svg
        assert "#0101" not in drawing.svg
