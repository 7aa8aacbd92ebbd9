"""Errors are sentences for the person who must act: where, what is wrong, the cure.

Never holds contact data: a message names customers by id at most, and flows replace even that by a count.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

_CURES: Mapping[int, str] = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "free some disk space, then do it again"),
    **dict.fromkeys((errno.EACCES, errno.EPERM), "check who owns the file and its folder, and their rights"),
    errno.EROFS: "the disk may only be read: mount it for writing, or choose another home",
    **dict.fromkeys(
        (errno.ENOTDIR, errno.EISDIR, errno.EEXIST),
        "a file lies where a folder should be, or a folder where a file should be: move it away",
    ),
    errno.ENOENT: "it was moved or removed: put it back",
    errno.EMFILE: "too many files are open: raise the limit (ulimit -n)",
}


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that a person must mend, with its place.

    >>> str(Problem("campaigns/winback.yaml", 14, "arm shares add up to 110%", "make them add up to 100%"))
    'campaigns/winback.yaml:14: arm shares add up to 110%; make them add up to 100%'
    >>> str(Problem("segments.yaml", 0, "no such file", ""))
    'segments.yaml: no such file'
    """

    file: str
    line: int
    what: str
    cure: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.what}; {self.cure}" if self.cure else f"{place}: {self.what}"


class CampanileError(Exception):
    """A failure that a person can mend. Its text is what that person reads."""

    exit_code = 1

    def __init__(self, what: str, cure: str = "") -> None:
        self.what = what
        self.cure = cure
        super().__init__(f"{what}; {cure}" if cure else what)


class UsageError(CampanileError):
    """The command was called wrongly."""

    exit_code = 2


class ProblemsError(CampanileError):
    """All problems of a project at once."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def cure_of(error: OSError) -> str:
    """What a person can do about a file that cannot be read or written.

    >>> cure_of(NotADirectoryError(20, "Not a directory"))
    'a file lies where a folder should be, or a folder where a file should be: move it away'
    """
    return _CURES.get(error.errno or 0, "check the disk")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The cure for a misspelt word: the nearest known one, else all of them when they are few.

    >>> did_you_mean("chanel", ["channel", "timing"])
    'did you mean "channel"?'
    >>> did_you_mean("x", ["channel", "timing"])
    'known: channel, timing'
    """
    names = sorted(known)
    near = get_close_matches(word, names, n=1, cutoff=0.6)
    if near:
        return f'did you mean "{near[0]}"?'
    return f"known: {', '.join(names)}" if 0 < len(names) <= 12 else ""
