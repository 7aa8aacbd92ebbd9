"""The strict loader: nothing is guessed, everything has a line, and nothing raises."""

from __future__ import annotations

import string
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from campanile.spec.loader import MAX_BYTES, Document, FileReport, load_document


def load(folder: Path, content: str | bytes) -> tuple[Document | None, list[str]]:
    path = folder / "a.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    report = FileReport("a.yaml")
    document = load_document(path, folder, report)
    return document, [str(problem) for problem in report.problems]


# What YAML 1.1 makes something else of, and what this loader makes of it.
@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("8:00", "8:00"),
        ("08:00", "08:00"),
        ("21:00", "21:00"),
        ("20:30", "20:30"),
        ("NO", "NO"),
        ("no", "no"),
        ("off", "off"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("True", "True"),
        ("010", "010"),
        ("010010", "010010"),
        ("02134", "02134"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("1e5", "1e5"),
        (".5", ".5"),
        (".inf", ".inf"),
        ("+8613800138000", "+8613800138000"),
        ("12345678901234567890", "12345678901234567890"),
        ("2026-01-01", "2026-01-01"),
        ("2026-01-01T10:00:00Z", "2026-01-01T10:00:00Z"),
        ("2026-01-01..2026-02-01", "2026-01-01..2026-02-01"),
        ("~", "~"),
        ("=", "="),
        ("over 300", "over 300"),
        ('">= 2"', ">= 2"),
        ("100%", "100%"),
        ('"1"', "1"),
        ('"true"', "true"),
        ("true", True),
        ("false", False),
        ("null", None),
        ("", None),
        ("0", 0),
        ("8613800138000", 8613800138000),
        ("-3", -3),
        ("12.50", Decimal("12.50")),
        ("0.1", Decimal("0.1")),
        ("-0.25", Decimal("-0.25")),
    ],
)
def test_values_are_what_was_written(tmp_path: Path, written: str, meant: object) -> None:
    document, problems = load(tmp_path, f"key: {written}\n")
    assert problems == []
    assert document is not None
    assert isinstance(document.data, dict)
    assert document.data["key"] == meant
    assert type(document.data["key"]) is type(meant)


@pytest.mark.parametrize("key", ["on", "no", "true", "null", "5", "<<", "2026-01-01"])
def test_keys_are_always_text(tmp_path: Path, key: str) -> None:
    document, problems = load(tmp_path, f"{key}: x\n")
    assert problems == []
    assert document is not None
    assert document.data == {key: "x"}


def test_places_know_their_lines(tmp_path: Path) -> None:
    source = "# comment\na: 1\nb:\n  - x\n  - {c: 2,\n     d: 3}\n"
    document, _ = load(tmp_path, source)
    assert document is not None
    places = [(), ("a",), ("b",), ("b", 0), ("b", 1), ("b", 1, "c"), ("b", 1, "d"), ("b", 1, "absent"), ("absent",)]
    assert [document.line(place) for place in places] == [2, 2, 3, 4, 5, 5, 6, 5, 2]


def test_byte_order_mark_and_windows_lines_are_read(tmp_path: Path) -> None:
    document, problems = load(tmp_path, b"\xef\xbb\xbfa: 1\r\nb: \xe4\xbc\x98\xe9\x80\x89\r\n")
    assert problems == []
    assert document is not None
    assert document.data == {"a": 1, "b": "优选"}


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("a: 1\na: 2\n", '2: the key "a" comes twice; keep one; the other is in line 1'),
        ("a: &x 1\n", "1: the anchor &x is not read; remove it, or put the text in quotes"),
        ("a: *x\n", "1: the alias *x is not read; write the value out, or put it in quotes"),
        ("a: !!int 5\n", "1: a tag that starts with ! is not read; remove it, or put the text in quotes"),
        (
            "a: !!python/object:os.system x\n",
            "1: a tag that starts with ! is not read; remove it, or put the text in quotes",
        ),
        ("a: !x!y z\n", '1: text that starts with ! must be in quotes; as in "!"'),
        ("a: *\n", '1: text that starts with * or & must be in quotes; as in "*"'),
        ("a: @x\n", '1: text that starts with @ must be in quotes; as in "@"'),
        ("a: %\n", '1: text that starts with % must be in quotes; as in "%"'),
        ("count: >= 2\n", '1: text that starts with > or | must be in quotes; as in ">= 2", or write at least 2'),
        ("count: > 2 x\n", '1: text that starts with > or | must be in quotes; as in "> 2", or write over 2'),
        ("a: b: c\n", "1: a second colon in one line; put text with a colon in quotes"),
        ("a: b\n  c: d\n", "2: the line above is text, so no key can follow it; write key: value in both lines"),
        ("a: b\nc\n", "2: a line without a colon; write key: value, with a space after the colon"),
        ("a: b\nc：d\n", "2: a full-width colon ：stands where YAML wants : and a space; write key: value"),
        ("a:\n\t- b\n", "2: a tab stands where YAML wants spaces; indent with spaces"),
        ("a: b\n\tc: d\n", "2: a tab stands where YAML wants spaces; indent with spaces"),
        ("a: b\nc: [1,\nd: 2\n", "2: the list that opens here is not closed, or a comma is missing; write [a, b]"),
        ("a: b\nc: {x: 1\nd: 2\n", "2: the { that opens here is not closed, or a comma is missing; write {a: 1, b: 2}"),
        (
            'a: b\nc: "open\nd: 2\n',
            "2: the quote that opens here does not end well; close it; inside double quotes write \\\\ for \\",
        ),
        ('a: "x" y\n', "1: text goes on after a closing quote or bracket; put the whole text in double quotes"),
        ("a: - b\n", "1: a list cannot begin in the line of its key; write [a, b], or use the next line"),
        ("a:\n - b\n c: d\n", "3: the indentation does not fit the lines above; line it up with its neighbours"),
        ("a: {{ name }}\n", "1: a key must be a word; put text that starts with { or [ in quotes"),
        ("a: 1\n---\nb: 2\n", "2: a second document starts here; keep one document in a file, without ---"),
        ("%YAML 9.9\n", "1: a line that starts with % is not read; remove it"),
        ("a: 1\nb: \x07\n", "2: an invisible control character in the text; remove it"),
        ('a: "\\0"\n', "1: an invisible control character in the text; remove it"),
        ('a: "\\ud800"\n', "1: an invisible control character in the text; remove it"),
        ('a: "\\UFFFFFFFF"\n', "1: this is not YAML that can be read; put unusual text in quotes"),
        (b"a: 1\nb: \xff\xfe\n", "2: this text is not UTF-8; save the file with the encoding UTF-8"),
        ("a: 1\n".encode("utf-16"), "1: this text is not UTF-8; save the file with the encoding UTF-8"),
        ("a: [x,\n", "2: a value is missing, or a bracket is not closed; write [a, b] or {a: 1, b: 2}"),
        ("[" * 52, "1: lists and keys are nested too deep; keep it under 50 levels"),
        ("- " * 5000, "1: lists and keys are nested too deep; keep it under 50 levels"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, source: str | bytes, sentence: str) -> None:
    _, problems = load(tmp_path, source)
    assert problems == [f"a.yaml:{sentence}"]


def test_fifty_levels_are_read(tmp_path: Path) -> None:
    document, problems = load(tmp_path, "[" * 50 + "]" * 50)
    assert problems == []
    assert document is not None


def test_an_alias_bomb_is_not_expanded(tmp_path: Path) -> None:
    rows = ["a0: &a0 [x, x]", *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 40))]
    document, problems = load(tmp_path, "\n".join(rows))
    assert document is not None
    assert len(problems) == 40 + 39  # the same alias twice in a line is said once
    assert isinstance(document.data, dict)
    assert document.data["a39"] == [None, None]


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    assert load(tmp_path, b"#" * MAX_BYTES)[1] == []
    document, problems = load(tmp_path, b"#" * (MAX_BYTES + 1))
    assert document is None
    assert problems == ["a.yaml: larger than 256 kB; split it into several files"]


def test_missing_file_and_folder_are_sentences(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    for name, sentence in [
        ("absent", "no such file"),
        ("folder", "is no file that can be read; put a plain file there, or remove it"),
    ]:
        report = FileReport(f"{name}.yaml")
        assert load_document(tmp_path / f"{name}.yaml", tmp_path, report) is None
        assert [str(problem) for problem in report.problems] == [f"{name}.yaml: {sentence}"]


_SIGNS = ":-?,[]{}#&*!|>'\"%@`~=\\\t\n \r.+0123456789：　é😀"


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(st.binary(max_size=60), st.text(_SIGNS + string.ascii_letters, max_size=80)))
def test_the_loader_reports_and_never_raises(tmp_path: Path, content: str | bytes) -> None:
    document, problems = load(tmp_path, content)
    assert (document is not None) or problems
    for problem in problems:
        place, _, sentence = problem.partition(": ")
        assert place.startswith("a.yaml")
        assert sentence
        assert "yaml." not in sentence
        assert "\n" not in sentence
