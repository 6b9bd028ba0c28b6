"""``/formulary``: what a medicine's name or code is taken for, by which table, or that nothing knows it and how to add it.

The name comes in the body of a POST: it may be copied from a chart, and addresses end up in logs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from flask import Blueprint, Response, render_template, request

from cds_service.console.pages import Desk, Page
from cds_service.model import Coding, Component, Concept, Drug, Identity, Recognition, Role
from cds_service.terminology import Terminology

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
SYSTEMS = {
    "RxNorm": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "NDC": "http://hl7.org/fhir/sid/ndc",
    "ATC": "http://www.whocc.no/atc",
    "SNOMED CT": "http://snomed.info/sct",
    "UNII": "http://fdasis.nlm.nih.gov",
}
_ROLES: Mapping[Role, str] = {
    Role.NTX_ORAL: "naltrexone by mouth",
    Role.NTX_XR: "naltrexone injection",
    Role.NTX_IMPLANT: "naltrexone implant",
    Role.NTX_BUP: "naltrexone with bupropion",
    Role.NTX_TOPICAL: "naltrexone on the skin: not systemic",
    Role.FULL_SA: "opioid, short-acting",
    Role.FULL_LA: "opioid, long-acting (or release not known: the longer interval holds)",
    Role.METHADONE: "methadone",
    Role.BUP: "buprenorphine",
    Role.BUP_DEPOT: "buprenorphine depot",
    Role.MIXED: "opioid, mixed agonist and antagonist",
    Role.DUAL: "opioid with a second mechanism",
    Role.ANTITUSSIVE: "opioid for cough",
    Role.PERIPH: "opioid that acts in the gut",
    Role.OPIOID_LIKE: "acts on opioid receptors",
    Role.OTHER_ANTAG: "another opioid antagonist",
}
_LONGEST, _BYTES = 500, 8_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One reading of what was typed: as words, or as a code of one system."""

    read_as: str
    found: Recognition

    @property
    def verdict(self) -> str:
        """The tone and the sentence, in one of four words of ``Identity`` or uncertain."""
        return "uncertain" if self.found.uncertain else str(self.found.kind)

    @property
    def holds(self) -> tuple[tuple[str, str], ...]:
        return tuple(map(_held, self.found.components))


def add_formulary(console: Blueprint, desk: Desk) -> None:
    """The form, and its answer on the same page."""

    @console.route("/formulary", methods=["GET", "POST"])
    def formulary() -> Response:
        name = _typed() if request.method == "POST" else ""
        entries = tuple(look_up(name, desk.engine.terminology)) if name else ()
        page = render_template(
            "console/formulary.html",
            name=name,
            entries=entries,
            near=desk.engine.terminology.near(name) if name else (),
            packs=desk.engine.terminology.packs,
            tables=desk.engine.terminology.version,
        )
        response = Response(page, mimetype="text/html")
        response.headers["Content-Security-Policy"] = POLICY
        return response


def look_up(typed: str, terminology: Terminology) -> Iterator[Entry]:
    """As words always; as a code of each system in which it means something."""
    words = terminology.recognise(Drug(Concept(text=typed)))
    codes = [
        Entry(f"a code of {system}", found)
        for system, uri in SYSTEMS.items()
        if (found := terminology.recognise(Drug(Concept((Coding(uri, typed, ""),))))).kind
        in {Identity.RELEVANT, Identity.OTHER}
    ]
    if not codes or words.kind in {Identity.RELEVANT, Identity.OTHER}:
        yield Entry("a name", words)
    yield from codes


def _typed() -> str:
    """The name of the form, in one line; anything that is no form holds none."""
    request.max_content_length = _BYTES
    return " ".join(request.form.get("name", "")[:_LONGEST].split())


def _held(component: Component) -> tuple[str, str]:
    strength = component.strength
    amount = f", {strength.mg.normalize():f} mg per {strength.per_unit}" if strength else ""
    return component.ingredient, _ROLES[component.role] + amount


FORMULARY = Page("formulary", "Formulary", add_formulary)
