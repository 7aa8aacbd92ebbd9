"""A readout is computed again from what was kept with it: to the last figure, and without any customer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from campanile.cli.main import cli
from campanile.errors import CampanileError
from campanile.readout.evidence import read_again
from campanile.report.files import write_readout
from campanile.report.jsonable import jsonable
from readout.readout_world import DUE, World, golden, read
from readout.test_readout_parts import rows, world


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, object], Path]:
    """The JSON of a readout, and the evidence that was written beside it."""
    table = rows()
    table = table.assign(revenue=table["orders"] * table["each"])
    readout = read(world(tmp_path_factory.mktemp("kept"), table).build())
    folder = tmp_path_factory.mktemp("files")
    write_readout(readout, folder)
    return jsonable(readout), folder / "evidence.json"


def test_every_figure_comes_out_again(kept: tuple[dict[str, object], Path]) -> None:
    before, evidence = kept
    assert jsonable(read_again(evidence)) == before
    assert {"arms", "comparisons", "economics", "otherwise", "heterogeneity"} <= before.keys()
    assert all(before[key] for key in ("comparisons", "economics", "otherwise", "heterogeneity"))


def test_money_case_comes_out_again_with_curves_and_deviations(tmp_path: Path) -> None:
    readout = read(golden(tmp_path / "shop").build())
    write_readout(readout, tmp_path)
    again = read_again(tmp_path / "evidence.json")
    assert replace(again, evidence=None) == replace(readout, evidence=None)


def test_evidence_of_before_past_campaigns_were_kept_is_still_read(
    kept: tuple[dict[str, object], Path], tmp_path: Path
) -> None:
    values = json.loads(kept[1].read_text(encoding="utf-8"))
    del values["past"]
    (tmp_path / "evidence.json").write_text(json.dumps(values), encoding="utf-8")
    assert jsonable(read_again(tmp_path / "evidence.json"))["comparisons"] == kept[0]["comparisons"]


def test_command_needs_no_project(kept: tuple[dict[str, object], Path], tmp_path: Path) -> None:
    before, evidence = kept
    found = CliRunner().invoke(cli, ["readout", "--again", str(evidence), "--json"])
    assert json.loads(found.output) == before
    assert CliRunner().invoke(cli, ["readout", "winback", "--again", str(evidence)]).exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_evidence_names_no_customer(kept: tuple[dict[str, object], Path]) -> None:
    text = kept[1].read_text(encoding="utf-8")
    assert not [customer for customer in rows()["customer"] if customer in text]


def test_nothing_is_kept_before_the_window_ends(tmp_path: Path) -> None:
    early = World(tmp_path / "shop", {"control": 5, "treatment": 10})
    readout = read(early.build(), now=DUE)
    paths = write_readout(readout, tmp_path / "files")
    assert "evidence.json" not in {path.name for path in paths}
    assert readout.evidence is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda values: values.update(evidence=99), "holds evidence of version 99"),
        (lambda values: values.pop("evidence"), "holds no evidence"),
        (lambda values: values.pop("arms"), "is damaged"),
        (lambda values: values["setting"].update(zone="Nowhere/Land"), "is damaged"),
    ],
)
def test_damaged_evidence_is_a_sentence(
    kept: tuple[dict[str, object], Path], tmp_path: Path, change: object, said: str
) -> None:
    values = json.loads(kept[1].read_text(encoding="utf-8"))
    change(values)
    broken = tmp_path / "evidence.json"
    broken.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(CampanileError, match=said):
        read_again(broken)
    broken.write_text("{", encoding="utf-8")
    with pytest.raises(CampanileError, match="is no JSON"):
        read_again(broken)
    with pytest.raises(CampanileError, match="cannot read"):
        read_again(tmp_path / "none.json")
