"""What `prefect deploy` and the run form read: entrypoints that load, and parameters that become a form."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOYMENTS = {
    deployment["name"]: deployment
    for deployment in yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
}
#: Loads entrypoints as a worker does, by path and without the placeholder that hides a broken import, and then the
#: deployments that `python -m flows.serve` makes.
LOAD = """
import asyncio, json, sys
from prefect.flows import load_flow_from_entrypoint
flows = [load_flow_from_entrypoint(path, use_placeholder_flow=False) for path in sys.argv[1:]]
loaded = {
    flow.name: {"schema": flow.parameters.model_dump(), "is_async": flow.isasync, "description": flow.description}
    for flow in flows
}
from flows.serve import deployments
served = {d.name: {"entrypoint": d.entrypoint, "tags": d.tags, "schedules": [
    {"cron": each.schedule.cron, "timezone": each.schedule.timezone} for each in d.schedules or ()
]} for d in asyncio.run(deployments())}
print(json.dumps({"loaded": loaded, "served": served}))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a process beside the project's files makes of them."""
    environment = {**os.environ, "PREFECT_HOME": str(tmp_path_factory.mktemp("prefect")), "DO_NOT_TRACK": "1"}
    environment.pop("CAMPANILE_PROJECT", None)
    command = [sys.executable, "-c", LOAD, *(deployment["entrypoint"] for deployment in DEPLOYMENTS.values())]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_the_flow_is_the_one_that_is_deployed(told: dict[str, Any], name: str) -> None:
    assert told["loaded"][name]["is_async"], "a synchronous flow costs a second more"
    assert told["loaded"][name]["description"]


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_serving_deploys_what_the_file_says(told: dict[str, Any], name: str) -> None:
    file, served = DEPLOYMENTS[name], told["served"][name]
    assert served["entrypoint"] == file["entrypoint"]
    assert sorted(served["tags"]) == sorted(file["tags"])
    assert served["schedules"] == file.get("schedules", [])


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_parameters_are_names_and_choices_only(told: dict[str, Any], name: str) -> None:
    schema = told["loaded"][name]["schema"]
    choices = {kind: values["enum"] for kind, values in schema["definitions"].items()}
    assert all("$ref" in each for each in schema["properties"].values()), "every parameter is a drop-down"
    assert all(each["description"] for each in schema["properties"].values())
    if name not in {"refresh-customers", "dispatch-due", "reconcile-responses"}:
        assert choices.pop("CampaignName") == sorted(path.stem for path in (ROOT / "campaigns").glob("*.yaml"))
    if name == "run-campaign":
        assert choices.pop("Mode") == ["dry-run", "send"]
        assert schema["properties"]["mode"]["default"] == "dry-run"
    assert choices == {}
