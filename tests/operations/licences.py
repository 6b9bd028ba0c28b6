"""docs/operations/licences.md: what is installed with the service and under which licence, from the packages' own metadata.

``python -m tests.operations.licences > docs/operations/licences.md``
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import Distribution, distribution

from tests.conftest import ROOT

HEAD = """# Licences of what is installed with the service

Generated from the metadata of the packages in `requirements-postgres.txt`: `python -m tests.operations.licences`.
The components with their hashes, as CycloneDX 1.5: `make sbom`.

| package | version | licence |
|---|---|---|
"""


def locked() -> dict[str, str]:
    """Name and version of every package that production installs."""
    text = (ROOT / "requirements-postgres.txt").read_text("utf-8")
    return dict(re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", text, re.MULTILINE))


def licence(found: Distribution) -> str:
    """The SPDX expression, or the classifier, or the first line of the older field; empty if none is stated."""
    metadata = found.metadata
    named = [
        line.rpartition(" :: ")[2]
        for line in metadata.get_all("Classifier") or []
        if line.startswith("License :: ") and line != "License :: OSI Approved"
    ]
    old = "".join(metadata.get_all("License") or []).strip().splitlines()
    return (
        "".join(metadata.get_all("License-Expression") or [])
        or ", ".join(named)
        or (old[0] if old else "")
    )


def page() -> str:
    rows = [
        f"| {name} | {version} | {licence(distribution(name))} |\n"
        for name, version in sorted(locked().items())
    ]
    return HEAD + "".join(rows)


if __name__ == "__main__":
    sys.stdout.write(page())
