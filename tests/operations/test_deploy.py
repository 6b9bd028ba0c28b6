"""What is shipped under deploy/ fits the service: settings load, versions agree, probes exist, nothing runs as root."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from flask.testing import FlaskClient

from cds_service import settings
from cds_service.app import create_app
from cds_service.cli.main import main
from cds_service.settings import Settings
from cds_service.store.schema import HEAD
from cds_service.web.health_door import PATHS
from tests.conftest import ROOT
from tests.operations import containerfile

DEPLOY = ROOT / "deploy"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
PREFIX = "NALTREXONE_CDS_"
CONTAINERFILE = (DEPLOY / "Containerfile").read_text("utf-8")
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
SERVICE = COMPOSE["services"]["service"]


def manifests() -> list[dict[str, Any]]:
    kustomization = yaml.safe_load(
        (DEPLOY / "kubernetes" / "kustomization.yaml").read_text("utf-8")
    )
    return [
        yaml.safe_load((DEPLOY / "kubernetes" / name).read_text("utf-8"))
        for name in kustomization["resources"]
    ]


def pods() -> Iterator[dict[str, Any]]:
    for manifest in manifests():
        if "template" in manifest["spec"]:
            yield manifest["spec"]["template"]


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    return create_app(Settings(data_dir=str(tmp_path_factory.mktemp("data")))).test_client()


@pytest.mark.parametrize("file", ["production.toml", "kubernetes/settings.toml"])
def test_the_settings_are_accepted(file: str, tmp_path: Path) -> None:
    """As shipped, but for the folder of the keys, which only a site has."""
    (tmp_path / "audit.key").write_text("k" * 40)
    copy = tmp_path / "settings.toml"
    copy.write_text(
        (DEPLOY / file).read_text("utf-8").replace("/run/secrets/naltrexone-cds", str(tmp_path))
    )
    loaded = settings.load(str(copy), environ={})
    assert loaded.profile == "production"
    assert loaded.audit == "required"


def test_the_settings_of_compose_are_accepted() -> None:
    """It listens beyond loopback, so it may not do without client tokens."""
    loaded = settings.load(str(DEPLOY / "compose.toml"), environ={})
    assert (loaded.host, loaded.auth_mode) == ("0.0.0.0", "hooks")
    mounted = [each.split(":")[:2] for each in SERVICE["volumes"]]
    assert ["./compose.toml", SERVICE["command"][-1]] in mounted


def test_every_variable_that_is_set_is_a_setting() -> None:
    names = {PREFIX + field.name.upper() for field in fields(Settings)}
    text = "\n".join(file.read_text("utf-8") for file in DEPLOY.rglob("*") if file.is_file())
    used = set(re.findall(rf"\b{PREFIX}[A-Z_]+", text))
    assert used
    assert used <= names


def test_one_version_is_named_everywhere() -> None:
    named = re.findall(
        r"(?:naltrexone-cds:|version=\"|newTag: |app.kubernetes.io/version: )(\d+\.\d+\.\d+)",
        CONTAINERFILE
        + (DEPLOY / "compose.yaml").read_text("utf-8")
        + (DEPLOY / "kubernetes" / "kustomization.yaml").read_text("utf-8"),
    )
    assert len(named) >= 4
    assert set(named) == {VERSION}


def test_every_file_that_an_image_copies_is_there_and_not_ignored() -> None:
    kept = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()
        if line.startswith("!")
    }
    copied = [
        word
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", CONTAINERFILE, re.MULTILINE)
        for word in line.split()
    ]
    assert copied
    for name in copied:
        assert (ROOT / name).exists(), name
        assert any(Path(name).match(pattern) for pattern in kept), name


def test_an_image_copies_all_that_its_wheel_is_made_of() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    copied = {
        word
        for stage in containerfile.read(CONTAINERFILE)
        for step in stage.steps
        if step.word == "COPY"
        for word in step.words()[:-1]
    }
    assert {*wheel["packages"], *wheel["force-include"]} <= copied


def test_the_image_runs_as_nobody_and_installs_by_hash() -> None:
    assert re.findall(r"^USER (.+)$", CONTAINERFILE, re.MULTILINE)[-1] == "10001:10001"
    installs = re.findall(r"pip install (.+?)(?: \\?$| &&|$)", CONTAINERFILE, re.MULTILINE)
    assert installs
    assert all("--require-hashes" in line or "--no-index" in line for line in installs)


def test_no_pod_is_root_or_writes_to_its_image() -> None:
    found = list(pods())
    assert len(found) == 2
    for pod in found:
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert pod["spec"]["automountServiceAccountToken"] is False
        for container in pod["spec"]["containers"]:
            assert container["securityContext"] == {
                "readOnlyRootFilesystem": True,
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"]
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            assert mounted == {volume["name"] for volume in pod["spec"]["volumes"]}
    assert SERVICE["read_only"] is True
    assert SERVICE["cap_drop"] == ["ALL"]


def test_every_probe_asks_a_page_that_there_is(web: FlaskClient) -> None:
    deployment = next(m for m in manifests() if m["kind"] == "Deployment")
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    paths = {
        name: container[name]["httpGet"]["path"]
        for name in ("startupProbe", "readinessProbe", "livenessProbe")
    }
    assert len(set(paths.values())) == 3
    assert set(paths.values()) <= PATHS
    assert all(web.get(path).status_code in {200, 503} for path in paths.values())


def test_health_is_asked_at_a_port_of_its_own_that_the_ingress_does_not_reach() -> None:
    files = ("kubernetes/settings.toml", "production.toml", "compose.toml")
    wanted = {tomllib.loads((DEPLOY / file).read_text("utf-8"))["health_port"] for file in files}
    assert len(wanted) == 1
    health = wanted.pop()
    by_kind = {m["kind"]: m for m in manifests()}
    template = by_kind["Deployment"]["spec"]["template"]
    container = template["spec"]["containers"][0]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"http": Settings().port, "health": health}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] == "health"
    assert template["metadata"]["annotations"]["prometheus.io/port"] == str(health)
    assert {port["targetPort"] for port in by_kind["Service"]["spec"]["ports"]} == {"http"}
    reached = {
        peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]: [
            port["port"] for port in rule["ports"]
        ]
        for rule in by_kind["NetworkPolicy"]["spec"]["ingress"]
        for peer in rule["from"]
    }
    assert reached == {"ingress-nginx": [ports["http"]], "monitoring": [health]}
    assert f":{health}/readyz" in SERVICE["healthcheck"]["test"][-1]
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text("utf-8"))
    targets = scraped["scrape_configs"][0]["static_configs"][0]["targets"]
    assert targets == [f"service:{health}"]


def test_selectors_meet_the_deployment_and_not_the_job() -> None:
    by_kind = {m["kind"]: m for m in manifests()}
    labels = by_kind["Deployment"]["spec"]["template"]["metadata"]["labels"]
    job = by_kind["Job"]["spec"]["template"]["metadata"]["labels"]
    for selector in (
        by_kind["Service"]["spec"]["selector"],
        by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        by_kind["Deployment"]["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()
        assert not selector.items() <= job.items()
    isolated = by_kind["NetworkPolicy"]["spec"]["podSelector"]["matchExpressions"][0]
    assert {labels["app"], job["app"]} <= set(isolated["values"])
    assert set(by_kind["NetworkPolicy"]["spec"]["policyTypes"]) == {"Ingress", "Egress"}


def test_the_job_migrates_a_new_store_and_one_that_is_there(tmp_path: Path) -> None:
    job = next(m for m in manifests() if m["kind"] == "Job")
    command = job["spec"]["template"]["spec"]["containers"][0]["args"][:2]
    for _ in range(2):
        done = CliRunner().invoke(main, [*command, "--data-dir", str(tmp_path)])
        assert (done.exit_code, f"revision {HEAD}" in done.output) == (0, True)
    away = {"NALTREXONE_CDS_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x"}
    assert (
        CliRunner().invoke(main, [*command, "--data-dir", str(tmp_path)], env=away).exit_code != 0
    )


def test_every_resource_is_one_that_kubernetes_serves() -> None:
    served = {
        ("apps/v1", "Deployment"),
        ("v1", "Service"),
        ("batch/v1", "Job"),
        ("policy/v1", "PodDisruptionBudget"),
        ("autoscaling/v2", "HorizontalPodAutoscaler"),
        ("networking.k8s.io/v1", "NetworkPolicy"),
    }
    assert {(m["apiVersion"], m["kind"]) for m in manifests()} == served
