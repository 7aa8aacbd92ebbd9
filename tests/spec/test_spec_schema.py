"""The committed JSON Schemas are those of the models, accept what the loader accepts, and every key is explained."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from campanile.spec.check import read_file
from campanile.spec.schema import FOLDER, MODELS, json_schemas, reference_markdown, schema_text, write_reference
from campanile.spec.sentences import from_file, models_in
from campanile.spec.vocabulary import load_vocabulary
from support.small_project import FILES, write_files

ROOT = Path(__file__).parents[2]
KINDS = {
    "campaign": "campaigns/*.yaml",
    "experiment": "experiments/*.yaml",
    "project": "campanile.yaml",
    "elsewhere": "examples/elsewhere/*.yaml",
    "segments": "segments.yaml",
}


def _json(value: object) -> object:
    if isinstance(value, dict):
        return {key: _json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_json(item) for item in value]
    return float(value) if isinstance(value, Decimal) else value


def _errors(kind: str, path: Path, root: Path) -> list[str]:
    validator = Draft202012Validator(json_schemas()[kind])
    return [error.message for error in validator.iter_errors(_json(read_file(root, path).data))]


@pytest.mark.parametrize("kind", KINDS)
def test_committed_schemas_are_those_of_the_models(kind: str) -> None:
    committed = (FOLDER / f"{kind}.schema.json").read_text(encoding="utf-8")
    assert committed == schema_text(json_schemas()[kind]), "run: campanile schema --write"
    Draft202012Validator.check_schema(json_schemas()[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_every_committed_file_fits_its_schema_and_names_it(kind: str) -> None:
    paths = [path for path in ROOT.glob(KINDS[kind]) if path.name != "metrics.yaml"]
    assert paths
    for path in paths:
        assert _errors(kind, path, ROOT) == []
        first = path.read_text(encoding="utf-8").splitlines()[0]
        named = first.removeprefix("# yaml-language-server: $schema=")
        assert (path.parent / named).resolve() == FOLDER / f"{kind}.schema.json"


def test_the_small_project_fits_too(shop: Path) -> None:
    for kind, pattern in KINDS.items():
        for path in shop.glob(pattern):
            assert _errors(kind, path, shop) == []


@pytest.mark.parametrize(
    ("kind", "file", "old", "new"),
    [
        ("campaign", "campaigns/spring.yaml", "objective", "objctive"),
        ("campaign", "campaigns/spring.yaml", "kind: coupon", "kind: cupon"),
        ("campaign", "campaigns/spring.yaml", "stage: active", "stage: {is: active}"),
        ("campaign", "campaigns/spring.yaml", "stage: active", "did: bougt"),
        ("campaign", "campaigns/spring.yaml", "2026-03-05", "5.3.2026"),
        ("campaign", "campaigns/spring.yaml", '"10:30"', "25:00"),
        ("campaign", "campaigns/spring.yaml", "amount: 50", "amount: fifty"),
        ("campaign", "campaigns/spring.yaml", "use: email", "use: fax"),
        ("experiment", "experiments/spring.yaml", "20%", "20"),
        ("experiment", "experiments/spring.yaml", "30d", "30 days"),
        ("experiment", "experiments/spring.yaml", "under 1%", "below 1%"),
        ("experiment", "experiments/spring.yaml", "below 0.3 points", "beneath 0.3 points"),
        ("experiment", "experiments/spring.yaml", "response_rate", "[response_rate]"),
        ("project", "campanile.yaml", "EUR", "RMB"),
        ("project", "campanile.yaml", "via: outbox", "via: pigeon"),
        ("project", "campanile.yaml", "{file: data/lines.csv}", "{file: data/lines.csv, columns: {sku: [a]}}"),
        ("segments", "segments.yaml", "email_consent: true", "did: ordr"),
    ],
)
def test_a_broken_file_fails(shop: Path, kind: str, file: str, old: str, new: str) -> None:
    assert old in FILES[file]
    write_files(shop, {file: FILES[file].replace(old, new, 1)})
    assert _errors(kind, shop / file, shop) != []


def _all_models() -> Iterator[type[BaseModel]]:
    waiting: list[type[BaseModel]] = list(MODELS.values())
    while waiting:
        model = waiting.pop()
        yield model
        waiting += [inner for info in model.model_fields.values() for inner in models_in(info.annotation)]


def test_every_field_is_described_in_one_line() -> None:
    for model in _all_models():
        for name, info in model.model_fields.items():
            assert info.description, f"{model.__name__}.{name}"
            assert info.description.endswith("."), f"{model.__name__}.{name}"
            assert "\n" not in info.description


def test_the_reference_has_every_key_and_every_field() -> None:
    pages = reference_markdown()
    assert set(pages) == set(KINDS)
    text = "\n".join(pages.values())
    for model in _all_models():
        for name, info in model.model_fields.items():
            if not from_file(info.json_schema_extra):
                assert f"| `{info.alias or name}` |" in text
    for word in (*load_vocabulary().fields, *load_vocabulary().events):
        assert f"`{word}`" in pages["segments"]


def test_reference_tables_have_four_cells_a_row() -> None:
    for kind in MODELS:
        rows = [line for line in reference_markdown()[kind].splitlines() if line.startswith("|")]
        assert len(rows) > 5
        for row in rows:
            assert row.replace("\\|", "").count("|") == 5, row
            assert "||" not in row.replace("|---", "")


def test_defaults_are_shown_as_they_would_be_written() -> None:
    pages = reference_markdown()
    rows: dict[str, str] = {}
    for page in pages.values():
        rows |= {line.split(" | ")[0]: line for line in page.splitlines() if line.startswith("| `")}
    expected: dict[str, Any] = {
        "quiet": "`21:00-09:00`",
        "deadline": "`3d`",
        "alpha": "`5%`",
        "power": "`80%`",
        "fixed": "`0`",
        "objective": "**required**",
    }
    for key, default in expected.items():
        assert rows[f"| `{key}`"].split(" | ")[2] == default


def test_pages_are_written_by_kind(tmp_path: Path) -> None:
    written = write_reference(tmp_path / "reference")
    assert {path.name for path in written} == {f"{kind}.md" for kind in KINDS}
    assert all(path.read_text(encoding="utf-8").startswith("# ") for path in written)
