"""Prism between our client and a fake: every request and answer must be that of the vendor's OpenAPI file.

Pinned: the newest Prism wants a newer Node. It is installed once, into a cache outside of the project.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

VERSION = "5.14.2"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "campanile" / "prism"


def prism() -> str:
    """The program; skips the test, saying why, where it cannot be had."""
    program = CACHE / "node_modules" / ".bin" / "prism"
    if shutil.which("node") is None:
        pytest.skip("Prism needs Node, and there is none on this machine")
    if not program.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("Prism is not installed, and there is no npm to install it")
        CACHE.mkdir(parents=True, exist_ok=True)
        command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(CACHE), f"@stoplight/prism-cli@{VERSION}"]
        done = subprocess.run(command, capture_output=True, timeout=300, check=False)
        if done.returncode or not program.exists():
            pytest.skip(f"Prism {VERSION} could not be installed by npm (exit code {done.returncode})")
    return str(program)


@contextmanager
def proxied(file: Path, fake_url: str) -> Iterator[str]:
    """The address of a Prism that passes on to the fake what the file allows, and answers 4xx or 5xx for the rest."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [prism(), "proxy", "--errors", "--host", "127.0.0.1", "--port", str(port), str(file), fake_url]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(f"http://127.0.0.1:{port}", server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


def _wait(url: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        assert server.poll() is None, "Prism ended by itself"
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("Prism did not start within 30 s")
