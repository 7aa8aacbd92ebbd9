"""Each command as a person calls it: exit codes, sentences instead of tracebacks, one JSON document when asked."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import duckdb
import ibis
import pytest

from campanile import clock
from campanile.cli.main import COMMANDS, main
from campanile.customers.database import COMMITTED, CustomerDatabase
from campanile.ledger.store import Ledger
from campanile.spec.project import Project
from conftest import DUE, ROOT, planned

AS_OF = ("--as-of", "2026-03-01T09:00")


def campanile(*arguments: str, project: Path = ROOT, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    where = ["--project", str(project), *(["--home", str(home)] if home else [])]
    done = subprocess.run(
        [sys.executable, "-m", "campanile", *arguments, *where],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert "Traceback" not in done.stderr + done.stdout, done.stderr
    return done


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "campanile", command, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: campanile")


def test_wrong_use_is_exit_code_2() -> None:
    assert campanile("paln", "winback").returncode == 2
    unknown = subprocess.run([sys.executable, "-m", "campanile", "paln"], capture_output=True, text=True, check=False)
    assert 'did you mean "plan"?' in unknown.stderr
    assert campanile("plan", "winback", "--as-of", "yesterday").returncode == 2


def test_what_is_still_to_come_cannot_be_read(tmp_path: Path) -> None:
    done = campanile("readout", "winback", "--now", "2090-01-01", home=tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip() == (
        "2090-01-01 has not come yet, and nobody can read what is still to happen; "
        "leave --now out, or give a moment in the past"
    )


def test_an_unknown_campaign_is_answered_with_the_nearest() -> None:
    done = campanile("plan", "winbak")
    assert done.returncode == 2
    assert done.stderr.strip() == 'no campaign "winbak"; did you mean "winback"?'


def test_all_problems_of_all_files_at_once(tmp_path: Path) -> None:
    for folder in ("campaigns", "experiments", "templates"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for name in ("campanile.yaml", "segments.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    edits = {
        "campaigns/winback.yaml": ("channel:", "chanel:"),
        "experiments/winback.yaml": ("treatment: 80%", "treatment: 90%"),
        "templates/winback.txt.j2": ("{{ unsubscribe_link }}", "{{ unsubscribe_lnk }}"),
    }
    for name, (old, new) in edits.items():
        path = tmp_path / name
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    done = campanile("check", project=tmp_path)
    assert done.returncode == 1
    assert "campaigns/winback.yaml:" in done.stderr
    assert 'did you mean "channel"?' in done.stderr
    assert "110%" in done.stderr
    answer = json.loads(campanile("check", "--json", project=tmp_path).stdout)
    assert {problem["file"] for problem in answer["problems"]} >= {"campaigns/winback.yaml", "experiments/winback.yaml"}


def project_with(folder: Path, files: dict[str, str]) -> Path:
    """A copy of the repository's project with these files changed or added."""
    for name in ("campaigns", "experiments", "templates"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("campanile.yaml", "segments.yaml"):
        shutil.copy(ROOT / name, folder / name)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_a_broken_draft_stops_no_other_campaign(shop: Project, tmp_path: Path) -> None:
    planned(shop)
    root = project_with(tmp_path / "project", {"campaigns/zz_draft.yaml": "a: b: c\n"})
    for words in (("status", "winback"), ("run", "winback"), ("import", "ticket"), ("readout", "winback")):
        done = campanile(*words, project=root, home=shop.home)
        assert done.returncode == 0, done.stderr
    own = campanile("plan", "zz_draft", project=root, home=shop.home)
    assert own.returncode == 1
    assert own.stderr.startswith("campaigns/zz_draft.yaml:1: ")


def test_templates_are_checked_whatever_else_is_wrong(tmp_path: Path) -> None:
    template = (ROOT / "templates/winback.txt.j2").read_text(encoding="utf-8").replace("unsubscribe_link", "offer.of")
    root = project_with(
        tmp_path / "project", {"campaigns/zz_draft.yaml": "a: b: c\n", "templates/winback.txt.j2": template}
    )
    done = campanile("check", project=root)
    assert "campaigns/zz_draft.yaml:1: " in done.stderr
    assert 'no customer field or word "offer.of"; did you mean "offer.off"?' in done.stderr


def test_what_was_not_done_before_is_named_with_its_command(tmp_path: Path) -> None:
    planning = campanile("plan", "winback", *AS_OF, home=tmp_path)
    assert planning.returncode == 1
    assert "campanile import" in planning.stderr
    running = campanile("run", "winback", home=tmp_path)
    assert running.returncode == 1
    assert "campanile plan winback" in running.stderr
    assert "campanile plan winback" in campanile("readout", "winback", home=tmp_path).stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("plan", "winbak"), 2),
        (("status", "winbak"), 2),
        (("readout", "winbak"), 2),
        (("rehearse", "winbak"), 2),
        (("import", "tickets"), 2),
        (("schema", "campain"), 2),
        (("preview", "winback", "--count", "0"), 2),
        (("preview", "winback", "--count", "61"), 2),
        (("rehearse", "winback", "--customers", "0"), 2),
        (("rehearse", "winback", "--lift", "-500"), 2),
        (("rehearse", "winback", "--seed", "-1"), 2),
        (("status", "winback"), 1),
        (("readout", "winback"), 1),
    ],
)
def test_a_failure_is_one_document_too(words: tuple[str, ...], code: int, tmp_path: Path) -> None:
    """The sentence on standard error, the document on standard output, nothing made or removed."""
    if words[0] == "schema":
        command = [sys.executable, "-m", "campanile", *words, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    else:
        done = campanile(*words, "--json", home=tmp_path / "stores")
    answer = json.loads(done.stdout)
    assert done.returncode == code
    assert set(answer) == {"contract", "error", "problems"}
    assert (answer["contract"], answer["problems"]) == (1, [])
    assert answer["error"]
    assert answer["error"] in done.stderr
    assert not (tmp_path / "stores").exists()


def test_the_problems_of_a_failure_are_in_its_document(tmp_path: Path) -> None:
    root = project_with(tmp_path / "project", {"campaigns/zz_draft.yaml": "a: b: c\n"})
    done = campanile("status", "zz_draft", "--json", project=root)
    assert done.returncode == 1
    (problem,) = json.loads(done.stdout)["problems"]
    assert (problem["file"], problem["line"]) == ("campaigns/zz_draft.yaml", 1)


@pytest.mark.parametrize("command", [("status",), ("readout",), ("preview",), ("run",), ("resolve", "--as", "resend")])
def test_commands_that_read_make_no_store(tmp_path: Path, command: tuple[str, ...]) -> None:
    deciding = ("--who", "me", "--why", "seen") if command[0] == "resolve" else ()
    done = campanile(command[0], "winback", *command[1:], *deciding, home=tmp_path / "stores")
    assert done.returncode == 1
    said = f"there is no ledger in {tmp_path / 'stores'} yet; run `campanile plan winback`, or name"
    assert said in done.stderr
    assert not (tmp_path / "stores").exists()


def test_a_refused_rehearsal_removes_nothing(tmp_path: Path) -> None:
    earlier = tmp_path / "rehearsal" / "winback" / "kept.txt"
    earlier.parent.mkdir(parents=True)
    earlier.touch()
    for wrong in (("--customers", "0"), ("--lift", "-500")):
        assert campanile("rehearse", "winback", *wrong, home=tmp_path).returncode == 2
    assert earlier.exists()


def test_the_schemas_that_were_written_are_a_document(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from campanile.cli import main; from campanile.spec import schema; "
         "schema.write_schemas = lambda: [schema.FOLDER / 'a.json']; main.main(['schema', '--write', '--json'])"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    answer = json.loads(done.stdout)
    assert answer["contract"] == 1
    assert len(answer["files"]) > 1


def test_a_missing_file_of_the_shop_names_the_mapping(tmp_path: Path) -> None:
    done = campanile("import", home=tmp_path)
    assert done.returncode == 1
    assert "campanile.yaml:" in done.stderr
    assert "data/customers.csv" in done.stderr


@pytest.mark.parametrize("store", ["ledger.sqlite", "customers.duckdb"])
def test_a_damaged_store_is_a_sentence(shop: Project, store: str) -> None:
    planned(shop)
    path = shop.home / store
    size = path.stat().st_size
    for side in shop.home.glob(f"{store}-*"):
        side.unlink()
    path.write_bytes(b"not a database at all " * (size // 22))
    done = campanile("plan", "winback", *AS_OF, home=shop.home)
    assert done.returncode == 1
    assert store in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3


def test_a_locked_customer_database_names_who_holds_it(shop: Project) -> None:
    code = f"import duckdb, time; c = duckdb.connect({str(shop.database_path)!r}); print(1, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            holder.stdout.readline()
            done = campanile("plan", "winback", *AS_OF, home=shop.home)
            assert done.returncode == 1
            assert str(holder.pid) in done.stderr
        finally:
            holder.kill()


def test_a_mail_server_that_is_down_loses_nothing(own_shop: Callable[[], Project]) -> None:
    project = own_shop()
    plan = planned(project)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = project.root / "campanile.yaml"
    settings.write_text(settings.read_text(encoding="utf-8").replace("port: 1025", f"port: {port}"), encoding="utf-8")
    done = campanile(
        "run", "winback", "--mode", "send", "--now", "2026-03-05T10:30", project=project.root, home=project.home
    )
    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr or str(port) in done.stderr
    status = json.loads(campanile("status", "winback", "--json", project=project.root, home=project.home).stdout)
    assert status["due"] == status["planned"] == plan.load.messages


def test_the_whole_way_answers_in_json(shop: Project) -> None:
    plan = json.loads(campanile("plan", "winback", *AS_OF, "--json", home=shop.home).stdout)
    assert sum(plan["arms"].values()) == plan["audience"]
    preview = json.loads(campanile("preview", "winback", "--count", "3", "--json", home=shop.home).stdout)
    assert preview["messages"] == 3
    assert Path(preview["page"]).exists()
    dry = json.loads(campanile("run", "winback", "--json", "--now", "2026-03-05T10:30", home=shop.home).stdout)
    states = ("accepted", "rejected", "unknown", "suppressed", "expired", "held", "due", "claimed")
    assert sum(dry[state] for state in states) == dry["planned"] == plan["messages"]
    early = json.loads(campanile("readout", "winback", "--now", "2026-03-10", "--json", home=shop.home).stdout)
    assert early["verdict"]["decision"] == "no_verdict"


def test_sigterm_stops_cleanly_and_a_second_run_goes_on(own_shop: Callable[[], Project]) -> None:
    """Against a mail server that takes its time."""
    project = own_shop()
    plan = planned(project)
    from campanile.rehearsal.mailbox import mailbox, received

    mails = project.home / "mails"
    with mailbox(mails) as port:
        settings = project.root / "campanile.yaml"
        text = settings.read_text(encoding="utf-8").replace("port: 1025", f"port: {port}")
        settings.write_text(text.replace("security: none", "security: none\n    connections: 1"), encoding="utf-8")
        command = [
            sys.executable, "-m", "campanile", "run", "winback", "--mode", "send", "--now", "2026-03-05T10:30",
            "--project", str(project.root), "--home", str(project.home), "--json",
        ]  # fmt: skip
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
        deadline = time.monotonic() + 60
        while not received(mails) and time.monotonic() < deadline:
            time.sleep(0.01)
        child.send_signal(signal.SIGTERM)
        out, err = child.communicate(timeout=60)
        assert "Traceback" not in err
        first = json.loads(out)
        assert first["unknown"] <= 3
        assert first["claimed"] == 0
        second = campanile(
            "run",
            "winback",
            "--mode",
            "send",
            "--now",
            "2026-03-05T10:30",
            "--json",
            project=project.root,
            home=project.home,
        )
        final = json.loads(second.stdout)
    assert final["due"] == 0
    assert final["accepted"] + final["unknown"] == len(received(mails))
    assert final["accepted"] + final["rejected"] + final["unknown"] == plan.load.messages
    with Ledger.open(project.ledger_path) as ledger:
        assert ledger.first_hand_over(plan.plan_id) == DUE


@pytest.mark.parametrize("moment", ["0001-01-01", "9999-12-31T23:59-12:00", "1969-12-31", "2101-01-01"])
def test_a_moment_nobody_can_reckon_with_is_wrong_use(moment: str) -> None:
    done = campanile("plan", "winback", "--as-of", moment)
    assert done.returncode == 2
    assert "is not between the years 1970 and 2100" in done.stderr


def test_a_plan_from_the_future_is_wrong_use() -> None:
    done = campanile("plan", "winback", "--as-of", f"{clock.now() + timedelta(days=2):%Y-%m-%d}")
    assert done.returncode == 2
    assert "is in the future; leave it out" in done.stderr


@pytest.mark.parametrize(
    ("wrong", "command", "said"),
    [
        ("previews", ("preview", "winback"), "cannot be written (File exists); a file lies where a folder should be"),
        ("readouts", ("readout", "winback"), "cannot write the readout in"),
    ],
)
def test_a_file_where_a_folder_should_be_is_a_sentence(
    shop: Project, wrong: str, command: tuple[str], said: str
) -> None:
    planned(shop)
    (shop.home / wrong).write_text("a file")
    done = campanile(*command, home=shop.home)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_damaged_snapshot_is_a_sentence(shop: Project) -> None:
    snapshot = shop.home / planned(shop).snapshot
    content = bytearray(snapshot.read_bytes())
    content[len(content) // 3 : len(content) // 2] = os.urandom(len(content) // 2 - len(content) // 3)
    snapshot.write_bytes(content)
    done = campanile("readout", "winback", home=shop.home)
    assert done.returncode == 1
    assert "the snapshot" in done.stderr
    assert "restore it from a backup" in done.stderr


def test_what_nobody_foresaw_is_one_sentence_without_contact_data(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for error, said in (
        (
            NotADirectoryError(20, "Not a directory", "/x/ana@mail.example"),
            "/x/[address]: Not a directory; a file lies",
        ),
        (OSError(28, "No space left on device"), "No space left on device; free some disk space"),
        (OverflowError("date value out of range"), "too large to reckon with"),
        (duckdb.ConversionException("could not convert ana@mail.example"), "fails (ConversionException); restore it"),
        (
            duckdb.TransactionException('Failed to commit: Cannot open file "ana@mail.example": Permission denied'),
            "the customer database may not be written; check who owns its folder",
        ),
        (json.JSONDecodeError("x", "ana@mail.example", 0), "a stored document cannot be read"),
    ):
        monkeypatch.setattr("campanile.cli.main.cli.main", Raise(error))
        with pytest.raises(SystemExit) as ended:
            main([])
        assert ended.value.code == 1
        told = capsys.readouterr().err
        assert said in told
        assert "ana@mail.example" not in told
        assert len(told.splitlines()) == 1


class Raise:
    """Something that raises when it is called."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __call__(self, **_: object) -> None:
        raise self.error


def test_the_audience_of_a_campaign_is_the_one_that_is_planned(shop: Project) -> None:
    """Also when what other plans are about to send was last counted for somebody else."""
    plan = planned(shop)
    with CustomerDatabase.open(shop) as database:
        customers = database.table("customers").select("customer_id")
        sent = {"channel": ibis.literal("email"), "at": ibis.timestamp("2026-03-05 02:00:00")}
        committed = ibis.union(customers, customers).mutate(**sent)
        database.store_own(COMMITTED, committed)
    done = campanile("audience", "campaigns/winback.yaml", *AS_OF, "--json", home=shop.home)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["size"] == plan.audience
    assert [(line["line"], line["left"]) for line in told["waterfall"]] == [(s.line, s.left) for s in plan.waterfall]
