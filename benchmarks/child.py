"""The process in which one work runs: `python -m benchmarks.child module:function arguments` prints its cost."""

from __future__ import annotations

import importlib
import json
import sys

from benchmarks.harness import timed


def main(target: str, arguments: str) -> None:
    """Prepares the work, which is not counted, then runs and times it."""
    module, _, name = target.partition(":")
    prepared = getattr(importlib.import_module(module), name)(**json.loads(arguments))
    print(json.dumps(timed(prepared)))


if __name__ == "__main__":
    main(*sys.argv[1:])
