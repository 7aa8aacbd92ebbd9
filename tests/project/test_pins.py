"""The pins that a newer release could lift. When one of these fails, the upper bound in pyproject.toml may go."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKS = ("requirements.lock", "requirements-spark.lock")
CAPPED = {"fastapi": "0.151", "duckdb": "2.0.0", "sqlglot": "30.1.0", "sqlalchemy": "2.1.0"}


def locked(lock: str = LOCKS[0]) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9_.-]+)==(\S+)", (ROOT / lock).read_text(), flags=re.MULTILINE))


@pytest.mark.parametrize(("package", "broken"), CAPPED.items())
def test_known_broken_releases_stay_out(package: str, broken: str) -> None:
    requirement = next(r for r in map(Requirement, PROJECT["dependencies"]) if r.name == package)
    assert not requirement.specifier.contains(broken), f"{package} {broken} breaks Prefect or Ibis"


def test_the_environment_is_the_locked_one() -> None:
    for package, version in locked().items():
        assert importlib.metadata.version(package) == version


def test_the_lock_covers_every_requirement() -> None:
    wanted = [*PROJECT["dependencies"], *(r for extra in PROJECT["optional-dependencies"].values() for r in extra)]
    both = locked() | locked("requirements-spark.lock")
    for requirement in map(Requirement, wanted):
        version = both[requirement.name.lower()]
        assert requirement.specifier.contains(version), requirement


@pytest.mark.parametrize("lock", LOCKS)
def test_the_lock_has_hashes_and_names_no_host(lock: str) -> None:
    text = (ROOT / lock).read_text()
    entries = re.split(r"\n(?=[a-z])", text.strip())
    assert len(entries) == len(locked(lock))
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text
    assert "index-url" not in text


def test_prefect_server_app_can_be_built() -> None:
    """FastAPI 0.151 and later break here with a TypeError, and `pip check` says nothing."""
    from prefect.server.api.server import create_app

    assert any(route.path == "/api" for route in create_app(ephemeral=True, webserver_only=True).routes)
