"""Two JSON Schema libraries give the same verdict on our schemas, so either may be used at run time."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import jsonschema
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance.calls import INSTANCE, VALID, ldn, schema
from tests.properties.bodies import CASES, json_values, parent_of, seeds, spots

SLOW = {name: jsonschema.Draft202012Validator(schema(name)) for name in VALID}
CARD = {
    "uuid": INSTANCE,
    "summary": "One sentence.",
    "indicator": "critical",
    "detail": "**Why:** because.",
    "source": {
        "label": "Naltrexone safety",
        "topic": {"code": "c", "system": "urn:x", "display": "d"},
    },
    "selectionBehavior": "at-most-one",
    "suggestions": [
        {
            "label": "Cancel",
            "uuid": INSTANCE,
            "isRecommended": True,
            "actions": [
                {"type": "delete", "description": "Cancel it", "resourceId": "MedicationRequest/1"},
                {"type": "update", "description": "Change it", "resource": ldn()},
            ],
        }
    ],
    "overrideReasons": [{"code": "a", "system": "urn:y", "display": "b"}],
    "links": [
        {"label": "Label", "url": "https://dailymed.nlm.nih.gov/x?a=1", "type": "absolute"},
        {
            "label": "App",
            "url": "http://127.0.0.1:8000/smart/launch",
            "type": "smart",
            "appContext": "{}",
        },
    ],
}
MODELS: dict[str, list[Any]] = {
    "response": [{"cards": [CARD]}],
    "cards": [{"cards": [CARD]}],
    "request": seeds(),
    "discovery": [
        {
            "services": [
                {
                    "hook": "h",
                    "id": "i",
                    "title": "t",
                    "description": "d",
                    "version": "2.0.1",
                    "usageRequirements": "u",
                    "prefetch": {"a": "b"},
                }
            ]
        }
    ],
    "feedback": [
        {
            "feedback": [
                {
                    "card": INSTANCE,
                    "outcome": "overridden",
                    "outcomeTimestamp": "2026-11-21T12:00:00Z",
                    "overrideReason": {"reason": {"code": "c", "system": "s"}, "userComment": "x"},
                },
                {
                    "card": INSTANCE,
                    "outcome": "accepted",
                    "outcomeTimestamp": "2026-11-21T12:00:00.1+01:00",
                    "acceptedSuggestions": [{"id": INSTANCE}],
                },
            ]
        }
    ],
    "operation-outcome": [
        {
            "resourceType": "OperationOutcome",
            "issue": [
                {
                    "severity": "error",
                    "code": "invalid",
                    "details": {"text": "t"},
                    "diagnostics": "d",
                    "expression": ["hook"],
                }
            ],
        }
    ],
    "medication-order-dstu2": [ldn("DSTU2")],
}


def agree(name: str, instance: Any) -> bool:
    """The common verdict; fails where the two differ."""
    slow = SLOW[name].is_valid(instance)
    assert slow == VALID[name].is_valid(instance)
    return bool(slow)


def test_every_schema_has_a_model_that_both_accept() -> None:
    assert set(VALID) == set(MODELS)
    assert all(agree(name, model) for name, models in MODELS.items() for model in models)


@CASES
@given(name=st.sampled_from(sorted(VALID)), instance=json_values)
def test_they_agree_on_any_json(name: str, instance: Any) -> None:
    agree(name, instance)


@CASES
@given(name=st.sampled_from(sorted(MODELS)), data=st.data())
def test_they_agree_on_models_with_a_change(name: str, data: Any) -> None:
    model = deepcopy(data.draw(st.sampled_from(MODELS[name])))
    path = data.draw(st.sampled_from(spots(model)))
    node = parent_of(model, path)
    how = data.draw(st.sampled_from(["delete", "retype", "newline", "append"]))
    if how == "delete":
        del node[path[-1]]
    elif how == "newline" and isinstance(node[path[-1]], str):
        node[path[-1]] += data.draw(
            st.sampled_from(["\n", "\u2028", " ", "\u0660", "\x1f", "x" * 140])
        )
    elif how == "append" and isinstance(node[path[-1]], list):
        node[path[-1]] += deepcopy(node[path[-1]])
    else:
        node[path[-1]] = data.draw(json_values)
    agree(name, model)
