"""What this service is built from is pinned to the byte, fresh, and fetched by nobody at run time (T15).

Known vulnerabilities are looked up by ``pip-audit`` and a bill of materials is written in the nightly run, which has a
network.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT

LISTS = [
    "requirements.txt",
    "requirements-postgres.txt",
    "requirements-test.txt",
    "requirements-lint.txt",
    "requirements-spark.txt",
]
LOCK = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
PACKAGES = {package["name"]: package for package in LOCK["package"]}
QUIET = timedelta(days=731)


def canonical(requirement: str) -> str:
    """The normalised name in ``PyYAML>=6``."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\[<>=~! ;]", requirement)[0]).lower()


DIRECT = sorted(canonical(each) for each in PROJECT["dependencies"])


def pins(name: str) -> list[str]:
    """The requirements of a list, each with its hashes on one line."""
    text = (ROOT / name).read_text(encoding="utf-8").replace("\\\n", " ")
    return [
        line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]


@pytest.mark.parametrize("name", LISTS)
def test_CT15_every_requirement_is_one_version_with_hashes(name: str) -> None:
    lines = pins(name)
    pinned = re.compile(r"[a-zA-Z0-9_.-]+(\[[a-z,]+\])?==[^ ]+ .*--hash=sha256:[0-9a-f]{64}")
    assert len(lines) > 1
    assert [] == [line for line in lines if not pinned.match(line)]


@pytest.mark.parametrize("name", LISTS)
def test_CT15_every_list_is_that_of_the_lock_and_whole(name: str) -> None:
    listed = {canonical(line): re.search(r"==([^ ;]+)", line)[1] for line in pins(name)}  # type: ignore[index]
    extras = {
        "requirements.txt": (),
        "requirements-postgres.txt": ("postgres",),
        "requirements-test.txt": ("test", "postgres"),
        "requirements-lint.txt": ("lint", "test", "postgres"),
        "requirements-spark.txt": ("spark", "replay", "test", "postgres"),
    }[name]
    wanted = [canonical(each) for extra in extras for each in EXTRAS[extra]]
    assert [] == [each for each in wanted if each not in (*listed, "naltrexone-cds")]
    assert [] == [name for name, version in listed.items() if PACKAGES[name]["version"] != version]
    assert [] == [name for name in DIRECT if name not in listed]


def test_CT15_every_file_in_the_lock_has_a_hash_and_one_public_index() -> None:
    files = [
        file
        for package in PACKAGES.values()
        for file in [
            *package.get("wheels", []),
            *([package["sdist"]] if "sdist" in package else []),
        ]
    ]
    sources = {tuple(package["source"].items()) for package in PACKAGES.values()} - {
        (("editable", "."),)
    }
    assert len(files) > 100
    assert [] == [file["url"] for file in files if not file["hash"].startswith("sha256:")]
    assert {(("registry", "https://pypi.org/simple"),)} == sources


@pytest.mark.parametrize("name", DIRECT)
def test_CT15_no_library_of_ours_had_its_last_release_two_years_before_the_lock(name: str) -> None:
    newest = max(moment(package) for package in PACKAGES.values())
    assert newest - moment(PACKAGES[name]) < QUIET


def moment(package: dict[str, Any]) -> datetime:
    """When the newest file of this package was put up."""
    files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
    times = [datetime.fromisoformat(file["upload-time"]) for file in files if "upload-time" in file]
    return max(times, default=datetime.min.replace(tzinfo=UTC))


def test_CT15_every_import_of_the_service_is_a_declared_dependency() -> None:
    """Or the documented base of one: Flask's."""
    provides = {
        "flask-cors": "flask_cors",
        "pyyaml": "yaml",
        "fhir-resources": "fhir",
        "jsonschema-rs": "jsonschema_rs",
        "prometheus-client": "prometheus_client",
        "markdown-it-py": "markdown_it",
    }
    extras = {  # imported only where the settings or a command ask for them
        "postgres": ("psycopg", "psycopg"),
        "telemetry": ("opentelemetry-sdk", "opentelemetry"),
        "replay": ("duckdb", "duckdb"),
        "spark": ("pyspark", "pyspark"),
    }
    for extra, (package, _) in extras.items():
        assert any(each.startswith(package) for each in PROJECT["optional-dependencies"][extra])
    declared = {provides.get(name, name) for name in DIRECT} | {"cds_service"}
    bases = {"werkzeug", "jinja2", "markupsafe", "itsdangerous"}
    used = {name for file in (ROOT / "cds_service").rglob("*.py") for name in imports(file)} - set(
        sys.stdlib_module_names
    )
    assert set() == used - declared - bases - {module for _, module in extras.values()}


def imports(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


NO_NETWORK = """
import socket
def refuse(*_, **__):
    raise SystemExit("asked for the network")
socket.getaddrinfo = socket.socket.connect = socket.socket.connect_ex = refuse
import sys, tempfile, threading
from cds_service.app import create_app
from cds_service.settings import load
with tempfile.TemporaryDirectory() as folder:
    app = create_app(load(environ={}, data_dir=folder))
    answers = [app.test_client().get(path).status_code for path in ("/cds-services", "/livez", "/readyz")]
for thread in threading.enumerate():            # Python aborts where it ends while one is inside compiled code
    if thread.name == "warm-up":
        thread.join()
sys.exit(answers != [200, 200, 200])
"""


def test_CT15_the_service_starts_without_any_network() -> None:
    """No table, schema, model or font is fetched at run time."""
    done = subprocess.run(
        [sys.executable, "-c", NO_NETWORK],
        cwd=ROOT,
        capture_output=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert (0, "") == (done.returncode, done.stderr.decode()[-500:] if done.returncode else "")
