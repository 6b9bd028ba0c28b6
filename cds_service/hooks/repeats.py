"""Alerts that a clinician overrode at order-select and that come again at order-sign, said in one line where a client asks.

Pure: who asks, and what an alert rests on. The alert is said in full again as soon as anything of that differs, and it is
never left out (PDDI-CDS, "filter out repeated alerts"; the default is not to).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cds_service.hooks.request import HookRequest
from cds_service.hooks.services import KEEP_FOR_SIGN, SHORTEN_REPEATS
from cds_service.model import Finding, Medication, Severity, Snapshot
from cds_service.settings import Client

Bases = Mapping[str, str]  # topic -> what its alert rests on, as text


@dataclass(frozen=True, slots=True)
class Overridden:
    """When an alert was overridden, and the code of the reason; "" where none of ours was given."""

    at: datetime
    reason: str = ""


Recall = Callable[[HookRequest, Bases], Mapping[str, Overridden]]


def nothing_recalled(_request: HookRequest, _bases: Bases) -> Mapping[str, Overridden]:
    return {}


def is_kept(request: HookRequest, client: Client | None) -> bool:
    """Whether what is shown now may shorten a later answer."""
    return request.hook == "order-select" and _asks(request, client, KEEP_FOR_SIGN)


def is_shortened(request: HookRequest, client: Client | None) -> bool:
    """Whether an alert of this call may be said in one line."""
    return request.hook == "order-sign" and _asks(request, client, SHORTEN_REPEATS)


def _asks(request: HookRequest, client: Client | None, item: str) -> bool:
    """The request decides where it says anything, else the client's setting; a call of nobody's asks for nothing."""
    if not (request.user_id and request.patient_id):
        return False
    said = request.configuration.get(item)
    return said if isinstance(said, bool) else client is not None and client.brief_repeats


def bases_of(findings: Iterable[Finding], snapshot: Snapshot, content_version: str) -> Bases:
    """What each alert rests on: pair, states, dose bands, days, lines and words. One topic has one alert."""
    gaps = sorted([gap.about, gap.why] for gap in snapshot.gaps)
    return {f.topic: _basis(f, gaps, content_version) for f in findings}


def _basis(finding: Finding, gaps: list[list[str]], content_version: str) -> str:
    said: dict[str, Any] = {
        "topic": finding.topic,
        "severity": int(finding.severity),
        "situation": finding.situation,
        "lines": finding.lines,
        "facts": dict(finding.facts),
        "quotes": dict(finding.quotes),
        "drafted": sorted(_medication(draft.medication) for draft in finding.about),
        "found": sorted(
            [*_medication(e.medication), str(e.state), str(e.days), str(e.last_dose_days)]
            for e in finding.found
        ),
        "gaps": gaps,
        "content": content_version,
    }
    return json.dumps(said, sort_keys=True)


def _medication(medication: Medication) -> list[str]:
    held = (f"{c.ingredient} {c.role}" for c in medication.recognition.components)
    return [*sorted(held), str(medication.band), str(medication.dose.daily_mg)]


def softened(severity: Severity) -> Severity:
    """What one line is sent as: a critical alert stays a warning, any other is information."""
    return Severity.WARNING if severity is Severity.CRITICAL else Severity.INFO
