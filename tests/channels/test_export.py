"""Lists for others to send: whole, harmless, and never with the same person twice."""

from __future__ import annotations

import asyncio
import csv
import errno
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from python_calamine import CalamineWorkbook

from campanile.channels import ChannelUnavailableError, export
from campanile.channels.export import JOURNAL, ExportChannel, strike
from campanile.events import Message, Outcome, Receipt
from campanile.spec.settings import ChannelSettings
from support.plans import message_id


def channel(folder: Path, **changes: object) -> ExportChannel:
    return ExportChannel(ChannelSettings(via="export", **changes), folder / "winback" / "1")


def sms(number: int, text: str = "Hello", to: str = "") -> Message:
    return Message(message_id("winback", number), "sms", to or f"+86138001{number:05d}", text=text)


def hand_over(channel: ExportChannel, messages: list[Message], *, close: bool = True) -> list[Receipt]:
    async def run() -> list[Receipt]:
        await channel.open()
        receipts = await asyncio.gather(*(channel.hand_over(message) for message in messages))
        if close:
            await channel.close()
        return receipts

    return asyncio.run(run())


def lists(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "winback" / "1").iterdir() if path.name != JOURNAL)


def rows(folder: Path, name: str) -> list[list[str]]:
    path = folder / "winback" / "1" / name
    if path.suffix == ".xlsx":
        return CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0).to_python()  # type: ignore[return-value]
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


class TestLists:
    @pytest.mark.parametrize("format_", ["csv", "xlsx"])
    def test_hold_every_message_once(self, tmp_path: Path, format_: str) -> None:
        receipts = hand_over(channel(tmp_path, format=format_), [sms(n, "【优选】你好, “x”\n换行") for n in range(100)])
        assert {receipt.outcome for receipt in receipts} == {Outcome.ACCEPTED}
        found = rows(tmp_path, f"winback-1-001.{format_}")
        assert found[0] == ["message_id", "to", "subject", "text", "html"]
        assert sorted(row[0] for row in found[1:]) == sorted(message_id("winback", n) for n in range(100))
        assert {row[3] for row in found[1:]} == {"【优选】你好, “x”\n换行"}

    def test_have_numbers_and_hold_what_no_other_holds(self, tmp_path: Path) -> None:
        hand_over(channel(tmp_path), [sms(n) for n in range(5)])
        receipts = hand_over(channel(tmp_path), [sms(n) for n in range(3, 8)])
        assert [receipt.detail for receipt in receipts] == ["written before"] * 2 + ["written"] * 3
        assert lists(tmp_path) == ["winback-1-001.csv", "winback-1-002.csv"]
        second = [row[0] for row in rows(tmp_path, "winback-1-002.csv")[1:]]
        assert sorted(second) == sorted(message_id("winback", n) for n in (5, 6, 7))

    def test_are_not_made_when_there_is_nothing_new(self, tmp_path: Path) -> None:
        hand_over(channel(tmp_path), [sms(1)])
        (tmp_path / "winback" / "1" / "winback-1-001.csv").unlink()  # whoever took it moved it away
        hand_over(channel(tmp_path), [sms(1)])
        asyncio.run(channel(tmp_path).close())
        assert lists(tmp_path) == []

    def test_are_for_their_owner_only(self, tmp_path: Path) -> None:
        hand_over(channel(tmp_path), [sms(1)])
        for path in (tmp_path / "winback" / "1").iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600

    @pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "＝1", "＠x"])
    def test_hold_no_formula(self, tmp_path: Path, text: str) -> None:
        hand_over(channel(tmp_path), [sms(1, text)])
        assert rows(tmp_path, "winback-1-001.csv")[1][3] == f"'{text}"
        assert rows(tmp_path, "winback-1-001.csv")[1][1] == "8613800100001"

    def test_as_sheets_hold_text_only(self, tmp_path: Path) -> None:
        hand_over(channel(tmp_path, format="xlsx"), [sms(1, "=1+1\x07<b>&")])
        row = rows(tmp_path, "winback-1-001.xlsx")[1]
        assert (row[1], row[3]) == ("+8613800100001", "=1+1\ufffd<b>&")

    def test_as_sheets_are_split_where_a_sheet_ends(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(export, "MOST_ROWS", 11)
        hand_over(channel(tmp_path, format="xlsx"), [sms(n) for n in range(25)])
        found = [rows(tmp_path, name)[1:] for name in lists(tmp_path)]
        assert [len(each) for each in found] == [10, 10, 5]
        assert len({row[0] for each in found for row in each}) == 25

    def test_as_sheets_take_no_text_longer_than_a_cell(self, tmp_path: Path) -> None:
        (receipt,) = hand_over(channel(tmp_path, format="xlsx"), [sms(1, "x" * 32_768)])
        assert receipt.outcome is Outcome.REJECTED
        assert lists(tmp_path) == []


class TestCrash:
    def test_before_the_list_the_next_run_makes_it(self, tmp_path: Path) -> None:
        first = channel(tmp_path)
        hand_over(first, [sms(n) for n in range(5)], close=False)
        assert lists(tmp_path) == []
        del first
        hand_over(channel(tmp_path), [sms(n) for n in range(7)])
        assert len(rows(tmp_path, "winback-1-001.csv")) == 8

    def test_leaves_what_it_accepted_to_a_run_that_has_nothing_to_do(self, tmp_path: Path) -> None:
        hand_over(channel(tmp_path), [sms(1)], close=False)
        asyncio.run(channel(tmp_path).close())
        assert len(rows(tmp_path, "winback-1-001.csv")) == 2

    def test_in_the_middle_of_a_row_loses_that_row_only(self, tmp_path: Path) -> None:
        hand_over(channel(tmp_path), [sms(1)], close=False)
        with (tmp_path / "winback" / "1" / JOURNAL).open("ab") as file:
            file.write(b'{"message_id":"0123')
        receipts = hand_over(channel(tmp_path), [sms(1), sms(2)])
        assert [receipt.detail for receipt in receipts] == ["written before", "written"]
        assert len(rows(tmp_path, "winback-1-001.csv")) == 3

    @pytest.mark.parametrize("at", ["_write_list", "done"])
    def test_around_a_list_makes_the_same_list_again(
        self, tmp_path: Path, at: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def die(*_: object) -> None:
            raise KeyboardInterrupt

        first = channel(tmp_path)
        if at == "_write_list":
            monkeypatch.setattr(export, "_write_list", die)
        else:
            append = first._append
            monkeypatch.setattr(first, "_append", lambda data: die() if b"list done" in data else append(data))
        with pytest.raises(KeyboardInterrupt):
            hand_over(first, [sms(1), sms(2)])
        monkeypatch.undo()
        hand_over(channel(tmp_path), [sms(3)])
        found = {name: [row[0] for row in rows(tmp_path, name)[1:]] for name in lists(tmp_path)}
        assert sorted(found["winback-1-001.csv"]) == sorted(message_id("winback", n) for n in (1, 2))
        assert found["winback-1-002.csv"] == [message_id("winback", 3)]

    def test_by_kill_at_any_moment_loses_and_repeats_nobody(self, tmp_path: Path) -> None:
        """Kills a process that says what was accepted; whatever it said is in exactly one list at the end."""
        program = (
            "import asyncio, sys; from pathlib import Path\n"
            "from channels.test_export import channel, sms\n"
            "async def run(start):\n"
            "    c = channel(Path(sys.argv[1])); await c.open()\n"
            "    for n in range(start, start + 2000):\n"
            "        r = await c.hand_over(sms(n)); print(r.message_id, flush=True)\n"
            "        if n % 50 == 49: await c.close(); await c.open()\n"
            "asyncio.run(run(int(sys.argv[2])))\n"
        )
        said: set[str] = set()
        for number, pause in enumerate((0.05, 0.15, 0.3)):
            command = [sys.executable, "-c", program, str(tmp_path), str(number * 1000)]
            path = os.pathsep.join(("src", "tests", os.environ.get("PYTHONPATH", "")))
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
            )
            assert process.stdout is not None
            said.add(process.stdout.readline().strip())
            time.sleep(pause)
            process.send_signal(signal.SIGKILL)
            said |= {line.strip() for line in process.stdout if line.endswith("\n")}
            process.wait()
        asyncio.run(channel(tmp_path).close())
        listed = [row[0] for name in lists(tmp_path) if name.endswith(".csv") for row in rows(tmp_path, name)[1:]]
        assert len(listed) == len(set(listed)), "nobody is in two lists"
        assert said - {""} <= set(listed), "nobody who was accepted is missing"
        assert len(said) > 3


class TestStrike:
    """A customer is forgotten: their rows are gone from the journal and from every list."""

    @pytest.mark.parametrize("format_", ["csv", "xlsx"])
    def test_takes_rows_out_of_lists_and_leaves_the_others_alone(self, tmp_path: Path, format_: str) -> None:
        hand_over(channel(tmp_path, format=format_), [sms(n, f"secret {n}") for n in range(4)])
        hand_over(channel(tmp_path, format=format_), [sms(n, f"secret {n}") for n in range(4, 6)])
        folder = tmp_path / "winback" / "1"
        second = (folder / f"winback-1-002.{format_}").read_bytes()
        size = (folder / JOURNAL).stat().st_size
        assert strike(folder, [message_id("winback", 2), message_id("winback", 77)]) == 1
        assert strike(folder, [message_id("winback", 2)]) == 0
        left = {row[0] for row in rows(tmp_path, f"winback-1-001.{format_}")[1:]}
        assert left == {message_id("winback", n) for n in (0, 1, 3)}
        assert (folder / f"winback-1-002.{format_}").read_bytes() == second
        assert (folder / JOURNAL).stat().st_size == size
        for path in folder.iterdir():
            assert b"secret 2" not in path.read_bytes()
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        receipts = hand_over(channel(tmp_path, format=format_), [sms(3), sms(6)])
        assert [receipt.detail for receipt in receipts] == ["written before", "written"]
        assert [row[0] for row in rows(tmp_path, f"winback-1-003.{format_}")[1:]] == [message_id("winback", 6)]

    def test_takes_out_what_is_in_no_list_yet(self, tmp_path: Path) -> None:
        hand_over(channel(tmp_path), [sms(n) for n in range(3)], close=False)
        assert strike(tmp_path / "winback" / "1", [message_id("winback", 1)]) == 1
        asyncio.run(channel(tmp_path).close())
        listed = [row[0] for name in lists(tmp_path) for row in rows(tmp_path, name)[1:]]
        assert sorted(listed) == sorted(message_id("winback", n) for n in (0, 2))

    def test_makes_no_list_that_somebody_has_taken_away(self, tmp_path: Path) -> None:
        hand_over(channel(tmp_path), [sms(1), sms(2)])
        (tmp_path / "winback" / "1" / "winback-1-001.csv").unlink()
        assert strike(tmp_path / "winback" / "1", [message_id("winback", 1)]) == 1
        assert lists(tmp_path) == []

    @pytest.mark.parametrize("at", ["_write_list", "os.pwrite"])
    def test_killed_it_can_be_done_again(self, tmp_path: Path, at: str, monkeypatch: pytest.MonkeyPatch) -> None:
        def die(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        folder, gone = tmp_path / "winback" / "1", [message_id("winback", 1)]
        hand_over(channel(tmp_path), [sms(1, "secret"), sms(2)])
        (folder / ".winback-1-002.csv.part").write_text("secret")
        owner, _, name = at.rpartition(".")
        with monkeypatch.context() as patch:
            patch.setattr(export.os if owner else export, name, die)
            with pytest.raises(KeyboardInterrupt):
                strike(folder, gone)
        assert strike(folder, gone) == 1
        assert all(b"secret" not in path.read_bytes() for path in folder.iterdir())
        assert [row[0] for row in rows(tmp_path, "winback-1-001.csv")[1:]] == [message_id("winback", 2)]

    def test_waits_for_a_run_that_writes(self, tmp_path: Path) -> None:
        first = channel(tmp_path)
        hand_over(first, [sms(1)], close=False)
        with pytest.raises(ChannelUnavailableError, match="another process writes to"):
            strike(tmp_path / "winback" / "1", [message_id("winback", 1)])


class TestUnavailable:
    def test_a_second_process_waits_for_the_first(self, tmp_path: Path) -> None:
        first = channel(tmp_path)
        hand_over(first, [], close=False)
        with pytest.raises(ChannelUnavailableError, match="another process writes to"):
            hand_over(channel(tmp_path), [])

    def test_a_full_disk_is_a_sentence_and_hands_nothing_over(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(handle: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        subject = channel(tmp_path)

        async def run() -> None:
            await subject.open()
            monkeypatch.setattr(export.os, "fsync", full)
            with pytest.raises(ChannelUnavailableError, match=r"cannot be written \(No space left .*\); free some"):
                await subject.hand_over(sms(1))
            monkeypatch.undo()
            assert (await subject.hand_over(sms(1))).detail == "written"
            await subject.close()

        asyncio.run(run())
        assert len(rows(tmp_path, "winback-1-001.csv")) == 2

    def test_the_journal_holds_lines_that_others_can_read(self, tmp_path: Path) -> None:
        hand_over(channel(tmp_path), [sms(1, "你好")])
        first, *_ = (tmp_path / "winback" / "1" / JOURNAL).read_text(encoding="utf-8").splitlines()
        assert sorted(json.loads(first)) == ["html", "message_id", "subject", "text", "to"]
