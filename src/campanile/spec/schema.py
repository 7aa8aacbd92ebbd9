"""JSON Schemas of the committed files, for editors, and the reference pages, both made from the models.

`campanile schema --write` writes them; a test compares what is committed with what the models say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from campanile.spec.campaign import CampaignSpec
from campanile.spec.elsewhere import ElsewhereSpec
from campanile.spec.experiment import ExperimentSpec
from campanile.spec.fields import Spec
from campanile.spec.measures import MEASURES
from campanile.spec.pages import conditions_page, model_page
from campanile.spec.sentences import from_file
from campanile.spec.settings import ProjectSettings
from campanile.spec.vocabulary import Vocabulary, load_vocabulary

Schema = dict[str, Any]

MODELS: Mapping[str, type[Spec]] = {
    "campaign": CampaignSpec,
    "experiment": ExperimentSpec,
    "project": ProjectSettings,
    "elsewhere": ElsewhereSpec,
}
FOLDER = Path(__file__).parent / "schemas"

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_COMPARISON: Schema = {"type": ["string", "number", "boolean", "array"]}
_SEGMENTS_MEANING = "segments.yaml: named sets of customers, and named figures."


def json_schemas() -> dict[str, Schema]:
    """The JSON Schema (draft 2020-12) of each kind of file: campaign, experiment, project, elsewhere, segments."""
    conditions = _conditions(load_vocabulary())
    schemas = {kind: _model_schema(model) for kind, model in MODELS.items()}
    campaign = schemas["campaign"]
    campaign["properties"]["target"]["$ref"] = "#/$defs/Target"
    campaign["$defs"] |= conditions
    listed = {"type": "object", "additionalProperties": {"$ref": "#/$defs/Conditions"}}
    schemas["segments"] = {
        "description": _SEGMENTS_MEANING,
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "segments": {**listed, "description": "Conditions by name; all of a list must hold."},
            "metrics": {
                "type": "object",
                "additionalProperties": {"$ref": "#/$defs/Metric"},
                "description": "Figures of a customer by name, used like fields.",
            },
        },
        "$defs": {name: conditions[name] for name in ("Conditions", "Condition", "Metric")},
    }
    return {kind: {"$schema": _DIALECT, **_for_editors(schema)} for kind, schema in schemas.items()}


def _model_schema(model: type[Spec]) -> Schema:
    """What pydantic says of a model, without the fields that the file does not hold."""
    schema = model.model_json_schema(by_alias=True)
    for name, info in model.model_fields.items():
        if from_file(info.json_schema_extra):
            del schema["properties"][name]
    schema["required"] = [key for key in schema["required"] if key in schema["properties"]]
    return schema


def _for_editors(schema: object) -> Any:
    """The schema with our own words as its only titles, without null, and without defaults that JSON cannot say."""
    if isinstance(schema, list):
        return [_for_editors(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        return _for_editors({**choices[0], **{key: value for key, value in schema.items() if key != "anyOf"}})
    made = {"default", "words"} | ({"title"} if isinstance(schema.get("title"), str) else set())
    plain = {key: _for_editors(value) for key, value in schema.items() if key not in made}
    return {"title": schema["words"], **plain} if "words" in schema else plain


def _conditions(vocabulary: Vocabulary) -> dict[str, Schema]:
    """The schemas of Target, Conditions and Condition."""
    listed: Schema = {"$ref": "#/$defs/Conditions"}
    measure = "|".join(name for name, kind in MEASURES.items() if kind.field != "none")
    events = {"enum": list(vocabulary.events)}
    forms: Schema = {
        "did": {**events, "description": "At least one such event, or the measure given."},
        "did_not": {**events, "description": "No such event."},
        "where": {"type": "object", "additionalProperties": _COMPARISON, "description": "Which of these events count."},
        "in": {"type": "string", "description": "The window in which events count, as in 90d."},
        "segment": {"type": "string", "description": "A set from segments.yaml."},
        **{key: {**listed, "description": f"{key.capitalize()} of these hold."} for key in ("all", "any", "none")},
        "at_least": {"type": "integer", "minimum": 1, "description": "So many of the conditions under `of` hold."},
        "of": {**listed, "description": "The conditions of which `at_least` so many hold."},
        **{name: {**_COMPARISON, "description": "Measure of the events."} for name in MEASURES},
    }
    fields = {
        name: {**_COMPARISON, "description": f"Customer field ({type_})."} for name, type_ in vocabulary.fields.items()
    }
    condition = {
        "type": "object",
        "minProperties": 1,
        "properties": {**fields, **forms},
        "patternProperties": {f"^({measure}) ": _COMPARISON},
        "additionalProperties": {**_COMPARISON, "description": "Metric of segments.yaml."},
    }
    return {
        "Target": _target(listed),
        "Conditions": {"type": "array", "items": {"$ref": "#/$defs/Condition"}},
        "Condition": condition,
        "Metric": {
            "type": "object",
            "properties": {
                "of": {**events, "description": "The event of which something is taken."},
                "where": forms["where"],
                "in": forms["in"],
                "take": {"type": "string", "description": "The measure, as in sum amount."},
            },
            "required": ["of", "take"],
            "additionalProperties": False,
        },
    }


def _target(listed: Schema) -> Schema:
    keep = {
        "at_most": {"type": "integer", "minimum": 1, "description": "How many customers."},
        "by": {"type": "string", "description": "A field with numbers or dates."},
        "first": {"enum": ["highest", "lowest", "random"], "description": "Who is kept first."},
    }
    return {
        "type": "object",
        "anyOf": [{"required": ["who"]}, {"required": ["from"]}],
        "properties": {
            "from": {"type": "string", "description": "The segment to start from."},
            "who": {**listed, "description": "All of these hold."},
            "except": {**listed, "description": "None of these holds."},
            "one_per": {"type": "string", "description": "A field: of the customers with one value only the first."},
            "keep": {
                "type": "object",
                "properties": keep,
                "required": ["at_most"],
                "additionalProperties": False,
                "description": "At most so many of those that are left.",
            },
        },
        "additionalProperties": False,
    }


def schema_text(schema: Schema) -> str:
    """The text of a committed schema file."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def write_schemas(folder: Path = FOLDER) -> list[Path]:
    """The files written: one `KIND.schema.json` for each kind of file."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_write(folder / f"{kind}.schema.json", schema_text(schema)) for kind, schema in json_schemas().items()]


def reference_markdown() -> dict[str, str]:
    """One Markdown page for each kind of file: every key, its type in words, its default, its meaning."""
    vocabulary = load_vocabulary()
    pages = {kind: model_page(kind, model, _model_schema(model)) for kind, model in MODELS.items()}
    return {**pages, "segments": conditions_page(_SEGMENTS_MEANING, vocabulary)}


def write_reference(folder: Path) -> list[Path]:
    """The files written: one `KIND.md` for each kind of file."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_write(folder / f"{kind}.md", text) for kind, text in reference_markdown().items()]


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
