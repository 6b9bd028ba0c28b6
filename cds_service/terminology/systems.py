"""Which code system a sender means: the canonical addresses, national ones, OIDs with and without prefix, versions."""

from __future__ import annotations

import re
from functools import lru_cache

_SYSTEMS = {
    "nlm.nih.gov/research/umls/rxnorm": "rxnorm",
    "2.16.840.1.113883.6.88": "rxnorm",
    "rxnorm": "rxnorm",
    "rxcui": "rxnorm",
    "purl.bioontology.org/ontology/rxnorm": "rxnorm",
    "hl7.org/fhir/sid/ndc": "ndc",
    "2.16.840.1.113883.6.69": "ndc",
    "fda.gov/ndc": "ndc",
    "ndc": "ndc",
    "whocc.no/atc": "atc",
    "2.16.840.1.113883.6.73": "atc",
    "atc": "atc",
    "whocc.no/atc_ddd_index": "atc",
    "1.2.40.0.34.4.17": "atc",
    "1.2.40.0.34.5.156": "atc",
    "1.2.276.0.76.5.114": "atc",
    "1.2.276.0.76.4.17": "atc",
    "snomed.info/sct": "snomed",
    "2.16.840.1.113883.6.96": "snomed",
    "snomed-ct": "snomed",
    "snomedct": "snomed",
    "fdasis.nlm.nih.gov": "unii",
    "2.16.840.1.113883.4.9": "unii",
    "unii": "unii",
    "fda.gov/unii": "unii",
    "hl7.org/fhir/uv/ips/codesystem/absent-unknown-uv-ips": "absent",
    "terminology.hl7.org/codesystem/data-absent-reason": "absent",
}
_LONGEST = 200
_VERSION = re.compile(r"(?:\|.*|/version/.*|\?.*)$")
_ATC_WORD = re.compile(r"(?:^|[/:.#_-])atc(?:$|[/:.#_|-])")


@lru_cache(maxsize=1024)
def system_of(uri: str) -> str:
    """rxnorm, ndc, atc, snomed, unii, absent or ""; http(s), a version, a trailing slash and the case do not matter."""
    if len(uri) > _LONGEST:
        return ""
    low = uri.strip().lower()
    bare = _VERSION.sub("", re.sub(r"^(?:https?://(?:www\.)?|urn:oid:|oid:|urn:)", "", low)).rstrip(
        "/#"
    )
    if known := _SYSTEMS.get(bare):
        return known
    if bare.startswith("snomed.info/sct/"):
        return "snomed"
    return "atc" if _ATC_WORD.search(bare) else ""
