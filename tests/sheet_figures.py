"""What the transparency sheets say was measured on this build; ``python -m tests.sheet_figures`` writes it anew.

Counted by asking the service itself: every vignette as it is written, every name of the lists. Only what does not depend
on the machine goes in, so that a test can compare.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from cds_service import pipeline, terminology
from cds_service.content import loader
from cds_service.hooks.services import SERVICES
from cds_service.model import Concept, Drug, Identity
from cds_service.rules import RULES
from cds_service.terminology.figures import SAMPLES, Figures, measure, read_samples
from tests.vignettes import builder
from tests.vignettes.compare import differences
from tests.vignettes.releases import RELEASES, Json

ROOT = Path(__file__).parents[1]
FILE = ROOT / "cds_service" / "console" / "figures.json"
_EXAMPLES = 3
_INDICATORS = ("critical", "warning", "info")


def figures() -> Json:
    """Everything that was counted."""
    engine = pipeline.Engine(
        terminology.load(), loader.load(), ZoneInfo("UTC"), "http://127.0.0.1", lambda: "x"
    )
    met = [(case, _answer(case, engine)) for case in builder.vignettes()]
    return {
        "vignettes": _vignettes(met),
        "requests": _requests(),
        "names": _names(engine),
        "rules": {rule.id: _rule(rule.id, met) for rule in RULES},
    }


def _answer(case: Json, engine: pipeline.Engine) -> pipeline.Outcome:
    body = builder.request(case, case["fhir_version"], case["hook"])
    service = SERVICES[builder.service_of(case["hook"])]
    return pipeline.answer(body, service, engine, builder.NOW)


def _vignettes(met: list[tuple[Json, pipeline.Outcome]]) -> Json:
    runs = sum(
        not builder.unsaid(case, release, hook)
        for case, _ in met
        for release in RELEASES
        for hook in builder.HOOKS
    )
    return {
        "cases": len(met),
        "as_expected": sum(not _wrong(case, outcome) for case, outcome in met),
        "silent_on_purpose": sum(not case["expected_cards"] for case, _ in met),
        "releases": list(RELEASES),
        "hooks": list(builder.HOOKS),
        "calls": runs,
        "by": "the project's own author, by hand from the clinical specification; no clinician has reviewed them",
    }


def _wrong(case: Json, outcome: pipeline.Outcome) -> list[str]:
    hook = case["hook"]
    body = builder.request(case, case["fhir_version"], hook)
    return [
        *differences(builder.expected(case, hook), builder.comparable(outcome.cards, hook), body)
    ]


def _requests() -> Json:
    folder = ROOT / "fhir_fixtures" / "requests"
    return {
        kind: sum(1 for _ in (folder / kind).glob("*.json"))
        for kind in ("captures", "examples", "field")
    }


def _names(engine: pipeline.Engine) -> Json:
    recognise = engine.terminology.recognise
    files = {"relevant": "names-field.csv", "other": "common-other-names.csv"}
    lists = {name: read_samples(SAMPLES / file) for name, file in files.items()}
    found = {name: _shown(measure(engine.terminology, samples)) for name, samples in lists.items()}
    found["not_known"] = sorted(
        sample.name
        for samples in lists.values()
        for sample in samples
        if recognise(Drug(Concept(text=sample.name))).kind
        in {Identity.UNKNOWN, Identity.UNREADABLE}
    )
    return found


def _shown(found: Figures) -> Json:
    return {
        "names": found.names,
        "recognised_percent": round(found.recognised, 1),
        "unknown_percent": round(found.unknown, 1),
        "silent": len(found.silent),
        "mistaken": len(found.mistaken),
    }


def _rule(topic: str, met: list[tuple[Json, pipeline.Outcome]]) -> Json:
    situations: dict[str, dict[str, Any]] = defaultdict(lambda: {"indicators": set(), "cases": []})
    fires, silent = [], []
    for case, outcome in met:
        if not (found := [f for f in outcome.judgement.findings if f.topic == topic]):
            silent.append(
                (not case["tricky_negative"] or not _could_fire(topic, outcome), case["title"])
            )
            continue
        for finding in found:
            situations[finding.situation]["indicators"].add(finding.severity.indicator)
            situations[finding.situation]["cases"].append(case["title"])
            fires.append((case["title"], finding.severity.indicator))
    return {
        "fires": len(fires),
        "silent": len(met) - len({title for title, _ in fires}),
        "situations": {
            name: {
                "indicators": [i for i in _INDICATORS if i in seen["indicators"]],
                "vignettes": len(seen["cases"]),
                "example": seen["cases"][0],
            }
            for name, seen in sorted(situations.items())
        },
        "examples": {
            "fires": [*_worst_first(fires)],
            "silent": [title for _, title in sorted(silent, key=lambda each: each[0])][:_EXAMPLES],
        },
    }


def _could_fire(topic: str, outcome: pipeline.Outcome) -> bool:
    """Whether the silence teaches something: rules about naltrexone are silent anyway where none is drafted."""
    return topic == builder.INTERACTION or any(
        draft.medication.naltrexone for draft in outcome.snapshot.drafts
    )


def _worst_first(fires: list[tuple[str, str]]) -> Iterator[str]:
    """Examples of each indicator in turn, so that not all are of the worst."""
    for indicator in _INDICATORS:
        yield from [title for title, said in fires if said == indicator][:_EXAMPLES]


def written(found: Json) -> str:
    return json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    FILE.write_text(written(figures()), encoding="utf-8")
    print(f"{FILE.relative_to(ROOT)} written {datetime.now(UTC):%Y-%m-%d}")  # noqa: T201
