"""The registry as a table: the same rows in every form, money where it belongs, whoever reads it."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest

from campanile.errors import CampanileError, UsageError
from campanile.privacy import redact
from campanile.registry import registry, write_page
from campanile.registry.export import SCHEMA, export
from campanile.report.files import write_readout
from campanile.spec.project import Project
from readout.readout_world import AFTER, ENDS, golden, read
from registry.registry_shop import answer, keep_elsewhere, run, units


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = golden(tmp_path_factory.mktemp("export")).build()
    write_readout(read(project, ENDS - timedelta(days=1)), project.readouts_dir / "winback")
    write_readout(read(project, AFTER), project.readouts_dir / "winback")
    keep_elsewhere(project, "Frühling <b>10%</b>", units(1))
    return project


def test_one_row_for_each_comparison_with_the_money_of_its_treatment(project: Project, tmp_path: Path) -> None:
    assert export(registry(project), tmp_path / "all.parquet") == len(pd.read_parquet(tmp_path / "all.parquet"))
    found = pd.read_parquet(tmp_path / "all.parquet")
    stored = json.loads((project.readouts_dir / "winback" / "readout.json").read_text(encoding="utf-8"))
    own = found[found["experiment"] == "winback"]
    assert list(own["metric"]) == [row["metric"] for row in stored["comparisons"]]
    assert own["incremental_profit"].tolist() == pytest.approx([11068.0] * len(own))
    assert own["primary"].tolist() == [metric == "response_rate" for metric in own["metric"]]
    assert set(own["decision"]) == {"roll_out"}
    parts = found[found["cut"].notna()]
    assert len(parts) == 2 * 2, "two metrics in two levels of one cut"
    assert parts["incremental_profit"].isna().all(), "money is of whole arms"


def test_every_form_has_the_same_rows(project: Project, tmp_path: Path) -> None:
    for ending in ("csv", "json", "parquet"):
        run(project, "experiments", "export", str(tmp_path / f"all.{ending}"))
    parquet = pd.read_parquet(tmp_path / "all.parquet")
    rows = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))["rows"]
    assert list(parquet.columns) == SCHEMA.names == list(rows[0])
    pd.testing.assert_frame_equal(
        pd.read_csv(tmp_path / "all.csv", keep_default_na=False, na_values=[""]),
        parquet.replace("", None),
        check_dtype=False,
    )
    assert [row["difference"] for row in rows] == parquet["difference"].tolist()


def test_all_readouts_or_the_latest(project: Project, tmp_path: Path) -> None:
    latest = answer(project, "experiments", "export", str(tmp_path / "a.csv"))["rows"]
    every = answer(project, "experiments", "export", str(tmp_path / "b.csv"), "--all")["rows"]
    assert every == latest + 1, "the early one has a row of its own, without figures"
    rows = pd.read_csv(tmp_path / "b.csv")
    early = rows[rows["metric"].isna()]
    assert early["decision"].tolist() == ["no_verdict"]
    assert early["difference"].isna().all()


def test_other_endings_and_places_are_refused(project: Project, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"all.xlsx is none of .csv, .json, .parquet; name it registry.csv"):
        export(registry(project), tmp_path / "all.xlsx")
    (tmp_path / "file").write_text("x")
    with pytest.raises(CampanileError, match="cannot be written"):
        export(registry(project), tmp_path / "file" / "all.csv")


def test_an_empty_registry_is_a_table_without_rows(tmp_path: Path) -> None:
    for ending in ("csv", "json", "parquet"):
        assert export((), tmp_path / f"none.{ending}") == 0
    assert list(pd.read_parquet(tmp_path / "none.parquet").columns) == SCHEMA.names


class TestPage:
    def test_links_lead_to_readouts_that_are_there(self, project: Project) -> None:
        text = write_page(project, AFTER).read_text(encoding="utf-8")
        links = {unescape(link) for link in re.findall(r'href="([^"#]+)"', text)}
        assert len(links) == 3, "two readouts of winback, one of the other"
        assert all((project.readouts_dir / unquote(link)).is_file() for link in links)

    def test_names_cannot_become_markup(self, project: Project) -> None:
        text = write_page(project, AFTER).read_text(encoding="utf-8")
        assert "<b>10%" not in text
        assert "Frühling &lt;b&gt;10%&lt;/b&gt;" in text

    def test_is_small_and_without_personal_data(self, project: Project) -> None:
        text = write_page(project, AFTER).read_text(encoding="utf-8")
        assert len(text) < 24_000
        words = re.sub(r"<style>.*?</style>|<[^>]+>", " ", text, flags=re.DOTALL)
        assert redact(words) == words
        assert not re.search(r"\b(con|tre)\d{5}\b", text), "no customer"

    def test_a_readout_renews_it(self, project: Project) -> None:
        (project.readouts_dir / "index.html").unlink()
        run(project, "readout", "winback", "--now", "2026-04-20")
        text = (project.readouts_dir / "index.html").read_text(encoding="utf-8")
        assert "20260419T160000Z" in text

    def test_what_waits_for_somebody_is_said_first(self, tmp_path: Path) -> None:
        project = golden(tmp_path).build()
        from campanile.ledger.store import Ledger

        with Ledger.open(project.ledger_place) as ledger:
            ledger.set_state("p1", "sent")
        text = write_page(project, AFTER).read_text(encoding="utf-8")
        assert text.index("What waits for somebody") < text.index("What is under way?")
        assert "campanile readout winback" in text
        assert "1 can be read now." in text
