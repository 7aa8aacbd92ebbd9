"""`campanile people` on the command line, and an import that merges what it finds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from campanile.cli.main import cli, main
from support.small_project import write_files

_SETTINGS = """\
shop: {{name: Shop, currency: EUR, timezone: UTC}}
channels: {{email: {{via: outbox}}}}
economics: {{margin_rate: 40%, cost_per_message: {{email: 0.01}}}}
policy: {{{policy}}}
import:
  customers: {{file: data/customers.csv}}
"""
_ROWS = """\
customer_id,name,email,phone,registered_at
A,Anna Maas,anna@secret.example,,2020-01-01
B,A. Maas,Anna@secret.example,+49 170 1234567,2019-01-01
C,,,0049170 1234567,2018-01-01
D,Bert,bert@secret.example,,2018-01-01
"""


def ran(root: Path, *words: str) -> Result:
    done = CliRunner().invoke(cli, [*words, "--project", str(root)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "secret" not in done.output
    assert "1234567" not in done.output
    return done


def document(root: Path, *words: str) -> Any:
    return json.loads(ran(root, *words, "--json").stdout)


def shop(root: Path, policy: str) -> Path:
    write_files(root, {"campanile.yaml": _SETTINGS.format(policy=policy), "data/customers.csv": _ROWS})
    return root


def test_an_import_merges_by_itself_and_a_split_stays(tmp_path: Path) -> None:
    root = shop(tmp_path, "people: {automatic: true}")
    imported = document(root, "import")
    assert (imported["people"]["merged"], imported["people"]["examples"]) == (3, [["B", "A", "C"]])
    assert document(root, "people", "match")["examples"] == []
    person = document(root, "people", "show", "C")
    assert person["person_id"] == "B"
    assert [(each["customer_id"], each["rule"]) for each in person["records"]] == [
        ("B", "leads"), ("A", "email"), ("C", "phone"),
    ]  # fmt: skip
    assert document(root, "people", "split", "C") == {"contract": 1, "split": ["C"], "persons": ["B"]}
    assert "4 records, 3 persons" in ran(root, "import").stdout
    shown = ran(root, "people", "show", "C").stdout
    assert "never merged again with A, B" in shown
    assert "split C, B: phone" in shown


def test_without_the_setting_a_look_is_free_and_a_merge_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = shop(tmp_path, "caps: {}")
    assert "people" not in document(root, "import")
    looked = document(root, "people", "match")
    assert (looked["persons"], looked["merged"]) == (2, 0)
    with pytest.raises(SystemExit) as stopped:
        main(["people", "merge", "--project", str(root)])
    assert stopped.value.code == 1
    assert "campanile.yaml does not say which records are one person; write `people: {}`" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["people", "show", "X", "--project", str(root)])
    assert 'no customer "X"' in capsys.readouterr().err
