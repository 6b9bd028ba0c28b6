"""What is installed is listed with a licence for each, and the lock can be written as an SBOM."""

from __future__ import annotations

import json
import re
import subprocess

from uv import find_uv_bin

from tests.conftest import ROOT
from tests.operations.licences import locked, page


def test_every_locked_package_is_listed_with_a_licence() -> None:
    assert (ROOT / "docs/operations/licences.md").read_text("utf-8") == page()
    rows = re.findall(r"^\| ([a-z0-9.-]+) \| (\S+) \| (.*) \|$", page(), re.MULTILINE)
    listed = {name: version for name, version, _ in rows if name != "package"}
    assert listed == locked()
    assert all(licence.strip() for _, _, licence in rows)


def test_the_sbom_names_every_locked_package() -> None:
    """The command of `make sbom`, but for where it writes."""
    line = re.search(
        r"^\t(uv export .+) -o \S+$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE
    )
    assert line
    done = subprocess.run(
        [find_uv_bin(), *line[1].split()[1:], "--offline"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    sbom = json.loads(done.stdout)
    assert (sbom["bomFormat"], sbom["specVersion"]) == ("CycloneDX", "1.5")
    components = {each["name"]: each["version"] for each in sbom["components"]}
    assert components == locked()
    for each in sbom["components"]:
        assert each["purl"].split(";")[0] == f"pkg:pypi/{each['name']}@{each['version']}"
