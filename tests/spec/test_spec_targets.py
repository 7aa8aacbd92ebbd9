"""Lists of named conditions: what a name may be, and every problem of a file at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from campanile.errors import ProblemsError
from campanile.spec.project import load_project
from campanile.spec.targets import read_conditions_file
from conftest import ROOT


def test_a_number_is_a_name_too(tmp_path: Path) -> None:
    file = tmp_path / "many.yaml"
    file.write_text("- {name: 1, condition: {did: order}}\n- {name: two, condition: {did: ordr}}\n", encoding="utf-8")
    conditions, errors = read_conditions_file(str(file), load_project(ROOT))
    assert list(conditions) == ["1"]
    assert list(errors) == ["two"]
    assert 'did you mean "order"?' in errors["two"]


def test_what_is_wrong_with_each_item_is_said_of_all(tmp_path: Path) -> None:
    file = tmp_path / "many.yaml"
    file.write_text(
        """\
- {name: true, condition: {did: order}}
- {name: "", condition: {did: order}}
- {condition: {did: order}}
- {name: [a], condition: {did: order}}
- order
- {name: 1, condition: {did: order}}
- {name: "1", condition: {did: order}}
- {name: b}
- {name: c, conditon: {did: order}}
""",
        encoding="utf-8",
    )
    with pytest.raises(ProblemsError) as caught:
        read_conditions_file(str(file), load_project(ROOT))
    write = "write - {name: NAME, condition: {…}}"
    assert str(caught.value).splitlines() == [
        'many.yaml:1: the name wants text, got true; write "true" in quotes',
        f"many.yaml:2: the name wants text, got nothing; {write}",
        f"many.yaml:3: the item has no name; {write}",
        f"many.yaml:4: the name wants text, got a list; {write}",
        f'many.yaml:5: an item has a name and a condition, got text "order"; {write}',
        'many.yaml:7: the name "1" comes twice; give each a name of its own',
        f"many.yaml:8: the item has no condition; {write}",
        f"many.yaml:9: the item has no condition; {write}",
        'many.yaml:9: unknown key "conditon"; did you mean "condition"?',
    ]
