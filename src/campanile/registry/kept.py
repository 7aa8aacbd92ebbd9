"""The readouts that were kept: what each said, and when it was read.

Reads the folders below `readouts`. Returns values in major units, as the JSON of a readout has them. Changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from campanile.errors import CampanileError, cure_of
from campanile.report.files import VALUES, kept, kept_at

#: The name of a readout of an earlier version of Campanile, which kept none.
_UNKEPT = "last"


@dataclass(frozen=True)
class Reading:
    """One kept readout.

    Attributes:
        experiment: Its name.
        name: Of the folder that holds it: the moment, and what tells its figures from others.
        folder: Where its files are.
        read_at: When it was read.
        values: Its JSON.
    """

    experiment: str
    name: str
    folder: Path
    read_at: datetime
    values: Mapping[str, Any]

    @property
    def design(self) -> Mapping[str, Any]:
        """What was agreed beforehand; empty in readouts of earlier versions."""
        found: Mapping[str, Any] = self.values.get("design") or {}
        return found

    @property
    def elsewhere(self) -> bool:
        """Whether it is of an experiment that was run elsewhere."""
        return "window_ends" not in self.values

    @property
    def window_ends(self) -> datetime | None:
        """When the last customer's window ended; None where nobody said."""
        text = self.values.get("window_ends")
        return datetime.fromisoformat(text) if text else None

    @property
    def ended(self) -> bool:
        """Whether the window had ended when it was read."""
        return self.window_ends is None or self.read_at >= self.window_ends

    @property
    def decision(self) -> str:
        """roll_out, extend, stop or no_verdict."""
        return str(self.values["verdict"]["decision"])

    @property
    def sentence(self) -> str:
        """The verdict in a sentence."""
        return str(self.values["verdict"]["sentence"])

    @property
    def currency(self) -> str | None:
        """Code of the currency; None when nobody said one."""
        return self.values.get("currency")

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the checks of trust that failed."""
        return tuple(check["name"] for check in self.values["trust"]["checks"] if check["passed"] is False)


def readings(folder: Path, experiment: str) -> tuple[tuple[Reading, ...], tuple[str, ...]]:
    """The readouts that the folder of an experiment holds, oldest first, and what is wrong with others."""
    places = kept(folder) or ([folder] if (folder / VALUES).is_file() else [])
    found, problems = [], []
    for place in places:
        try:
            found.append(_reading(place, folder, experiment))
        except CampanileError as error:
            problems.append(str(error))
    return tuple(sorted(found, key=lambda each: (each.read_at, each.name))), tuple(problems)


def _reading(place: Path, folder: Path, experiment: str) -> Reading:
    path = place / VALUES
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        written = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        read_at = datetime.fromisoformat(values["read_at"]) if "read_at" in values else kept_at(place.name) or written
        reading = Reading(experiment, place.name if place != folder else _UNKEPT, place, read_at, values)
        _ = reading.decision, reading.sentence, reading.failed, reading.window_ends, values["comparisons"]
    except OSError as error:
        raise CampanileError(f"{path} cannot be read ({error.strerror})", cure_of(error)) from error
    except (ValueError, KeyError, TypeError) as error:
        raise CampanileError(f"{path} is no readout: it is damaged", "restore it from a backup") from error
    return reading
