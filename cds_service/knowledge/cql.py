"""The critical pairs of roles as a CQL library: what codes, status words and dates alone can decide.

Severities and days are those that the rules gave (``medicines.pairs``); only the reading of a course is written here a
second time, in CQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from cds_service.knowledge.medicines import GIVEN_ROLES, Pair

LIBRARY = "NaltrexoneOpioidCriticals"
_TEXT = """library {library} version '{version}'

// Naltrexone and opioids that must not meet, by codes, status words and dates: orders written in words, courses taken as
// needed and doses are not seen here. The service reads them; this is a second opinion and a way into tools that speak CQL.
using FHIR version '4.0.1'
include FHIRHelpers version '4.0.1'

{valuesets}

parameter DraftOrders List<FHIR.MedicationRequest>

context Patient

// What this call cancels or completes is no draft, and no longer on the list.
define "Drafts":
  DraftOrders D where D.status in {{ 'draft', 'active', 'on-hold', 'unknown' }}

define "Ended Here":
  DraftOrders D where not (D.status in {{ 'draft', 'active', 'on-hold', 'unknown' }}) return D.id.value

define "Requests":
  [MedicationRequest] M
    where M.intent in {{ 'order', 'original-order', 'reflex-order', 'filler-order', 'instance-order' }}
      and M.status in {{ 'active', 'on-hold', 'unknown', 'completed', 'stopped' }}
      and not (M.doNotPerform is true)
      and not (M.id.value in "Ended Here")

define "Listed Statements":
  [MedicationStatement] S where S.status = 'active'

define "Given":
  [MedicationAdministration] A where A.status in {{ 'completed', 'in-progress' }}

define function "Given On"(A FHIR.MedicationAdministration):
  Coalesce(date from (A.effective as FHIR.dateTime).value, date from (A.effective as FHIR.Period)."end".value,
    date from (A.effective as FHIR.Period)."start".value)

define function "After"(since System.Date, length System.Integer):
  if since is null or length is null then null else since + System.Quantity {{ value: ToDecimal(length), unit: 'days' }}

define function "Written On"(M FHIR.MedicationRequest):
  date from M.authoredOn.value

define function "Starts On"(M FHIR.MedicationRequest):
  Coalesce(date from (M.dosageInstruction[0].timing.repeat.bounds as FHIR.Period)."start".value, "Written On"(M))

define function "Stated End"(M FHIR.MedicationRequest):
  date from (M.dosageInstruction[0].timing.repeat.bounds as FHIR.Period)."end".value

define function "A Day"(M FHIR.MedicationRequest):
  (M.dosageInstruction[0].timing.repeat.frequency.value / M.dosageInstruction[0].timing.repeat.period.value)
    * (M.dosageInstruction[0].doseAndRate[0].dose as FHIR.SimpleQuantity).value.value

define function "Quantity Lasts"(M FHIR.MedicationRequest):
  if M.dosageInstruction[0].timing.repeat.periodUnit.value = 'd' and "A Day"(M) > 0
      and M.dispenseRequest.quantity.unit.value =
        (M.dosageInstruction[0].doseAndRate[0].dose as FHIR.SimpleQuantity).unit.value
    then Ceiling(M.dispenseRequest.quantity.value.value / "A Day"(M)) else null

define function "Bound Lasts"(M FHIR.MedicationRequest):
  if (M.dosageInstruction[0].timing.repeat.bounds as FHIR.Duration).code.value = 'd'
    then Ceiling((M.dosageInstruction[0].timing.repeat.bounds as FHIR.Duration).value.value) else null

define function "A Fill Lasts"(M FHIR.MedicationRequest):
  Coalesce(if M.dispenseRequest.expectedSupplyDuration.code.value = 'd'
    then Ceiling(M.dispenseRequest.expectedSupplyDuration.value.value) else null, "Bound Lasts"(M), "Quantity Lasts"(M))

define function "Fills"(M FHIR.MedicationRequest):
  if M.status = 'completed' or "Bound Lasts"(M) is not null then 1
    else 1 + Coalesce(M.dispenseRequest.numberOfRepeatsAllowed.value, 0)

define function "All Fills Last Until"(M FHIR.MedicationRequest):
  "After"("Starts On"(M), "A Fill Lasts"(M) * "Fills"(M))

define function "Valid Fills Last Until"(M FHIR.MedicationRequest):
  "After"(date from M.dispenseRequest.validityPeriod."end".value, Coalesce("A Fill Lasts"(M), {expired}))

define function "Runs Out On"(M FHIR.MedicationRequest):
  if "Valid Fills Last Until"(M) < "All Fills Last Until"(M) then "Valid Fills Last Until"(M)
    else Coalesce("All Fills Last Until"(M), "Valid Fills Last Until"(M))

define function "Grace"(M FHIR.MedicationRequest):
  if Coalesce("A Fill Lasts"(M), {at_most}) > {at_most} then {at_most}
    else if "A Fill Lasts"(M) < {at_least} then {at_least} else Coalesce("A Fill Lasts"(M), {at_most})

define function "Is Current"(M FHIR.MedicationRequest):
  Coalesce("Starts On"(M) <= Today(), true) and (
    (M.status = 'active' and Coalesce(
      Today() <= "After"("Runs Out On"(M), "Grace"(M)),
      difference in days between "Written On"(M) and Today() <= {stale}, true))
    or (M.status = 'completed' and "Stated End"(M) is null and Coalesce(Today() <= "Runs Out On"(M), false)))

// The last day on which it can have been taken: of a finished course its end, else what its supply or its date bounds.
define function "Last Use"(M FHIR.MedicationRequest):
  if M.status in {{ 'completed', 'stopped' }}
    then Coalesce("Stated End"(M), if "Runs Out On"(M) > Today() then Today() else "Runs Out On"(M), "Written On"(M))
    else "Written On"(M)

define function "Is Brief"(M FHIR.MedicationRequest):
  Coalesce(difference in days between "Starts On"(M) and "Stated End"(M),
    "A Fill Lasts"(M) * "Fills"(M), {brief} + 1) <= {brief}

define function "Was Used Within"(M FHIR.MedicationRequest, below Integer):
  Coalesce("Starts On"(M) <= Today(), true) and not "Is Brief"(M)
    and Coalesce(difference in days between "Last Use"(M) and Today() < below, false)

define function "Was Given Within"(A FHIR.MedicationAdministration, below Integer):
  Coalesce(difference in days between "Given On"(A) and Today() < below, false)

{defines}

define "Is Critical":
  {any}
"""


def cql(
    pairs: Iterable[Pair],
    value_set: Callable[[str], str],
    version: str,
    numbers: Mapping[str, Any],
) -> str:
    """The library; ``value_set`` gives the canonical URL of a role's codes."""
    critical = [p for p in pairs if p.severity == "critical"]
    roles = sorted({role for pair in critical for role in (pair.ordered, pair.listed)})
    ordered = sorted({pair.ordered for pair in critical})
    grace = numbers["grace_days"]
    return _TEXT.format(
        library=LIBRARY, version=version,
        valuesets="\n".join(f"valueset \"{role}\": '{value_set(role)}'" for role in roles),
        defines="\n\n".join(
            _define(role, sorted((p for p in critical if p.ordered == role), key=lambda p: p.listed))
            for role in ordered
        ),
        any="\n    or ".join(f'"{_name(role)}"' for role in ordered) or "false",
        stale=numbers["stale_authored_days"], brief=numbers["brief_course_days"],
        expired=numbers["expired_fill_days"], at_least=grace["at_least"], at_most=grace["at_most"],
    )  # fmt: skip


def _name(ordered: str) -> str:
    return f"{ordered} Meets What It Must Not"


def _define(ordered: str, met: Iterable[Pair]) -> str:
    ways = "\n      or ".join(way for pair in met for way in _ways(pair))
    return f"""define "{_name(ordered)}":
  exists ("Drafts" D where {_is("D", ordered)})
    and ({ways})"""


def _is(alias: str, role: str) -> str:
    return f'({alias}.medication as FHIR.CodeableConcept) in "{role}"'


def _ways(pair: Pair) -> Iterator[str]:
    """How the listed role can meet the ordered one: on order, reported, drafted with it, lately stopped, lately given."""
    role = pair.listed
    known = (
        f' and not exists ("Given" A where {_is("A", role)})' if role in GIVEN_ROLES else ""
    )  # a depot is judged by its last dose, whatever its order says
    yield f'exists ("Requests" M where {_is("M", role)} and "Is Current"(M){known})'
    yield f'exists ("Listed Statements" S where {_is("S", role)}{known})'
    yield f'exists ("Drafts" O where {_is("O", role)})'
    if pair.stopped_below:
        yield f'exists ("Requests" M where {_is("M", role)} and "Was Used Within"(M, {pair.stopped_below}){known})'
    if pair.given_below:
        yield f'exists ("Given" A where {_is("A", role)} and "Was Given Within"(A, {pair.given_below}))'
