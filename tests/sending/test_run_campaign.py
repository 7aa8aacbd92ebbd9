"""Whole runs: from the frozen plan to messages that are accounted for."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from campanile.channels import ChannelUnavailableError
from campanile.errors import CampanileError, UsageError
from campanile.events import MessageState
from campanile.ledger import Ledger
from campanile.sending.lock import sender_lock
from campanile.sending.run import RunReport, open_dispatch, run_campaign
from campanile.sending.sample import write_preview
from campanile.sending.status import status, status_text
from campanile.spec.project import Project, load_project
from support.plans import NOW, message_id, planned, several
from support.sent_project import write_plan, write_project
from support.smtp_sink import Sink, SinkSettings, running_sink, wait_until

ZONE = ZoneInfo("Asia/Shanghai")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return write_project(tmp_path)


def send(project: Project, **changes: object) -> RunReport:
    return run_campaign(project, "winback", mode="send", now=lambda: changes.get("now", NOW))  # type: ignore[arg-type,return-value]


def account(project: Project) -> dict[str, object]:
    with Ledger.open(project.ledger_path) as ledger:
        plan = ledger.plan("winback")
        assert plan is not None
        return status(ledger, plan)


def mails(project: Project) -> set[str]:
    return {path.stem for path in (project.outbox_dir / "winback" / "1").glob("*.eml")}


class TestSend:
    def test_hands_everything_over_and_says_so(self, project: Project) -> None:
        write_plan(project, several(25))
        report = send(project)
        assert report.to_json() == {
            "contract": 1, "campaign": "winback", "wave": "1", "state": "sent", "planned": 25, "accepted": 25,
            "rejected": 0, "unknown": 0, "suppressed": 0, "expired": 0, "held": 0, "due": 0, "claimed": 0,
            "paused": None, "mode": "send", "stopped": False, "next_due": None,
        }  # fmt: skip
        assert mails(project) == {message_id("winback", n) for n in range(25)}
        assert "25  accepted" in report.text(ZONE)

    def test_the_mail_is_the_campaigns_own(self, project: Project) -> None:
        write_plan(project, [planned(1, variables={"name": "Ana"})])
        send(project)
        (path,) = (project.outbox_dir / "winback" / "1").glob("*.eml")
        content = path.read_text(encoding="utf-8")
        assert "Hello Ana" in content
        assert "To: c1@mail.example" in content
        assert f"<{message_id('winback', 1)}@" in content

    def test_again_sends_nothing_even_when_the_server_is_gone(self, tmp_path: Path) -> None:
        with running_sink() as sink:
            project = write_project(tmp_path, port=sink.port)
            write_plan(project, several(5))
            send(project)
            assert len(sink.taken) == 5
        assert send(project).status["accepted"] == 5

    def test_batches_go_one_after_the_other(self, project: Project) -> None:
        write_plan(project, [planned(n, batch=n // 4) for n in range(10)])
        told: list[tuple[int, int]] = []
        run_campaign(project, "winback", mode="send", now=lambda: NOW, progress=lambda *seen: told.append(seen))
        assert told[-1] == (10, 10)
        assert [done for done, _ in told] == sorted(done for done, _ in told)

    def test_what_is_due_later_waits_and_the_report_says_until_when(self, project: Project) -> None:
        later = NOW + timedelta(hours=2)
        write_plan(project, [planned(1), planned(2, due_at=later)])
        report = send(project)
        assert (report.status["accepted"], report.status["due"], report.status["state"]) == (1, 1, "sending")
        assert report.next_due == later
        assert "next due 2026-03-05 12:30 (Asia/Shanghai); run again from then on" in report.text(ZONE)
        assert send(project, now=later).status["state"] == "sent"

    def test_before_the_first_moment_nothing_begins(self, project: Project) -> None:
        write_plan(project, several(3))
        report = send(project, now=NOW - timedelta(minutes=1))
        assert (report.status["state"], report.status["due"]) == ("planned", 3)
        with Ledger.open(project.ledger_path) as ledger:
            assert ledger.registration("winback", "1") is None
        write_plan(project, several(4), plan_id="new")

    def test_the_experiment_is_registered_at_the_first_send(self, project: Project) -> None:
        plan = write_plan(project, several(3))
        send(project)
        with Ledger.open(project.ledger_path) as ledger:
            kept = ledger.registration("winback", "1")
        assert kept is not None
        assert (kept.plan_id, kept.fingerprint, kept.at) == (plan.plan_id, plan.fingerprint, NOW)
        assert '"hello.txt.j2"' in kept.spec_json

    def test_quiet_hours_are_the_plans_own(self, project: Project) -> None:
        write_plan(project, several(3))
        night = NOW.replace(hour=14)
        report = send(project, now=night)
        assert (report.status["held"], report.status["accepted"]) == (3, 0)
        assert report.next_due == night.replace(day=6, hour=1, minute=0)


class TestDryRun:
    def test_renders_everything_and_hands_nothing_over(self, project: Project) -> None:
        messages = [
            *(planned(n) for n in range(6)),
            planned(6, due_at=NOW + timedelta(hours=1)),
            planned(7, expires_at=NOW),
            planned(8, zone="Europe/Madrid"),
        ]
        plan = write_plan(project, messages)
        with Ledger.open(project.ledger_path) as ledger:
            ledger.suppress("email", "c0@mail.example", reason="x", source="y", at=NOW)
        report = run_campaign(project, "winback", mode="dry-run", now=lambda: NOW)
        assert report.would == {"now": 5, "later": 1, "held": 1, "suppressed": 1, "expired": 1}
        assert sum(report.would.values()) == report.status["planned"]
        assert report.status["due"] == 9
        assert not project.outbox_dir.exists()
        assert "nothing was handed over" in report.text(ZONE)
        with Ledger.open(project.ledger_path) as ledger:
            assert ledger.registration("winback", "1") is None
            assert not ledger.begun(plan.plan_id)

    def test_finds_the_message_that_cannot_be_rendered(self, project: Project) -> None:
        write_plan(project, [*several(3), planned(4, variables={})])
        with pytest.raises(CampanileError, match=message_id("winback", 4)) as caught:
            run_campaign(project, "winback", mode="dry-run", now=lambda: NOW)
        assert "templates/hello" in str(caught.value)
        assert "mail.example" not in str(caught.value)

    def test_needs_no_server_and_no_lock(self, tmp_path: Path) -> None:
        project = write_project(tmp_path, port=1)
        write_plan(project, several(3))
        with sender_lock(project.ledger_path):
            report = run_campaign(project, "winback", mode="dry-run", now=lambda: NOW)
        assert report.would is not None
        assert report.would["now"] == 3


class TestRefusals:
    def test_without_a_plan(self, project: Project) -> None:
        with pytest.raises(CampanileError, match="winback is not planned; run `campanile plan winback`"):
            send(project)

    def test_of_a_campaign_that_does_not_exist(self, project: Project) -> None:
        with pytest.raises(CampanileError, match='no campaign "winbak"; did you mean "winback"'):
            run_campaign(project, "winbak", mode="send")

    def test_of_a_mode_that_does_not_exist(self, project: Project) -> None:
        with pytest.raises(UsageError, match='no mode "sent"; did you mean "send"'):
            run_campaign(project, "winback", mode="sent")

    @pytest.mark.parametrize("mode", ["send", "dry-run"])
    def test_of_a_snapshot_that_is_not_the_planned_one(self, project: Project, mode: str) -> None:
        plan = write_plan(project, several(3))
        (project.home / plan.snapshot).write_bytes(b"somebody else's arms")
        with pytest.raises(CampanileError, match="is not the one that was planned"):
            run_campaign(project, "winback", mode=mode, now=lambda: NOW)
        (project.home / plan.snapshot).unlink()
        with pytest.raises(CampanileError, match=r"cannot be read \(No such file"):
            run_campaign(project, "winback", mode=mode, now=lambda: NOW)
        assert account(project)["due"] == 3

    @pytest.mark.parametrize(
        ("file", "part"), [("templates/hello.txt.j2", "templates"), ("campaigns/winback.yaml", "campaign")]
    )
    def test_of_files_that_changed_since_the_plan(self, tmp_path: Path, file: str, part: str) -> None:
        project = write_project(tmp_path)
        write_plan(project, several(3))
        path = tmp_path / file
        path.write_text(path.read_text().replace("Hello", "Dear").replace("amount: 50", "amount: 60"))
        with pytest.raises(
            CampanileError, match=f"{part} of winback changed since it was planned; run `campanile plan"
        ):
            send(load_project(tmp_path))
        assert not project.outbox_dir.exists()

    @pytest.mark.parametrize(
        ("before", "after", "part"),
        [
            ("Shop <news@m.example.com>", "Rival <news@rival.example.com>", "channels"),
            ('"reply_to": "a@m.example.com"', '"reply_to": "b@m.example.com"', "channels"),
            ('"unsubscribe_mailto": "a@m.example.com"', '"unsubscribe_mailto": "b@m.example.com"', "channels"),
            ("https://t.example.com", "https://rival.example.com", "shop"),
            ("1 Example Road", "2 New Street", "shop"),
        ],
    )
    def test_of_settings_that_recipients_see_changed_between_two_sends(
        self, tmp_path: Path, before: str, after: str, part: str
    ) -> None:
        write_project(tmp_path, reply_to="a@m.example.com", unsubscribe_mailto="a@m.example.com")
        path = tmp_path / "campanile.yaml"
        project = load_project(tmp_path)
        write_plan(project, [planned(1), planned(2, due_at=NOW + timedelta(hours=1))])
        send(project)
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after))
        with pytest.raises(CampanileError, match=f"{part} of winback changed since it was planned, and its first"):
            send(load_project(tmp_path), now=NOW + timedelta(hours=1))

    def test_but_not_of_another_way_to_the_server(self, tmp_path: Path) -> None:
        project = write_project(tmp_path, connections=2)
        write_plan(project, [planned(1), planned(2, due_at=NOW + timedelta(hours=1))])
        send(project)
        with running_sink() as sink:
            moved = write_project(tmp_path, port=sink.port, connections=1)
            assert send(moved, now=NOW + timedelta(hours=1)).status["accepted"] == 2

    def test_of_files_that_changed_between_two_sends(self, tmp_path: Path) -> None:
        project = write_project(tmp_path)
        write_plan(project, [planned(1), planned(2, due_at=NOW + timedelta(hours=1))])
        send(project)
        path = tmp_path / "templates/hello.txt.j2"
        before = path.read_text()
        path.write_text(before.replace("Hello", "Dear"))
        with pytest.raises(CampanileError, match="its first messages are out; restore the committed files"):
            send(project, now=NOW + timedelta(hours=1))
        path.write_text(before)
        assert send(project, now=NOW + timedelta(hours=1)).status["state"] == "sent"

    def test_to_make_new_keys_where_the_old_ones_signed_links(self, project: Project) -> None:
        write_plan(project, [planned(1), planned(2, due_at=NOW + timedelta(hours=1))])
        send(project)
        keys = project.home / "token.keys"
        kept = keys.read_bytes()
        keys.unlink()
        with pytest.raises(
            CampanileError, match=r"the keys for links .*token\.keys are gone.*restore them from a backup"
        ):
            send(project, now=NOW + timedelta(hours=1))
        assert not keys.exists()
        keys.write_bytes(kept)
        keys.chmod(0o600)
        assert send(project, now=NOW + timedelta(hours=1)).status["state"] == "sent"

    def test_by_a_server_that_is_down_leaves_everything_due(self, tmp_path: Path) -> None:
        project = write_project(tmp_path, port=1)
        write_plan(project, several(3))
        with pytest.raises(ChannelUnavailableError, match=r"the mail server 127\.0\.0\.1:1 refuses connections"):
            send(project)
        found = account(project)
        assert (found["due"], found["state"]) == (3, "planned")

    def test_by_a_wrong_password_leaves_everything_due(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SHOP_SMTP", "wrong")
        with running_sink(SinkSettings(login=("shop", "right"))) as sink:
            project = write_project(tmp_path, port=sink.port, username="shop", password_env="SHOP_SMTP")
            write_plan(project, several(3))
            with pytest.raises(ChannelUnavailableError, match="refuses the login of shop"):
                send(project)
        assert account(project)["due"] == 3


class TestCopies:
    def test_a_copied_ledger_cannot_send_but_can_be_read(self, tmp_path: Path) -> None:
        project = write_project(tmp_path / "shop")
        write_plan(project, several(3))
        shutil.copytree(tmp_path / "shop", tmp_path / "copy")
        copy = load_project(tmp_path / "copy")
        with pytest.raises(CampanileError, match="is a copy or was moved: it belongs to .*/shop/runs/ledger.sqlite"):
            send(copy)
        assert account(copy)["due"] == 3
        assert run_campaign(copy, "winback", mode="dry-run", now=lambda: NOW).would is not None
        assert send(project).status["accepted"] == 3
        assert not copy.outbox_dir.exists()

    def test_an_old_backup_in_the_same_place_cannot_send(self, project: Project) -> None:
        write_plan(project, several(3))
        backup = project.home / "backup"
        shutil.copy(project.ledger_path, backup)
        send(project)
        project.ledger_path.rename(project.home / "broken")
        backup.rename(project.ledger_path)
        with pytest.raises(CampanileError, match="does not know what was sent since"):
            send(project)

    def test_a_person_may_say_that_it_was_moved(self, tmp_path: Path) -> None:
        project = write_project(tmp_path / "shop")
        write_plan(project, several(3))
        (tmp_path / "shop").rename(tmp_path / "moved")
        moved = load_project(tmp_path / "moved")
        with pytest.raises(CampanileError, match="campanile run winback --mode send --moved-here"):
            send(moved)
        report = run_campaign(moved, "winback", mode="send", now=lambda: NOW, moved=True)
        assert report.status["accepted"] == 3
        assert not send(moved).stopped

    def test_a_ledger_that_never_said_where_it_lies_says_it_at_the_first_send(self, tmp_path: Path) -> None:
        project = write_project(tmp_path / "shop")
        write_plan(project, [planned(1), planned(2, due_at=NOW + timedelta(hours=1))])
        with Ledger.open(project.ledger_path) as ledger, ledger.writing() as connection:
            connection.exec_driver_sql("DELETE FROM meta WHERE key = 'place'")
        assert send(project).status["accepted"] == 1
        shutil.copytree(tmp_path / "shop", tmp_path / "copy")
        with pytest.raises(CampanileError, match="is a copy or was moved"):
            send(load_project(tmp_path / "copy"), now=NOW + timedelta(hours=1))


class TestTwoSenders:
    def test_a_link_to_the_ledger_is_the_same_ledger(self, project: Project, tmp_path: Path) -> None:
        write_plan(project, several(3))
        (tmp_path / "other").mkdir()
        link = tmp_path / "other" / "ledger.sqlite"
        link.symlink_to(project.ledger_path)
        said = pytest.raises(CampanileError, match="is already sending")
        with sender_lock(project.ledger_path), said, sender_lock(link):
            pass

    def test_a_folder_in_the_way_of_the_lock_is_named(self, project: Project) -> None:
        write_plan(project, several(3))
        project.ledger_path.with_name("ledger.sqlite.sender").mkdir()
        with pytest.raises(CampanileError, match=r"ledger\.sqlite\.sender cannot be opened \(Is a directory\)"):
            send(project)

    def test_the_second_is_told_who_is_sending(self, project: Project) -> None:
        write_plan(project, several(3))
        with sender_lock(project.ledger_path):
            with pytest.raises(CampanileError, match=f"process {os.getpid()} is already sending") as caught:
                send(project)
            assert f"kill {os.getpid()}" in str(caught.value)
        assert send(project).status["accepted"] == 3

    def test_at_once_send_each_message_once(self, tmp_path: Path) -> None:
        with running_sink() as sink:
            project = write_project(tmp_path, port=sink.port)
            write_plan(project, several(150))
            code = (
                "import sys; from pathlib import Path; from support.plans import NOW;"
                "from campanile.errors import CampanileError; from campanile.sending.run import run_campaign;"
                "from campanile.spec.project import load_project\n"
                "try: run_campaign(load_project(Path(sys.argv[1])), 'winback', mode='send', now=lambda: NOW)\n"
                "except CampanileError as error: print(error)"
            )
            senders = [_python(code, str(tmp_path)) for _ in range(3)]
            said = [sender.communicate(timeout=120)[0] for sender in senders]
            assert all("is already sending" in text for text in said if text), said
            assert len(sink.recipients()) == len(set(sink.recipients())) == 150
        assert account(project)["accepted"] == 150

    def test_the_kernel_frees_the_lock_of_a_killed_sender(self, project: Project) -> None:
        code = (
            "import sys, time; from pathlib import Path; from campanile.sending.lock import sender_lock\n"
            "with sender_lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"
        )
        project.home.mkdir(exist_ok=True)
        holder = _python(code, str(project.ledger_path))
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(CampanileError, match=f"process {holder.pid} is already"), sender_lock(project.ledger_path):
            pass
        holder.kill()
        holder.wait()
        with sender_lock(project.ledger_path):
            path = project.ledger_path.with_name("ledger.sqlite.sender")
            assert path.read_text() == str(os.getpid())
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            with path.open() as other, pytest.raises(BlockingIOError):
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


class TestSignals:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_end_the_run_gently(self, tmp_path: Path, number: signal.Signals) -> None:
        with running_sink(SinkSettings(pause=0.01)) as sink:
            project = write_project(tmp_path, port=sink.port)
            write_plan(project, several(160))
            threading.Thread(target=_signal_after, args=(sink, 20, number), daemon=True).start()
            report = send(project)
            assert report.stopped
            assert report.status["claimed"] == report.status["unknown"] == 0
            taken = len(sink.taken)
            assert report.status["accepted"] == taken
            assert 20 <= taken < 100
            assert "stopped; run again to go on" in report.text(ZONE)
            assert not send(project).stopped
            assert len(sink.recipients()) == len(set(sink.recipients())) == 160

    def test_leave_no_trace_behind(self, project: Project) -> None:
        before = signal.getsignal(signal.SIGTERM)
        write_plan(project, several(3))
        send(project)
        assert signal.getsignal(signal.SIGTERM) is before

    def test_a_run_outside_the_main_thread_works_too(self, project: Project) -> None:
        write_plan(project, several(3))
        reports: list[RunReport] = []
        thread = threading.Thread(target=lambda: reports.append(send(project)))
        thread.start()
        thread.join(60)
        assert reports[0].status["accepted"] == 3


class TestDispatch:
    def test_a_flow_sends_batch_by_batch(self, project: Project) -> None:
        write_plan(project, [planned(n, batch=n % 3) for n in range(9)])

        async def flow() -> list[int]:
            async with open_dispatch(project, "winback", now=lambda: NOW) as dispatch:
                tallies = await asyncio.gather(*(dispatch.send(batch) for batch in dispatch.batches))
            return [tally[MessageState.ACCEPTED] for tally in tallies]

        assert asyncio.run(flow()) == [3, 3, 3]
        assert account(project)["state"] == "sent"


class TestStatus:
    def test_is_complete_and_adds_up(self, project: Project) -> None:
        write_plan(project, several(4))
        found = account(project)
        states = [state.value for state in MessageState]
        assert set(states) | {"contract", "campaign", "wave", "state", "planned", "paused"} == set(found)
        assert sum(int(str(found[state])) for state in states) == found["planned"] == 4

    def test_in_words_leaves_empty_states_out(self) -> None:
        text = status_text({"campaign": "winback", "wave": "1", "state": "sending", "planned": 1200, "unknown": 3})
        assert "1,200  planned" in text
        assert "campanile resolve" in text
        assert "rejected" not in text


class TestPreview:
    def test_shows_samples_without_addresses_or_live_links(self, project: Project) -> None:
        write_plan(project, (planned(n, variables={"name": f"Ana{n}"}) for n in range(20)))
        with Ledger.open(project.ledger_path) as ledger:
            path, shown = write_preview(project, "winback", ledger, count=5)
        page = path.read_text(encoding="utf-8")
        assert shown == 5
        assert page.count("Hello Ana") >= 5
        assert "mail.example" not in page
        assert "/u/sample" in page
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def _python(code: str, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


def _signal_after(sink: Sink, count: int, number: signal.Signals) -> None:
    wait_until(lambda: len(sink.taken) >= count, 60)
    os.kill(os.getpid(), number)
    os.kill(os.getpid(), number)


@pytest.fixture(autouse=True)
def _no_signal_escapes() -> Iterator[None]:
    """A signal that a test sends and nobody catches must fail that test, not end pytest."""
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    yield
    signal.signal(signal.SIGTERM, before)
