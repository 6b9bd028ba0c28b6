"""Read laboratory results of any FHIR release: which test, positive or not, when.

Nothing is guessed: what is neither an interpretation, nor a coded or textual value that says it, nor a number beside its
own cut-off is a result that was not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, tzinfo
from decimal import Decimal

from cds_service.fhir.dates import read_date
from cds_service.fhir.values import (
    as_code,
    as_decimal,
    as_dict,
    as_list,
    as_text,
    first_present,
    read_concept,
)
from cds_service.model import Concept, Json

_FINAL = frozenset({"final", "amended", "corrected", "appended"})
# v3 ObservationInterpretation, SNOMED CT qualifiers and LOINC answers
_POSITIVE = frozenset(
    {
        "pos",
        "det",
        "h",
        "hh",
        "a",
        "aa",
        "rr",
        "wr",
        "10828004",
        "260373001",
        "52101004",
        "11214006",
        "la6576-8",
        "la11882-0",
        "la9633-4",
    }
)
_NEGATIVE = frozenset(
    {
        "neg",
        "nd",
        "n",
        "l",
        "ll",
        "nr",
        "260385009",
        "260415000",
        "2667000",
        "131194007",
        "la6577-6",
        "la11883-8",
        "la9634-2",
    }
)
_SAYS_NOT = re.compile(
    r"\b(?:not? (?:\w+ )?(?:detected|present|reactive|found)|none (?:detected|found)|non-?reactive"
    r"|neg(?:ative)?|absent|undetected|below (?:the )?cut-?off)\b|^\s*-\s*$",
    re.IGNORECASE,
)
_SAYS_YES = re.compile(
    r"\b(?:(?:presumptive |presumptively )?pos(?:itive)?|detected|present|reactive|above (?:the )?cut-?off)\b"
    r"|^\s*\++\s*$",
    re.IGNORECASE,
)
_IN_DOUBT = re.compile(
    r"\b(?:indeterminate|inconclusive|equivocal|invalid|unable|pending|see)\b", re.IGNORECASE
)
_LONGEST = 200


def is_final(resource: Json) -> bool:
    return as_code(resource.get("status")) in _FINAL


def taken_on(resource: Json, zone: tzinfo) -> date | None:
    """The day of the specimen, else of the report."""
    period = as_dict(resource.get("effectivePeriod"))
    stated = first_present(resource, "effectiveDateTime", "effectiveInstant") or first_present(
        period, "end", "start"
    )
    return read_date(stated or resource.get("issued"), zone)


def results_in(resource: Json) -> Iterator[tuple[Concept, Json]]:
    """(what was measured, where its value stands): the observation itself and each component."""
    yield read_concept(resource.get("code")), resource
    for component in as_list(resource.get("component")):
        yield read_concept(as_dict(component).get("code")), as_dict(component)


def is_positive(result: Json) -> bool | None:
    """Whether a screen found its analyte; None where the result does not say so itself.

    Where parts of one result contradict each other, the positive one counts.
    """
    said = {read(result) for read in (_by_interpretation, _by_coded_value, _by_words, _by_cut_off)}
    return True if True in said else False if False in said else None


def times_upper_limit(result: Json) -> Decimal | None:
    """A measured number as a multiple of its own upper limit; None without number or limit."""
    number, limit = (
        as_decimal(as_dict(result.get("valueQuantity")).get("value")),
        _upper_limit(result),
    )
    return number / limit if number is not None and limit else None


def _by_interpretation(result: Json) -> bool | None:
    stated = result.get("interpretation")
    concepts = [read_concept(item) for item in (stated if isinstance(stated, list) else [stated])]
    return _by_codes(c.code for concept in concepts for c in concept.codings)


def _by_coded_value(result: Json) -> bool | None:
    value = read_concept(result.get("valueCodeableConcept") or result.get("valueCode"))
    found = _by_codes(c.code for c in value.codings)
    return found if found is not None else _say(value.label)


def _by_codes(codes: Iterator[str]) -> bool | None:
    said = {code.strip().lower() for code in codes}
    if said & _POSITIVE:
        return None if said & _NEGATIVE else True
    return False if said & _NEGATIVE else None


def _by_words(result: Json) -> bool | None:
    flag = result.get("valueBoolean")
    return flag if isinstance(flag, bool) else _say(as_text(result.get("valueString")))


def _say(text: str) -> bool | None:
    words = text[:_LONGEST]
    if not words or _IN_DOUBT.search(words):
        return None
    rest = _SAYS_NOT.sub(" ", words)
    if rest != words:
        return None if _SAYS_YES.search(rest) else False
    return True if _SAYS_YES.search(words) else None


def _by_cut_off(result: Json) -> bool | None:
    quantity = as_dict(result.get("valueQuantity"))
    number, limit = as_decimal(quantity.get("value")), _upper_limit(result)
    if number is None or limit is None:
        return None
    above = number > limit
    if as_text(quantity.get("comparator")).startswith("<"):
        return None if above else False
    return above


def _upper_limit(result: Json) -> Decimal | None:
    """The upper end of the only reference range that counts for everybody; several different ones say nothing."""
    ends = {
        end
        for item in as_list(result.get("referenceRange"))
        if (end := as_decimal(as_dict(as_dict(item).get("high")).get("value"))) is not None
        and end > 0
    }
    return next(iter(ends)) if len(ends) == 1 else None
