"""A small good project in a folder, and what a change in it brings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from support.small_project import FILES, said, write_files


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """The folder of a project without problems."""
    write_files(tmp_path, FILES)
    return tmp_path


@pytest.fixture
def change(shop: Path) -> Callable[[str, str, str], list[str]]:
    """Replaces text in one file, which must hold it, and returns every problem of the project."""

    def changed(file: str, old: str, new: str) -> list[str]:
        path = shop / file
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
        path.write_text(text.replace(old, new), encoding="utf-8")
        return said(shop)

    return changed
