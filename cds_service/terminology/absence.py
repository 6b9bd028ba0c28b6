"""Codes that say there is no medicine to write down, which must not be read as one (specification 2.11)."""

from __future__ import annotations

import re
from typing import Literal

from cds_service.model import Drug
from cds_service.terminology.systems import system_of
from cds_service.terminology.words import fold

Absence = Literal["none", "unknown", ""]
_CODES: dict[tuple[str, str], Absence] = {
    ("absent", "no-known-medications"): "none",
    ("absent", "no-medication-info"): "unknown",
    ("absent", "unknown"): "unknown",
    ("absent", "asked-unknown"): "unknown",
    ("absent", "not-asked"): "unknown",
    ("snomed", "787481004"): "none",
    ("snomed", "1631000175102"): "none",
    ("snomed", "182904002"): "unknown",
}
_NONE = re.compile(
    r"(?:no|not on any|not taking any|takes no|denies(?: taking)?(?: any)?|nil|none|zero)\W{0,3}"
    r"(?:known|current|active|regular|home|outpatient|prescribed)?\W{0,3}"
    r"(?:medications?|medicines?|meds|drugs?|drug therapy|medication therapy)(?: on file| listed)?",
    re.IGNORECASE,
)
_UNKNOWN = re.compile(
    r"(?:medications?|medicines?|meds)\W{1,3}(?:unknown|not known|unavailable|not available)"
    r"|(?:no information about|unknown|no information on|information not available on) ?"
    r"(?:medications?|medicines?|meds)|unable to obtain (?:medication|med) (?:list|history)",
    re.IGNORECASE,
)


def absence(drug: Drug) -> Absence:
    """ "none" where an entry states that there are no medicines, "unknown" where nobody knows, "" for a medicine."""
    for coding in drug.concept.codings:
        if found := _CODES.get((system_of(coding.system), coding.code.strip())):
            return found
    for text in (drug.concept.text, *(c.display for c in drug.concept.codings)):
        said = fold(text[:100]).strip(" .")
        if _NONE.fullmatch(said):
            return "none"
        if _UNKNOWN.fullmatch(said):
            return "unknown"
    return ""
