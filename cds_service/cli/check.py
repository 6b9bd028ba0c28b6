"""Check what the service is made of: content, terminology, fixtures and settings; every fault is one line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import orjson

from cds_service import clinical, signing, terminology
from cds_service import settings as configuration
from cds_service.cli.options import load_settings, with_settings
from cds_service.cli.preflight import key_faults, review_faults, store_faults
from cds_service.content.loader import Content, ContentError
from cds_service.content.readability import grade, words
from cds_service.fhir.bundle import unpack
from cds_service.rules import RULES
from cds_service.settings.reference import reference
from cds_service.terminology import figures

_CALLS = {"requests", "stories"}  # folders of fixtures that hold whole hook calls


@dataclass(slots=True)
class Findings:
    """What was checked (for the person who runs it) and what is wrong."""

    checked: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


@click.command(name="check")
@click.option(
    "--fixtures",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of FHIR fixtures to check.",
)
@click.option(
    "--reference",
    "as_reference",
    is_flag=True,
    help="Print docs/settings.md instead, and check nothing.",
)
@with_settings
def check_all(fixtures: Path | None, as_reference: bool, settings_file: str | None) -> None:
    """Check content, terminology, fixtures, settings, keys and store; exit 1 with a line per fault."""
    if as_reference:
        click.echo(reference(), nl=False)
        return
    settings = load_settings(settings_file)
    here = Path.cwd() / "fhir_fixtures"
    found = run(
        settings.content_overlay,
        settings.terminology_dir,
        fixtures or (here if here.is_dir() else None),
    )
    with suppress(ContentError, OSError):  # said above
        loaded = clinical.load(settings.content_overlay)
        found.faults += review_faults(settings, loaded.content)
        if settings.content_review.required and not loaded.refused:
            found.faults += signing.complaints(settings, loaded.content)
            found.checked += [f"content signed by {each.reviewer} on {each.signed_on}, diff {each.diff[:12]}"
                              for each in signing.signers(settings, loaded.content)]  # fmt: skip
    found.faults += [*key_faults(settings), *store_faults(settings)]
    for line in found.checked:
        click.echo(f"ok    {line}")
    click.echo("ok    settings " + json.dumps(configuration.redacted(settings)))
    for fault in found.faults:
        click.secho(f"FAULT {fault}", fg="red")
    sys.exit(1 if found.faults else 0)


def run(overlay: str = "", tables: str = "", fixtures: Path | None = None) -> Findings:
    """Check everything; ``tables`` is a folder of drug tables, ``fixtures`` one of FHIR resources and hook calls."""
    found = Findings()
    _check_content(found, overlay)
    _check_terminology(found, tables)
    if fixtures is not None and fixtures.is_dir():
        _check_fixtures(found, fixtures)
    return found


def _check_content(found: Findings, overlay: str) -> None:
    try:
        loaded = clinical.load_checked(overlay)
    except ContentError as error:
        found.faults += error.faults
        return
    lines = sum(len(card.lines) for card in loaded.cards.values())
    found.checked.append(
        f"content {loaded.version}: {len(loaded.cards)} topics, {lines} cited lines, "
        f"{len(loaded.sources)} sources, {len(loaded.threshold_history)} thresholds, "
        f"{len(loaded.titration_history['schedules'])} schedules, "
        f"{sum(len(page.words) for page in loaded.pages.values())} planner words"
    )
    found.checked.append(
        "readability: "
        + ", ".join(
            f"{name} grade {average:.0f} (hardest line {hardest:.0f}, longest {longest} words)"
            for name, average, hardest, longest in _readability(loaded)
        )
    )
    found.checked.append(f"rules: {', '.join(rule.id for rule in RULES)}")
    if not loaded.reviewed:
        found.checked.append("content is not yet reviewed by a clinician (reviewed_by: null)")


def _readability(content: Content) -> Iterator[tuple[str, float, float, int]]:
    """Each topic: the Flesch-Kincaid grade of its lines together and of the hardest, and its longest line."""
    for name, card in content.cards.items():
        texts = [*card.lines.values(), *card.summaries.values()]
        yield name, grade("\n".join(texts)), max(map(grade, texts)), max(map(words, texts))


def _check_terminology(found: Findings, tables: str) -> None:
    try:
        loaded = terminology.load(tables)
    except (OSError, ValueError, KeyError) as error:
        found.faults.append(f"terminology: cannot be read ({type(error).__name__})")
        return
    counts = loaded.counts()
    found.checked.append(f"terminology {loaded.version}")
    found.checked.append(
        "recognition: " + ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in counts.items())
    )
    found.faults += [*_recognition_faults(counts)]
    field, others = figures.from_the_field(loaded), figures.of_other_drugs(loaded)
    found.checked.append(
        f"names of many countries: {field.names}, {field.recognised:.1f} % recognised as what they are, "
        f"{field.unknown:.1f} % said to be unknown, {len(field.silent)} silent"
    )
    found.checked.append(
        f"common names of other drugs: {others.names}, {len(others.mistaken) + len(others.guessed)} mistaken "
        f"for an opioid, {others.unknown:.1f} % unknown ({others.unknown_by_use:.1f} % weighted by use)"
    )
    found.faults += figures.faults(field, others)


def _recognition_faults(counts: dict[str, Any]) -> Iterator[str]:
    for how in ("by_code", "by_name"):
        if counts[how] != counts["opioid_clinical_drugs"]:
            yield f"terminology: {counts['opioid_clinical_drugs'] - counts[how]} opioid drugs are not recognised {how}"
    if counts["guards_matched"]:
        yield f"terminology: {counts['guards_matched']} guard drugs are taken for opioids"


def _check_fixtures(found: Findings, folder: Path) -> None:
    files = sorted(folder.rglob("*.json"))
    for file in files:
        try:
            body = orjson.loads(file.read_bytes())
        except orjson.JSONDecodeError:
            found.faults.append(f"fixtures: {file.relative_to(folder)} is not JSON")
            continue
        if not _CALLS & set(file.parts) and not unpack(body).entries:
            found.faults.append(f"fixtures: {file.relative_to(folder)} holds no FHIR resource")
    found.checked.append(f"fixtures: {len(files)} files")
