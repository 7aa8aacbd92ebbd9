"""The JSON is the shape that other programs rely on, and nothing in it is NaN or infinite."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from campanile.report.jsonable import jsonable
from campanile.report.readout import Readout

NUMBER = {"type": ["number", "null"]}
TEXT = {"type": "string"}


def shape(required: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": required}


def rows(required: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": shape(required)}


_COMPARISON = "difference low high p_value p_adjusted lift lift_low lift_high"
_ECONOMICS = (
    "incremental_responders incremental_revenue incremental_profit profit_low profit_high profit_per_unit roi roi_low "
    "roi_high iroas cost cost_per_incremental_order break_even_difference claimed_without_control"
)

#: ../shared/contracts.md, "Readout".
CONTRACT = shape(
    {
        "contract": {"const": 1},
        "experiment": TEXT,
        "verdict": shape(
            {
                "decision": {"enum": ["roll_out", "extend", "stop", "no_verdict"]},
                "sentence": {"type": "string", "minLength": 10},
                "reasons": {"type": "array", "items": TEXT},
            }
        ),
        "trust": shape(
            {
                "srm": shape({"p_value": NUMBER, "alarm": {"type": ["boolean", "null"]}}),
                "checks": rows({"name": TEXT, "passed": {"type": ["boolean", "null"]}, "detail": TEXT}),
            }
        ),
        "arms": rows(
            {
                "arm": TEXT,
                "n": {"type": "integer"},
                "metrics": {
                    "type": "object",
                    "minProperties": 1,
                    "additionalProperties": shape({"mean": NUMBER, "sum": NUMBER, "variance": NUMBER}),
                },
            }
        ),
        "comparisons": rows(
            {
                "metric": TEXT,
                "kind": {"enum": ["rate", "money"]},
                "treatment": TEXT,
                "control": TEXT,
                "cut": {"type": ["string", "null"]},
                "level": {"type": ["string", "null"]},
                **dict.fromkeys(_COMPARISON.split(), NUMBER),
                "interval_method": TEXT,
                "p_method": TEXT,
                "n_treatment": {"type": "integer"},
                "n_control": {"type": "integer"},
            }
        ),
        "heterogeneity": {"type": "array"},
        "economics": rows({"treatment": TEXT, **dict.fromkeys(_ECONOMICS.split(), NUMBER)}),
        "deviations": {"type": "array"},
    }
)


@pytest.mark.parametrize("name", ["golden", "early", "three_arms"])
def test_contract(name: str, request: pytest.FixtureRequest) -> None:
    values = jsonable(request.getfixturevalue(name))
    jsonschema.validate(values, CONTRACT)
    assert json.loads(json.dumps(values, allow_nan=False)) == values


def test_figures_are_those_of_the_readout_in_major_units(golden: Readout) -> None:
    values = jsonable(golden)
    paid = values["economics"][0]
    assert (paid["incremental_profit"], paid["cost"], paid["claimed_without_control"]) == (11_068, 900, 30_780)
    assert paid["roi"] == pytest.approx(2.2588, abs=1e-4)
    assert paid["incremental_responders"] == pytest.approx(88)
    found = {row["metric"]: row for row in values["comparisons"]}
    assert found["response_rate"]["difference"] == pytest.approx(0.011)
    assert found["revenue_per_customer"]["difference"] == pytest.approx(3.74)
    assert values["trust"]["srm"] == {"p_value": 1.0, "alarm": False}
    assert [arm["metrics"]["revenue_per_customer"]["sum"] for arm in values["arms"]] == [12_320, 79_200]


def test_withheld_is_null(early: Readout) -> None:
    values = jsonable(early)
    assert values["comparisons"] == []
    assert values["economics"] == []
    assert values["arms"][0]["metrics"]["response_rate"] == {"mean": None, "sum": None, "variance": None}
    assert values["window_ends"] == "2026-04-04T02:30:00+00:00"


def test_infinite_is_null(golden: Readout) -> None:
    paid = replace(golden.economics[0], cost_per_incremental_order_high=float("inf"), roi_low=float("nan"))
    values = jsonable(replace(golden, economics=(paid,)))
    assert values["economics"][0]["cost_per_incremental_order_high"] is None
    assert values["economics"][0]["roi_low"] is None


def test_deviations_and_delivery(golden: Readout) -> None:
    values = jsonable(golden)
    assert values["deviations"][0] == {
        "file": "experiments/winback.yaml",
        "key": "primary.window",
        "registered": "30d",
        "today": "45d",
        "who": "Li Wei",
        "when": "2026-03-20",
    }
    assert values["deviations"][1]["who"] is None
    account = values["delivery"][0]
    assert sum(account[state] for state in ("accepted", "unknown", "rejected", "suppressed")) == account["planned"]
