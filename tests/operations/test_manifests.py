"""The manifests fit the part of the Kubernetes API that they use, and a slip in one is seen."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.conftest import ROOT
from tests.operations.test_deploy import manifests

SCHEMA = json.loads((ROOT / "tests/operations/kubernetes.schema.json").read_text("utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)
BY_KIND = {manifest["kind"]: manifest for manifest in manifests()}


def container(manifest: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = manifest["spec"]["template"]["spec"]["containers"][0]
    return found


def test_the_schema_is_a_schema_for_exactly_the_kinds_that_are_shipped() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["properties"]["kind"]["enum"]) == {*BY_KIND, "StatefulSet"}


@pytest.mark.parametrize("kind", sorted(BY_KIND))
def test_a_manifest_fits_the_schema(kind: str) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(BY_KIND[kind])] == []


SLIPS: dict[str, tuple[str, Callable[[dict[str, Any]], Any]]] = {
    "old API": ("HorizontalPodAutoscaler", lambda m: m.update(apiVersion="autoscaling/v1")),
    "unknown kind": ("Service", lambda m: m.update(kind="Servise")),
    "unknown member": ("Service", lambda m: m["spec"].update(port=80)),
    "no selector": ("Deployment", lambda m: m["spec"].pop("selector")),
    "probe without a port": (
        "Deployment",
        lambda m: container(m)["livenessProbe"]["httpGet"].pop("port"),
    ),
    "misspelt probe": ("Deployment", lambda m: container(m).update(livenesProbe={})),
    "number in env": ("Deployment", lambda m: container(m)["env"][1].update(value=1)),
    "memory in MB": (
        "Job",
        lambda m: container(m)["resources"]["limits"].update(memory="384MB"),
    ),
    "misspelt security": (
        "Job",
        lambda m: container(m)["securityContext"].update(readonlyRootFilesystem=True),
    ),
    "volume of nothing": (
        "Job",
        lambda m: m["spec"]["template"]["spec"]["volumes"].append({"name": "x"}),
    ),
    "unknown protocol": (
        "NetworkPolicy",
        lambda m: m["spec"]["ingress"][0]["ports"][0].update(protocol="HTTP"),
    ),
    "rule with a misspelt peer": (
        "NetworkPolicy",
        lambda m: m["spec"]["egress"][0]["to"].append({"podSelektor": {}}),
    ),
    "both budgets": ("PodDisruptionBudget", lambda m: m["spec"].update(maxUnavailable=1)),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_seen(slip: str) -> None:
    kind, change = SLIPS[slip]
    manifest = copy.deepcopy(BY_KIND[kind])
    change(manifest)
    assert not VALIDATOR.is_valid(manifest)
