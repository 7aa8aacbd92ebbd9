"""What PyYAML's syntax errors mean to a person who writes campaigns."""

from __future__ import annotations

import re

import yaml

#: (a piece of PyYAML's own text, what is wrong, the cure), tried in order.
_SENTENCES = (
    (r"TooDeep|recursion", "lists and keys are nested too deep", "keep it under 50 levels"),
    (r"'\\t'", "a tab stands where YAML wants spaces", "indent with spaces"),
    (r"special characters are not allowed", "an invisible control character in the text", "remove it"),
    (
        r"block scalar.*found '[=<]'",
        "text that starts with > or | must be in quotes",
        'as in ">= 2", or write at least 2',
    ),
    (r"block scalar", "text that starts with > or | must be in quotes", 'as in "> 2", or write over 2'),
    (r"scanning an (alias|anchor)", "text that starts with * or & must be in quotes", 'as in "*"'),
    (r"character '([%@`])'", "text that starts with {0} must be in quotes", 'as in "{0}"'),
    (
        r"mapping values are not allowed",
        "the line above is text, so no key can follow it",
        "write key: value in both lines",
    ),
    (
        r"sequence entries are not allowed",
        "a list cannot begin in the line of its key",
        "write [a, b], or use the next line",
    ),
    (r"mapping keys are not allowed", "text that starts with ? must be in quotes", 'as in "?"'),
    (
        r"quoted scalar",
        "the quote that opens here does not end well",
        "close it; inside double quotes write \\\\ for \\",
    ),
    (r"flow sequence", "the list that opens here is not closed, or a comma is missing", "write [a, b]"),
    (r"flow mapping", "the { that opens here is not closed, or a comma is missing", "write {a: 1, b: 2}"),
    (
        r"flow node|expected the node content",
        "a value is missing, or a bracket is not closed",
        "write [a, b] or {a: 1, b: 2}",
    ),
    (r"simple key.*expected ':'", "a line without a colon", "write key: value, with a space after the colon"),
    (r"expected '<document start>'", "this does not belong to what stands above", "write every line as key: value"),
    (r"found '<scalar>'", "text goes on after a closing quote or bracket", "put the whole text in double quotes"),
    (
        r"block (mapping|collection|sequence)",
        "the indentation does not fit the lines above",
        "line it up with its neighbours",
    ),
    (r"directive|incompatible YAML", "a line that starts with % is not read", "remove it"),
    (r"tag", "text that starts with ! must be in quotes", 'as in "!"'),
)
_OPENED_BEFORE = re.compile(r"quoted scalar|flow (sequence|mapping)|simple key")


def explain_syntax(error: Exception, source: str, line: int) -> tuple[int, str, str]:
    """Line, what is wrong and the cure, for an error of the YAML parser; `line` is where the parser stood."""
    words = (
        f"{getattr(error, 'context', None) or ''}: {getattr(error, 'problem', None) or error or type(error).__name__}"
    )
    line = _line_of(error, words, source, line)
    rows = source.splitlines()
    row = rows[line - 1] if 0 < line <= len(rows) else ""
    if "：" in row and not re.search(r":(\s|$)", row):
        return line, "a full-width colon ：stands where YAML wants : and a space", "write key: value"
    if row[: len(row) - len(row.lstrip())].count("\t"):
        return line, "a tab stands where YAML wants spaces", "indent with spaces"
    if "mapping values are not allowed" in words and len(re.findall(r":(?:\s|$)", row)) > 1:
        return line, "a second colon in one line", "put text with a colon in quotes"
    for pattern, what, cure in _SENTENCES:
        match = re.search(
            pattern, words if isinstance(error, yaml.MarkedYAMLError) else f"{words} {type(error).__name__}"
        )
        if match:
            found = match[1] if match.lastindex and "{0}" in what else ""
            return line, what.replace("{0}", found), cure.replace("{0}", found)
    return line, "this is not YAML that can be read", "put unusual text in quotes"


def _line_of(error: Exception, words: str, source: str, line: int) -> int:
    """The line to look at: where a quote or bracket opens, else where the parser stopped."""
    if isinstance(error, yaml.MarkedYAMLError):
        opened = error.context_mark if _OPENED_BEFORE.search(words) else None
        mark = opened or error.problem_mark or error.context_mark
        return mark.line + 1 if mark is not None else line
    if isinstance(error, yaml.reader.ReaderError):
        return source.count("\n", 0, error.position) + 1
    return line
