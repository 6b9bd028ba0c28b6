"""One request traced: what was read, what it was taken for, what each rule said and why, and what could not be known.

For the eyes of the person who has the request: the trace quotes it. Nothing here runs while the service answers a hook;
``explain`` and the page ``/why`` both show what is made here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import date
from typing import Any

from cds_service.content.loader import Content
from cds_service.fhir import write
from cds_service.fhir.bundle import Entry
from cds_service.fhir.status import order_kind, release_of, standing_of
from cds_service.fhir.values import resource_ref
from cds_service.model import Dose, Exposure, Gap, Medication, Recognition, Verdict
from cds_service.pipeline import Engine, Outcome

_MOST_FAULTS = 12


def explain(outcome: Outcome, engine: Engine, *, advise: bool = True) -> dict[str, Any]:
    """The whole trace as plain JSON values. ``advise`` holds what was sent against its own standard, which takes time."""
    snapshot = outcome.snapshot
    return {
        "hook": snapshot.hook,
        "service": outcome.request.service.id,
        "as_of": snapshot.as_of.isoformat(),
        "fhir_release": str(snapshot.release),
        "versions": {"content": engine.content.version, "terminology": engine.terminology.version},
        "prefetch": [
            {"key": key, "state": a.state, "resources": len(a.entries), "why": a.why}
            for key, a in sorted(outcome.record.answers.items())
        ],
        "medication_list_available": snapshot.list_available,
        "read": [*_read(outcome)],
        "drafts": [
            {
                **_medication(d.medication),
                "selected": d.selected,
                "renewal": d.renewal,
                "reasons": sorted(d.reason_kinds),
                "says_ldn": d.says_ldn,
            }
            for d in snapshot.drafts
        ],
        "names_not_known": sorted(
            {*snapshot.unknown_names, *(d.name for d in snapshot.unknown_drafts if d.name)}
        ),
        "without_readable_identity": f"{snapshot.unreadable} of {snapshot.listed_count}",
        "exposures": [_exposure(e) for e in snapshot.exposures],
        "conditions": [
            {"label": c.concept.label, "kinds": sorted(c.kinds)} for c in snapshot.conditions
        ],
        "setting": {"acute": snapshot.setting.acute, "outpatient": snapshot.setting.outpatient},
        "age": snapshot.age,
        "rules": [_verdict(v, engine, snapshot.today) for v in outcome.verdicts],
        "gaps": [_gap(g) for g in snapshot.gaps],
        "departures_from_fhir": [*_departures(outcome)] if advise else [],
        "timings_ms": {
            name: round(seconds * 1_000, 3) for name, seconds in outcome.timings.items()
        },
        "cards": [
            {
                "topic": c["source"]["topic"]["code"],
                "indicator": c["indicator"],
                "summary": c["summary"],
            }
            for c in outcome.cards
        ],
    }


def _entries(outcome: Outcome) -> Iterator[tuple[str, Entry]]:
    yield from (("context", entry) for entry in outcome.request.orders.entries)
    yield from outcome.record.entries


def _read(outcome: Outcome) -> Iterator[dict[str, Any]]:
    """Every medicine that was sent, the ones that concern no rule included."""
    for source, entry in _entries(outcome):
        kind = order_kind(entry.resource)
        if not kind:
            continue
        drug, recognition, *_ = outcome.reading.name(entry.resource)
        yield {
            "from": source,
            "resource": resource_ref(entry.resource) or str(entry.resource.get("resourceType")),
            "standing": str(standing_of(entry.resource, kind))
            if source != "context"
            else "context",
            "codings": [f"{c.system}|{c.code} {c.display}".strip() for c in drug.concept.codings],
            "text": drug.concept.text,
            **_recognition(recognition),
        }


def _recognition(recognition: Recognition) -> dict[str, Any]:
    return {
        "class": str(recognition.kind),
        "identified": recognition.identified,
        "recognised_by": list(recognition.matched_by),
        "components": [
            {
                "ingredient": c.ingredient,
                "rxcui": c.rxcui,
                "role": str(c.role),
                "strength": f"{c.strength.mg} mg / {c.strength.per_amount} {c.strength.per_unit}"
                if c.strength
                else None,
            }
            for c in recognition.components
        ],
        **({"conflict": recognition.conflict} if recognition.conflict else {}),
        **({"did_you_mean": recognition.did_you_mean} if recognition.uncertain else {}),
        **({"unknown_name": recognition.unknown_name} if recognition.unknown_name else {}),
    }


def _medication(medication: Medication) -> dict[str, Any]:
    return {
        "resource": medication.order.ref,
        "label": medication.order.label,
        "roles": [str(c.role) for c in medication.recognition.components],
        "band": str(medication.band) if medication.band else None,
        "dose": _dose(medication.dose),
    }


def _dose(dose: Dose) -> dict[str, Any]:
    mg = {
        "daily_mg": dose.daily_mg,
        "first_phase_mg": dose.first_phase_mg,
        "structured_mg": dose.structured_mg,
        "sig_mg": dose.sig_mg,
    }
    return {
        **{name: str(value) if value is not None else None for name, value in mg.items()},
        "phases": dose.phases,
        "because": list(dose.because),
    }


def _exposure(exposure: Exposure) -> dict[str, Any]:
    return {
        **_medication(exposure.medication),
        "source": exposure.medication.order.source,
        "state": str(exposure.state),
        "days_since_end": exposure.days,
        "days_since_last_dose": exposure.last_dose_days,
        "dose_lasts_days": exposure.interval_days,
        "brief": exposure.brief,
        "because": exposure.because,
        "end": _day(exposure.ending.on) if exposure.ending else None,
        "end_known_by": exposure.ending.what if exposure.ending else None,
        "latest_possible_day": _day(exposure.latest_day),
        "days_since_evidence_of_use": exposure.used_days,
        "days_since_earliest_run_out": exposure.run_out_days,
        "run_out": _run_out(exposure),
        "clear_from": _day(exposure.clear_on),
    }


def _day(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _run_out(exposure: Exposure) -> dict[str, Any] | None:
    """The bounds of the supply, and what they were worked out from."""
    supply = exposure.run_out
    if supply is None:
        return None
    return {f.name: str(getattr(supply, f.name)) for f in fields(supply)}


def _verdict(verdict: Verdict, engine: Engine, day: date) -> dict[str, Any]:
    """What the rule said and why, with the numbers that it declares, as they stand on ``day``."""
    return {
        "rule": verdict.rule,
        "verdict": f"broken: {verdict.error}"
        if verdict.error
        else ", ".join(f"{f.severity.indicator} ({f.situation})" for f in verdict.findings)
        or "says nothing",
        "because": list(verdict.trace),
        "thresholds": {
            name: _threshold(name, engine.content, day)
            for rule in engine.rules
            if rule.id == verdict.rule
            for name in dict.fromkeys(_owner(path, engine.content) for path in rule.thresholds)
        },
    }


def _owner(path: str, content: Content) -> str:
    """The number with a history that holds this part; a number of a titration schedule is named in full."""
    whole = path.partition(".")[0]
    return path if whole in content.titration_history else whole


def _threshold(name: str, content: Content, day: date) -> dict[str, Any]:
    if name not in content.threshold_history:
        group, part = name.split(".")[:2]
        history = content.titration_history[group][part]
        begun = [e for e in history if e["from"] <= day] or [min(history, key=_beginning)]
        sources = max(begun, key=_beginning)["sources"]
        return {"value": content.numbers(day).get(name), "sources": sources}
    entry = content.threshold(name, day)
    return {"value": entry["value"], "sources": entry["sources"]}


def _beginning(entry: Mapping[str, Any]) -> date:
    begins: date = entry["from"]
    return begins


def _gap(gap: Gap) -> dict[str, Any]:
    return {"about": gap.about, "why": gap.why, "count": gap.count}


def _departures(outcome: Outcome) -> Iterator[dict[str, Any]]:
    """Advisory: where the incoming FHIR breaks its own standard. It was read all the same."""
    for source, entry in _entries(outcome):
        release = release_of(entry.resource) or outcome.snapshot.release
        faults = write.faults(entry.resource, release)
        if faults:
            yield {
                "from": source,
                "resource": resource_ref(entry.resource) or str(entry.resource.get("resourceType")),
                "release": str(release),
                "faults": faults[:_MOST_FAULTS],
                "more": max(0, len(faults) - _MOST_FAULTS),
            }
