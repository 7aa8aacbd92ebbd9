"""A shop with a campaign that has run, and experiments from elsewhere beside it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from click.testing import CliRunner

from campanile.cli.main import cli
from campanile.spec.project import Project

SPEC: dict[str, Any] = {
    "hypothesis": "Mail lifts visits.",
    "from": {"arm": "arm", "control": "control", "unit": None},
    "metrics": {"visit": {"column": "visit", "kind": "rate"}, "spend": {"column": "spend", "kind": "money"}},
    "primary": {"metric": "visit", "window": "14d"},
    "cuts": ["city"],
    "economics": {"margin_rate": "40%", "fixed": 500},
    "split": {"control": "20%", "mail": "80%"},
}


def run(project: Project, *words: str) -> str:
    """What a command prints; it has to do its work."""
    here = ["--project", str(project.root), "--home", str(project.home)]
    done = CliRunner().invoke(cli, [*words, *here], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def answer(project: Project, *words: str) -> Any:
    return json.loads(run(project, *words, "--json"))


def units(seed: int, rate: float = 0.07) -> pd.DataFrame:
    """Five thousand units, a fifth of them control, of whom one in twenty visits."""
    rng = np.random.default_rng(seed)
    arm = np.repeat(["control", "mail"], [1000, 4000])
    visit = (rng.random(5000) < np.where(arm == "mail", rate, 0.05)).astype(int)
    spend = np.where(visit == 1, rng.lognormal(4, 0.5, 5000).round(2), 0.0)
    return pd.DataFrame({"arm": arm, "visit": visit, "spend": spend, "city": rng.choice(["a", "b"], 5000)})


def keep_elsewhere(project: Project, name: str, frame: pd.DataFrame, *more: str, **changes: Any) -> str:
    """Reads a table into the registry under that name."""
    folder = project.root / "elsewhere"
    folder.mkdir(exist_ok=True)
    frame.to_parquet(folder / "units.parquet", index=False)
    spec: Path = folder / "spec.yaml"
    told = {key: value for key, value in {"experiment": name, **SPEC, **changes}.items() if value is not ...}
    spec.write_text(yaml.safe_dump(told, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return run(project, "readout", "--from", str(folder / "units.parquet"), "--experiment", str(spec), *more)
