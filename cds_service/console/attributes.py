"""The thirteen source attributes that United States certification asks of an evidence-based decision support intervention
(45 CFR 170.315(b)(11)(iv)(A)), in its order."""

from __future__ import annotations

from collections.abc import Sequence

from cds_service.content.loader import CardText, Content

_USES = (
    ("Use of race", "race"),
    ("Use of ethnicity", "ethnicity"),
    ("Use of language", "language"),
    ("Use of sexual orientation", "sexual_orientation"),
    ("Use of gender identity", "gender_identity"),
    ("Use of sex", "sex"),
    ("Use of date of birth", "birth_date"),
    ("Use of social determinants of health data", "social_determinants"),
    ("Use of health status assessments data", "health_status"),
)


def source_attributes(
    card: CardText, content: Content, titles: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    """Attribute and answer; ``titles`` are the sources that the rule may cite."""
    shared = content.sheet
    first, last = card.changes[0]["date"], card.changes[-1]["date"]
    return (
        ("Bibliographic citation of the intervention", "; ".join(titles)),
        ("Developer of the intervention", shared["developer"]["name"]),
        ("Funding source of the technical implementation", shared["funding"]),
        ("Release and revision dates", f"First worded {first}, last revised {last}."),
        *((label, shared["attributes"][key]) for label, key in _USES),
    )
