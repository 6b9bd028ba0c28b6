"""What is running: the package, the content, the terminology and the rules, each by its own version."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import metadata
from pathlib import Path

import cds_service

_DECIDES = ("rules", "exposure", "dosing", "snapshot.py", "pipeline.py")


@cache
def package_version() -> str:
    try:
        return metadata.version("naltrexone-cds")
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return "unknown"


@cache
def rules_version() -> str:
    """Twelve digits of a hash over the code that decides: the same digits, the same decisions from the same data."""
    root = Path(cds_service.__path__[0])
    total = hashlib.sha256()
    for part in _DECIDES:
        for file in sorted([root / part] if part.endswith(".py") else (root / part).rglob("*.py")):
            if file.is_file():
                total.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return total.hexdigest()[:12]
