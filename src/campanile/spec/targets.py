"""Files beside a project that hold a target, or a list of named conditions; `-` is standard input."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from campanile.errors import ProblemsError, did_you_mean
from campanile.spec.conditions import All, Condition, Target
from campanile.spec.fields import Unreadable, sentence, shown
from campanile.spec.grammar import Names, parse_conditions, parse_target
from campanile.spec.loader import FileReport, load_document
from campanile.spec.named import KEYS, Named, read_named
from campanile.spec.project import Project
from campanile.spec.vocabulary import Vocabulary, load_vocabulary, with_scores


def read_target_file(file: str, project: Project) -> tuple[Target, Named]:
    """The target of a file, and the segments and metrics that it may name: its own, and those of the project.

    Raises:
        ProblemsError: Every problem of the file.
    """
    report = FileReport(_label(file))
    data = _load(file, report)
    known = ("target", *KEYS)
    if not isinstance(data, dict) or "target" not in data:
        report((), "there is no target", "write target: and below it who: and a list of conditions")
        raise ProblemsError(report.problems)
    for key in data.keys() - set(known):
        report((key,), f'unknown key "{key}"', did_you_mean(key, known))
    vocabulary = _words_of(project)
    named = read_named(data, report, vocabulary, beside=_of(project))
    target = parse_target(data["target"], vocabulary=vocabulary, names=named.names, report=report, at=("target",))
    if report.problems or target is None:
        raise ProblemsError(report.problems)
    return target, named


def read_conditions_file(file: str, project: Project) -> tuple[dict[str, Condition], dict[str, str]]:
    """The conditions of a list of `{name, condition}` by name, and what is wrong with those that cannot be read.

    Raises:
        ProblemsError: It is no such list.
    """
    report = FileReport(_label(file))
    data = _load(file, report)
    if not isinstance(data, list):
        report((), f"the file wants a list, got {shown(data)}", "write - {name: NAME, condition: {…}}")
        raise ProblemsError(report.problems)
    names, conditions, errors = _of(project).names, {}, {}
    vocabulary = _words_of(project)
    for index, item in enumerate(data):
        name = _name_of(item, index, report)
        if name is None:
            continue
        if name in conditions or name in errors:
            report((index, "name"), f'the name "{name}" comes twice', "give each a name of its own")
            continue
        found = _condition(item["condition"], names, vocabulary)
        if isinstance(found, str):
            errors[name] = found
        else:
            conditions[name] = found
    if report.problems:
        raise ProblemsError(report.problems)
    return conditions, errors


_ITEM = "write - {name: NAME, condition: {…}}"


def _name_of(item: object, index: int, report: FileReport) -> str | None:
    """The name of an item with a name and a condition, and nothing else; None when a problem was reported."""
    if not isinstance(item, dict):
        report((index,), f"an item has a name and a condition, got {shown(item)}", _ITEM)
        return None
    unknown, missing = item.keys() - {"name", "condition"}, {"name", "condition"} - item.keys()
    for key in sorted(unknown):
        report((index, key), f'unknown key "{key}"', did_you_mean(key, missing) or _ITEM)
    for key in sorted(missing):
        report((index,), f"the item has no {key}", _ITEM)
    if "name" in missing:
        return None
    try:
        name = sentence(item["name"])
    except Unreadable as error:
        report((index, "name"), f"the name {error.what}", error.cure or _ITEM)
        return None
    return None if unknown | missing else name


def _condition(data: object, names: Names, vocabulary: Vocabulary) -> Condition | str:
    """The condition, or what is wrong with it."""
    said: list[str] = []
    found = parse_conditions(
        data if isinstance(data, list) else [data],
        vocabulary=vocabulary,
        names=names,
        report=lambda _at, what, cure: said.append(f"{what}; {cure}" if cure else what),
    )
    if found is None:
        return " · ".join(said)
    return found[0] if len(found) == 1 else All(found)


def _words_of(project: Project) -> Vocabulary:
    """The vocabulary with the project's own scopes, scores and segments."""
    return with_scores(load_vocabulary(), project.settings.policy.rfm, project.segment_map)


def _of(project: Project) -> Named:
    """What the project's own segments.yaml names."""
    types = {name: metric.measure.type for name, metric in project.metrics.items()}
    return Named(project.segments, project.metrics, Names(tuple(project.segments), types))


def _label(file: str) -> str:
    return "standard input" if file == "-" else Path(file).name


def _load(file: str, report: FileReport) -> object:
    """The data of the file; ProblemsError when it cannot be read."""
    if file == "-":
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "target.yaml"
            path.write_bytes(sys.stdin.buffer.read())
            document = load_document(path, path.parent, report)
    else:
        path = Path(file)
        document = load_document(path, path.parent, report)
    if document is None or report.problems:
        raise ProblemsError(report.problems)
    return document.data
