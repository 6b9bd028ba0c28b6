"""A site's additions to the manifests: a database of its own, and content and drug tables apart from the image."""

from __future__ import annotations

import copy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from cds_service import clinical, terminology
from cds_service.terminology import tables
from tests.operations.test_deploy import DEPLOY, PREFIX, manifests
from tests.operations.test_manifests import VALIDATOR

Json = dict[str, Any]
POSTGRES, SITE = DEPLOY / "postgres", DEPLOY / "site"


def read(file: Path) -> Json:
    found: Json = yaml.safe_load(file.read_text("utf-8"))
    return found


def resources(folder: Path) -> dict[str, Json]:
    """The manifests of a folder by kind."""
    names = read(folder / "kustomization.yaml")["resources"]
    return {each["kind"]: each for each in (read(folder / name) for name in names)}


def merged(base: Json, patch: Json) -> Json:
    """The Deployment with a strategic merge patch: lists of named things are joined by name, as the API does."""
    whole = copy.deepcopy(base)
    for key, value in patch.items():
        old = whole.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            whole[key] = merged(old, value)
        elif isinstance(value, list) and isinstance(old, list):
            known = {each["name"]: each for each in old}
            known |= {each["name"]: merged(known.get(each["name"], {}), each) for each in value}
            whole[key] = [*known.values()]
        else:
            whole[key] = value
    return whole


def site() -> Json:
    deployment = next(m for m in manifests() if m["kind"] == "Deployment")
    for patch in read(SITE / "kustomization.yaml")["patches"]:
        deployment = merged(deployment, read(SITE / patch["path"]))
    return deployment


@pytest.mark.parametrize("kind", sorted(resources(POSTGRES)))
def test_the_database_fits_the_schema(kind: str) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(resources(POSTGRES)[kind])] == []


def test_the_database_is_confined_as_the_service_is() -> None:
    pod = resources(POSTGRES)["StatefulSet"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["containers"][0]["securityContext"] == {
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_service_may_reach_the_database_and_nobody_else_may() -> None:
    of_service = next(m for m in manifests() if m["kind"] == "NetworkPolicy")["spec"]
    of_database = resources(POSTGRES)["NetworkPolicy"]["spec"]
    labels = resources(POSTGRES)["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    assert of_database["podSelector"]["matchLabels"] == labels
    assert {"podSelector": {"matchLabels": labels}} in [
        peer for rule in of_service["egress"] for peer in rule["to"]
    ]
    assert of_database["ingress"][0]["from"] == [{"podSelector": of_service["podSelector"]}]
    assert of_database["ingress"][0]["ports"] == [{"protocol": "TCP", "port": 5432}]
    assert "egress" not in of_database
    assert set(of_database["policyTypes"]) == {"Ingress", "Egress"}


def test_the_sites_deployment_fits_the_schema_and_mounts_what_it_names() -> None:
    deployment = site()
    assert [error.message for error in VALIDATOR.iter_errors(deployment)] == []
    spec = deployment["spec"]["template"]["spec"]
    container = spec["containers"][0]
    named = {each["name"]: each.get("value", "") for each in container["env"]}
    mounts = {each["mountPath"]: each for each in container["volumeMounts"]}
    for setting in ("CONTENT_OVERLAY", "TERMINOLOGY_DIR"):
        assert mounts[named[PREFIX + setting]]["readOnly"] is True
    assert {each["name"] for each in mounts.values()} == {each["name"] for each in spec["volumes"]}
    maps = {each["configMap"]["name"] for each in spec["volumes"] if "configMap" in each}
    generated = read(SITE / "kustomization.yaml")["configMapGenerator"]
    generated += read(DEPLOY / "kubernetes" / "kustomization.yaml")["configMapGenerator"]
    assert maps == {each["name"] for each in generated}
    assert all((SITE / file).is_file() for file in generated[0]["files"])


def test_the_words_as_shipped_are_an_overlay_that_changes_nothing(tmp_path: Path) -> None:
    """As a cluster lays it: the files are links into a folder whose name begins with two dots."""
    (data := tmp_path / "..2026_11_25").mkdir()
    for file in read(SITE / "kustomization.yaml")["configMapGenerator"][0]["files"]:
        shutil.copy(SITE / file, data)
        (tmp_path / Path(file).name).symlink_to(data / Path(file).name)
    (tmp_path / "..data").symlink_to(data)
    found = clinical.load(str(tmp_path))
    assert found.refused == ()
    assert found.content.version == clinical.load().content.version


def test_drug_tables_are_too_large_for_a_configmap() -> None:
    """Or they would be one: a claim is more to keep."""
    folder = Path(terminology.__file__).parent / "data"
    assert sum(file.stat().st_size for file in folder.iterdir()) > 1 << 20
    assert tables.read_tables(folder)


@pytest.mark.parametrize("folder", ["kubernetes", "postgres", "site"])
def test_kustomize_builds_it(folder: str) -> None:
    if not shutil.which("kubectl"):
        pytest.skip("slow: no kubectl here; the manifests are read without it above")
    done = subprocess.run(
        ["kubectl", "kustomize", str(DEPLOY / folder)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    kinds = [each["kind"] for each in yaml.safe_load_all(done.stdout)]
    assert len(kinds) >= 3
