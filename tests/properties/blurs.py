"""One fact of a listed medicine made less known, in any release: left out, unreadable, or only half said.

A blur never states something else; it states less. Each is named ``kind: how`` and returns whole calls, so that what is
tried is what an EHR could send.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

LISTED = frozenset(
    {
        "MedicationRequest",
        "MedicationOrder",
        "MedicationStatement",
        "MedicationDispense",
        "MedicationAdministration",
    }
)
AMOUNTS = ("doseAndRate", "doseQuantity", "doseRange", "quantityQuantity")
WRITTEN = (
    "authoredOn",
    "dateWritten",
    "dateAsserted",
    "whenHandedOver",
    "effectiveTimeDateTime",
    "occurenceDateTime",
    "effectiveDateTime",
)
QUIET_KINDS = (
    "status",
    "end",
    "supply",
    "date",
)  # blurring these never lowers the indicator below warning
NONE_WHEN_HELD = ("loperamide", "diphenoxylate", "mcg", "microgram")

Change = Callable[[Json], bool]  # changes a resource in place; False = it has no such fact


@dataclass(frozen=True, slots=True)
class Blur:
    """One way to know less about one kind of fact."""

    kind: str
    how: str
    change: Change

    def __str__(self) -> str:
        return f"{self.kind}: {self.how}"


@dataclass(frozen=True, slots=True)
class Blurred:
    """A call after one blur of one resource."""

    name: str
    kind: str
    body: Json


def blurred(body: Json) -> Iterator[Blurred]:
    """Every blur of every listed medicine of a call, one at a time."""
    for path, resource in listed(body):
        for blur in BLURS:
            copy = deepcopy(resource)
            if not blur.change(copy) or copy == resource or is_excused(blur, resource):
                continue
            if may_lose(resource, copy, body):
                yield Blurred(
                    f"{resource['resourceType']}/{resource['id']} {blur}",
                    blur.kind,
                    replaced(body, path, copy),
                )


def listed(body: Json) -> Iterator[tuple[tuple[str, int], Json]]:
    for key, bundle in body["prefetch"].items():
        for number, entry in enumerate((bundle or {}).get("entry", ())):
            if entry["resource"]["resourceType"] in LISTED:
                yield (key, number), entry["resource"]


def replaced(body: Json, path: tuple[str, int], resource: Json) -> Json:
    copy = deepcopy(body)
    copy["prefetch"][path[0]]["entry"][path[1]]["resource"] = resource
    return copy


# --- what a resource holds --------------------------------------------------------------------------------------------


def concept(resource: Json) -> Json:
    """The concept that names the drug; empty where a reference does."""
    found: Json = (
        resource.get("medicationCodeableConcept")
        or resource.get("medication", {}).get("concept")
        or {}
    )
    return found


def codings(resource: Json) -> list[Json]:
    return list(concept(resource).get("coding", ()))


def is_identified(resource: Json) -> bool:
    """Whether a word or a coded entry of a named system is left to tell the drug by."""
    names = [concept(resource).get("text"), *(c.get("display") for c in codings(resource))]
    coded = any(
        c.get("code", LOST) != LOST and not c.get("system", LOST).startswith(LOST)
        for c in codings(resource)
    )
    return coded or any(name and LOST not in name for name in names)


def may_lose(before: Json, after: Json, body: Json) -> bool:
    """Whether the specification asks for a word when this identity is lost (2.11).

    What has no identity left is named for a drafted naltrexone only, and only where it may be current: of a finished
    entry, or for a drafted opioid, nobody can tell that it mattered.
    """
    if is_identified(after) or not is_identified(before):
        return True
    drafts = [
        e["resource"]
        for e in (body["context"].get("draftOrders") or body["context"]["medications"])["entry"]
    ]
    drafted = any("naltrexone" in str(concept(r)).lower() for r in drafts)
    is_open = before.get("status") in {"active", "on-hold", "unknown"} and before[
        "resourceType"
    ] in {"MedicationRequest", "MedicationOrder", "MedicationStatement"}
    return drafted and is_open and "'end'" not in str(before)


def is_excused(blur: Blur, resource: Json) -> bool:
    """Where the specification itself wants the quieter answer.

    A bare code beside a name may be another drug than the name: without it the name stands alone, and it is known.
    Held antidiarrheals and microgram naltrexone are none in the tables of 2.5 whatever they were while current.
    """
    if blur.kind in {"code", "system"}:
        return bool(concept(resource).get("text")) and any(
            "display" not in coding for coding in codings(resource)
        )
    return blur.kind in QUIET_KINDS and any(
        word in str(concept(resource)).lower() for word in NONE_WHEN_HELD
    )


def lines(resource: Json) -> list[Json]:
    return (
        [*resource.get("dosageInstruction", ()), *resource.get("dosage", ())]
        if isinstance(resource.get("dosage", []), list)
        else []
    )


def repeats(resource: Json) -> Iterator[Json]:
    yield from (
        line["timing"]["repeat"] for line in lines(resource) if "repeat" in line.get("timing", {})
    )


def removed(container: Json, *names: str) -> bool:
    """Takes the members out; True if one of them was there."""
    found = [container.pop(name, None) for name in names]
    return found != [None] * len(names)


def removed_in(containers: Iterable[Json], *names: str) -> bool:
    """The same in each of several places, all of them."""
    return True in [removed(container, *names) for container in containers]


# --- the blurs --------------------------------------------------------------------------------------------------------

LOST = "urn:x-lost"  # a system, code or status that nobody has heard of


def no_status(resource: Json) -> bool:
    return removed(resource, "status")


def unknown_status(resource: Json) -> bool:
    resource["status"] = "unknown"
    return True


def strange_status(resource: Json) -> bool:
    resource["status"] = LOST
    return True


def no_adherence(resource: Json) -> bool:
    return removed(resource, "adherence", "taken")


def no_end(resource: Json) -> bool:
    periods = [
        resource.get("effectivePeriod", {}),
        *(r.get("boundsPeriod", {}) for r in repeats(resource)),
    ]
    return True in [removed(resource, "dateEnded"), removed_in(periods, "end")]


def unreadable_end(resource: Json) -> bool:
    periods = [
        resource.get("effectivePeriod", {}),
        *(r.get("boundsPeriod", {}) for r in repeats(resource)),
    ]
    found = [(period, "end") for period in periods if "end" in period]
    found += [(resource, "dateEnded")] if "dateEnded" in resource else []
    for holder, name in found:
        holder[name] = "last month"
    return bool(found)


def no_supply(resource: Json) -> bool:
    return True in [
        removed(resource, "daysSupply"),
        removed(resource.get("dispenseRequest", {}), "expectedSupplyDuration"),
        removed_in(repeats(resource), "boundsDuration", "boundsQuantity"),
    ]


def no_refills(resource: Json) -> bool:
    return removed(resource.get("dispenseRequest", {}), "numberOfRepeatsAllowed")


def supply_without_unit(resource: Json) -> bool:
    amounts = [
        resource.get("daysSupply"),
        resource.get("dispenseRequest", {}).get("expectedSupplyDuration"),
    ]
    return removed_in(filter(None, amounts), "unit", "code", "system")


def no_quantity(resource: Json) -> bool:
    is_dispense = resource["resourceType"] == "MedicationDispense"
    return removed(resource if is_dispense else resource.get("dispenseRequest", {}), "quantity")


def no_amount(resource: Json) -> bool:
    return removed_in(lines(resource), *AMOUNTS)


def no_dose_at_all(resource: Json) -> bool:
    return removed_in(lines(resource), *AMOUNTS, "text")


def dose_of_strange_unit(resource: Json) -> bool:
    found = [each for line in lines(resource) for each in (line, *line.get("doseAndRate", ()))]
    amounts = [each["doseQuantity"] for each in found if "doseQuantity" in each]
    for amount in amounts:
        amount |= {"unit": LOST}
        removed(amount, "code", "system")
    return bool(amounts)


def no_text(resource: Json) -> bool:
    return removed(concept(resource), "text")


def mistyped_text(resource: Json) -> bool:
    """Two letters in the middle of the longest word change places."""
    words = str(concept(resource).get("text", "")).split()
    longest = max(words, key=len, default="")
    middle = len(longest) // 2
    if len(longest) < 6 or longest[middle] == longest[middle + 1]:
        return False
    turned = longest[:middle] + longest[middle + 1] + longest[middle] + longest[middle + 2 :]
    concept(resource)["text"] = " ".join(turned if word == longest else word for word in words)
    return True


def no_coding(resource: Json) -> bool:
    return removed(concept(resource), "coding")


def no_code(resource: Json) -> bool:
    return removed_in(codings(resource), "code")


def strange_code(resource: Json) -> bool:
    for coding in codings(resource):
        coding["code"] = LOST
    return bool(codings(resource))


def no_display(resource: Json) -> bool:
    return removed_in(codings(resource), "display")


def no_system(resource: Json) -> bool:
    return removed_in(codings(resource), "system")


def strange_system(resource: Json) -> bool:
    for coding in codings(resource):
        coding["system"] = LOST
    return bool(codings(resource))


def system_with_version(resource: Json) -> bool:
    for coding in codings(resource):
        coding["system"] = f"{coding.get('system', '')}|2026-11"
    return bool(codings(resource))


def no_date(resource: Json) -> bool:
    periods = [
        resource.get("effectivePeriod", {}),
        *(r.get("boundsPeriod", {}) for r in repeats(resource)),
    ]
    return True in [removed(resource, *WRITTEN), removed_in(periods, "start")]


def month_only(resource: Json) -> bool:
    return dated(resource, lambda text: text[:7])


def unreadable_date(resource: Json) -> bool:
    return dated(resource, lambda text: "n/a")


def dated(resource: Json, how: Callable[[str], str]) -> bool:
    found = [name for name in WRITTEN if name in resource]
    for name in found:
        resource[name] = how(resource[name])
    if "start" in resource.get("effectivePeriod", {}):
        resource["effectivePeriod"]["start"] = how(resource["effectivePeriod"]["start"])
    return bool(found)


def no_last_updated(resource: Json) -> bool:
    return removed(resource, "meta", "statusChanged")


BLURS = tuple(
    Blur(kind, how.__name__.replace("_", " "), how)
    for kind, hows in {
        "status": (no_status, unknown_status, strange_status, no_adherence),
        "end": (no_end, unreadable_end),
        "supply": (no_supply, supply_without_unit),
        "quantity": (
            no_quantity,
            no_refills,
        ),  # no refills reads as none: it may make an order old, not unknown
        "dose": (no_amount, no_dose_at_all, dose_of_strange_unit),
        "name": (no_text, mistyped_text),
        "code": (no_coding, no_code, strange_code),
        "display": (no_display,),
        "system": (no_system, strange_system, system_with_version),
        "date": (no_date, month_only, unreadable_date, no_last_updated),
    }.items()
    for how in hows
)
KINDS = tuple(dict.fromkeys(blur.kind for blur in BLURS))
