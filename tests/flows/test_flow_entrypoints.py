"""What `prefect deploy` and the run form read: entrypoints that load, and parameters that become a form."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ENTRYPOINTS = {
    deployment["name"]: deployment["entrypoint"]
    for deployment in yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
}
#: Loads an entrypoint as a worker does: by path, and without the placeholder that hides a broken import.
LOAD = """
import json, sys
from prefect.flows import load_flow_from_entrypoint
flow = load_flow_from_entrypoint(sys.argv[1], use_placeholder_flow=False)
print(json.dumps({"name": flow.name, "schema": flow.parameters.model_dump(), "is_async": flow.isasync}))
"""


@pytest.fixture(scope="module", params=ENTRYPOINTS, ids=str)
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    environment = {**os.environ, "PREFECT_HOME": str(tmp_path_factory.mktemp("prefect")), "DO_NOT_TRACK": "1"}
    command = [sys.executable, "-c", LOAD, ENTRYPOINTS[request.param]]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {"deployment": request.param, **json.loads(done.stdout.splitlines()[-1])}


def test_the_flow_is_the_one_that_is_deployed(loaded: dict[str, object]) -> None:
    assert loaded["name"] == loaded["deployment"]
    assert loaded["is_async"], "a synchronous flow costs a second more"


def test_parameters_are_names_and_choices_only(loaded: dict[str, object]) -> None:
    schema = loaded["schema"]
    assert isinstance(schema, dict)
    campaigns = sorted(path.stem for path in (ROOT / "campaigns").glob("*.yaml"))
    text = json.dumps(schema)
    if loaded["deployment"] == "refresh-customers":
        assert schema["properties"] == {}
        return
    assert "campaign" in schema["properties"]
    for campaign in campaigns:
        assert f'"{campaign}"' in text, "the form offers every committed campaign"
    if loaded["deployment"] == "run-campaign":
        assert set(schema["properties"]) == {"campaign", "mode"}
        assert '"dry-run"' in text
        assert '"send"' in text
