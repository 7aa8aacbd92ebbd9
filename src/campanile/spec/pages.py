"""Reference pages in Markdown, made from models, their JSON Schemas and the vocabulary."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from datetime import time
from decimal import Decimal
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from campanile.clock import Duration
from campanile.spec.comparisons import FORMS, WINDOWS
from campanile.spec.fields import percent
from campanile.spec.measures import MEASURES
from campanile.spec.sentences import from_file, models_in
from campanile.spec.vocabulary import CLOCK_FIELDS, FieldType, Vocabulary

Schema = dict[str, Any]

_FILES = {
    "campaign": "campaigns/NAME.yaml",
    "experiment": "experiments/NAME.yaml",
    "project": "campanile.yaml",
    "elsewhere": "campanile readout --experiment FILE",
}
_TYPES = {
    FieldType.NUMBER: "Numbers",
    FieldType.MONEY: "Amounts of money",
    FieldType.TEXT: "Text",
    FieldType.WEEKDAY: "Days of the week",
    FieldType.BOOL: "True or false",
    FieldType.DATE: "Dates",
    FieldType.YEARLY: "Dates whose year is ignored",
    FieldType.LIST: "Lists of texts",
}
#: So many words that a page does not list them.
_MANY = range(13)
_CONDITIONS = """\
A condition is one of

| written | holds when |
|---|---|
| `{FIELD: comparison, …}` | all these fields of the customer compare as said |
| `{did: EVENT, where: {…}, in: window, MEASURE: comparison}` | the measure of these events compares as said; \
without one, there is at least one event |
| `{did_not: EVENT, where: {…}, in: window}` | there is no such event |
| `{segment: NAME}` | the customer is in the segment |
| `{all: […]}` `{any: […]}` `{none: […]}` | all, at least one, or none of the conditions hold |
| `{at_least: K, of: […]}` | at least so many of the conditions hold |

A comparison with an unknown value is false, in both directions; only `unknown` is true of it."""


_METRICS = """\
A metric is a figure of a customer that is named once, under `metrics:` in segments.yaml, and then read like a field, \
or multiplied:

```yaml
metrics:
  spend_90d: {of: order, in: 90d, take: sum amount}
  spend_prev_90d: {of: order, in: 180d..90d, take: sum amount}
segments:
  falling: [{spend_90d: under 0.5 x spend_prev_90d}]
```

`of` names the event, `take` the measure; `where` and `in` are those of a condition. `K x NAME` multiplies a metric or \
a field of the same customer. A metric may be named like a field that the profile computes, as `usual_gap`, when both \
hold the same type: conditions then mean the metric."""


def model_page(kind: str, model: type[BaseModel], schema: Schema) -> str:
    """The page of one kind of file: a table for the file and one for each part of it."""
    seen: set[type[BaseModel]] = set()
    parts = [f"# {_FILES[kind]}", model.__doc__ or ""]
    for heading, part, part_schema in _parts("", model, schema, schema.get("$defs", {})):
        if part not in seen:
            seen.add(part)
            parts += [f"## {heading}\n\n{_meaning(part)}" if heading else "", _table(part, part_schema)]
    if kind == "campaign":
        parts.append(
            "## target\n\n"
            "The keys `from`, `who`, `except`, `one_per` and `keep`; see [segments and conditions](segments.md)."
        )
    return "\n\n".join(part for part in parts if part) + "\n"


def _meaning(model: type[BaseModel]) -> str:
    return " ".join((model.__doc__ or "").split())


def _parts(
    heading: str, model: type[BaseModel], schema: Schema, named: Schema
) -> Iterator[tuple[str, type[BaseModel], Schema]]:
    """Heading, model and schema of the part and of every part inside it, in the order of the file."""
    yield heading, model, schema
    for name, info in model.model_fields.items():
        key = info.alias or name
        for inner in models_in(info.annotation):
            several = "Mapping" in str(info.annotation)
            path = ".".join(filter(None, [heading, key, "NAME" if several else ""]))
            yield from _parts(path, inner, named[inner.__name__], named)


def _table(model: type[BaseModel], schema: Schema) -> str:
    rows = []
    for name, info in model.model_fields.items():
        if not from_file(info.json_schema_extra):
            key = info.alias or name
            part = schema["properties"][key]
            rows.append((f"`{key}`", _type(part), _default(info, part), info.description or ""))
    return table(("key", "type", "default", "meaning"), rows)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    r"""A Markdown table.

    >>> print(table(["a", "b"], [["1", "x|y"]]))
    | a | b |
    |---|---|
    | 1 | x\|y |
    """
    lines = [list(head), *map(list, rows)]
    text = ["| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |" for cells in lines]
    return "\n".join([text[0], "|---" * len(lines[0]) + "|", *text[1:]])


def _type(schema: Schema) -> str:
    """A part of a schema in words."""
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    if choices and "words" not in schema:
        return " or ".join(map(_type, choices))
    if len(schema.get("enum", _MANY)) < len(_MANY):
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "words" in schema:
        example = schema.get("examples")
        return f"{schema['words']}, as in `{example[0]}`" if example else str(schema["words"])
    return _several(schema)


def _several(schema: Schema) -> str:
    """A list, a pair, or keys and values, in words."""
    items, named = schema.get("items"), schema.get("additionalProperties")
    if "prefixItems" in schema:
        return "list of two"
    if schema.get("type") == "string":
        return "text"
    if items is not None:
        return "list of pairs" if "prefixItems" in items else "list of " + _type(items)
    return f"by name: {_type(named)}" if isinstance(named, dict) else "keys and values, below"


def _default(info: FieldInfo, schema: Schema) -> str:
    """A default as it would be written; – when there is none to write."""
    if info.is_required():
        return "**required**"
    words = _written(info.default, is_share=schema.get("words") == "share")
    return f"`{words}`" if words else "–"


def _written(value: object, *, is_share: bool) -> str:
    """A value as a file would hold it; "" when nothing would be written."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return percent(value) if is_share else str(value)
    if isinstance(value, tuple) and value:
        return f"{value[0]:%H:%M}-{value[1]:%H:%M}" if isinstance(value[0], time) else str(list(value))
    return str(value) if isinstance(value, str | int | float | Duration) else ""


def conditions_page(meaning: str, vocabulary: Vocabulary) -> str:
    """The page of segments.yaml: conditions, comparisons, windows, measures, fields and events."""
    example = "```yaml\nsegments:\n  mailable:\n    - {email_consent: true}\n    - none: [{do_not_contact: true}]\n```"
    compare = [(_TYPES[type_], _shapes(form.shape for form in forms)) for type_, forms in FORMS.items()]
    return (
        "\n\n".join(
            [
                "# segments.yaml",
                meaning + " Targets use the same conditions.",
                example,
                "## Conditions\n\n" + _CONDITIONS,
                "## Comparisons\n\n" + table(("field holds", "comparisons"), compare),
                "## Windows\n\nHalf-open, up to the moment of selection: "
                + _shapes(window.shape for window in WINDOWS)
                + ".",
                "## Measures\n\n"
                + ", ".join(f"`{name}{' FIELD' if kind.field == 'must' else ''}`" for name, kind in MEASURES.items())
                + ".",
                "## Metrics\n\n" + _METRICS,
                "## Customer fields\n\n" + table(("type", "fields"), _by_type(vocabulary.fields)),
                "Campanile computes these itself, so other values are an error, unless the shop imports the field:\n\n"
                + table(("field", "values"), _held(vocabulary)),
                "## Events\n\n" + table(("event", "fields"), _events(vocabulary)),
            ]
        )
        + "\n"
    )


def _shapes(shapes: Iterable[str]) -> str:
    written = itertools.chain.from_iterable(shape.split(" | ") for shape in shapes if shape)
    return ", ".join(f"`{shape}`" for shape in written)


def _by_type(fields: Mapping[str, FieldType]) -> list[tuple[str, str]]:
    """The names of fields by what they hold."""
    named = {type_: [f"`{name}`" for name, held in fields.items() if held is type_] for type_ in FieldType}
    return [(_TYPES[type_], ", ".join(names)) for type_, names in named.items() if names]


def _held(vocabulary: Vocabulary) -> list[tuple[str, str]]:
    return [(f"`{name}`", ", ".join(f"`{value}`" for value in held)) for name, held in vocabulary.values.items()]


def _events(vocabulary: Vocabulary) -> list[tuple[str, str]]:
    clock = ", ".join(f"`{name}`" for name in CLOCK_FIELDS)
    rows = [
        (f"`{name}`", ", ".join(f"`{field}`" for field in event.fields)) for name, event in vocabulary.events.items()
    ]
    return [*rows, ("every event", clock)]
