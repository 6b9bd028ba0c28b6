"""What is running: the package, the content, the terminology and the rules, each by its own version."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import cds_service
from cds_service.content.loader import Content

_DECIDES = ("rules", "exposure", "dosing", "snapshot.py", "pipeline.py")


@cache
def package_version() -> str:
    try:
        return metadata.version("naltrexone-cds")
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return "unknown"


def rules_version() -> str:
    """Twelve digits of a hash over the code that decides: the same digits, the same decisions from the same data."""
    return _rules_digest()[:12]


def digests(content: Content, terminology_dir: Path | str | None) -> dict[str, str]:
    """Content, terminology (code, packaged tables, those of the site) and rules, each as a whole SHA-256."""
    own = Path(terminology_dir) if terminology_dir else None
    return {
        "content": content.digest,
        "terminology": _digest([*_packaged_terminology(), *_files(own, own)]),
        "rules": _rules_digest(),
    }


@cache
def _rules_digest() -> str:
    root = _root()
    parts = [root / part for part in _DECIDES]
    return _digest(pair for part in parts for pair in _files(part, root) if pair[0].endswith(".py"))


@cache
def _packaged_terminology() -> tuple[tuple[str, bytes], ...]:
    return tuple(
        (name, hashlib.sha256(data).digest())
        for name, data in _files(_root() / "terminology", _root())
        if not name.endswith(".pyc")
    )


def _root() -> Path:
    return Path(cds_service.__path__[0])


def _files(place: Path | None, root: Path | None) -> Iterator[tuple[str, bytes]]:
    """A file, or all in a folder, with their names below ``root``."""
    if place is None or root is None:
        return
    for file in sorted(place.rglob("*") if place.is_dir() else [place]):
        if file.is_file():
            yield file.relative_to(root).as_posix(), file.read_bytes()


def _digest(files: Iterable[tuple[str, bytes]]) -> str:
    total = hashlib.sha256()
    for name, data in files:
        total.update(f"{name}\0{len(data)}\0".encode() + data)
    return total.hexdigest()
