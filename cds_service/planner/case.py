"""One patient's record read and judged now, as a hook call would: the person, the gate, the plan that is wished."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import date

from werkzeug.datastructures import MultiDict

from cds_service.content.planner_words import Words
from cds_service.ehr.fetched import Fetched
from cds_service.fhir.releases import ASSUMED, WRITABLE, ReleaseProfile, profile_of
from cds_service.fhir.values import as_dict, as_list, as_text
from cds_service.fhir.write_plan import PlanDraft, orders
from cds_service.model import Concept, ConditionKind, Json, Release, Snapshot
from cds_service.pipeline import Judgement
from cds_service.planner.answers import Answers
from cds_service.planner.course import Written, read_back
from cds_service.planner.drafts import to_drafts
from cds_service.planner.edition import Edition
from cds_service.planner.gate import Gate, check
from cds_service.planner.judge import Earlier
from cds_service.planner.running import Running, running_of
from cds_service.planner.services import HaltError, PlannerDesk, PlannerVisit
from cds_service.planner.view import (
    Wish,
    first_wish,
    read_answers,
    read_wish,
)
from cds_service.planner.write import may_create
from cds_service.titration.plan import draw

Fields = MultiDict[str, str]


@dataclass(frozen=True, slots=True)
class Person:
    """The patient as the banner shows them: from the record, never from a parameter."""

    name: str
    born: str
    sex: str
    number: str = ""  # medical record number, where the record tells one

    @property
    def born_on(self) -> date | None:
        """The first day that the birth date admits; None where none was read."""
        for text in (self.born, f"{self.born}-01", f"{self.born}-01-01"):
            with suppress(ValueError):
                return date.fromisoformat(text)
        return None


@dataclass(frozen=True, slots=True)
class PlanCase:
    """One patient's record, judged now."""

    visit: PlannerVisit
    person: Person
    judgement: Judgement
    record: Gate  # the gate of the record alone, before any answer
    gate: Gate
    wish: Wish
    answers: Answers
    release: Release | None
    earlier: tuple[Earlier, ...] = ()  # naltrexone that was drafted before, by anybody
    running: Running | None = None  # a plan of ours that covers today
    written: tuple[Written, ...] = ()  # every plan of ours on the list, the newest first

    @property
    def reasons(self) -> tuple[Concept, ...]:
        """Problems on the list for which low-dose naltrexone is tried."""
        return reasons_of(self.judgement.snapshot)

    @property
    def is_writable(self) -> bool:
        """True for a server whose FHIR release we write."""
        return self.release in WRITABLE

    @property
    def can_write(self) -> bool:
        return self.is_writable and may_create(self.visit.token.scope, "MedicationRequest")


def judge_case(
    desk: PlannerDesk, visit: PlannerVisit, fields: Fields | None, *, again: bool = False
) -> PlanCase:
    """Read the live record and judge it as a hook call would; HaltError where the patient cannot be read.

    ``again`` may judge what was read for this visit a moment ago: for what is only shown, never for a write.
    """
    release = desk.services.ehr.release(visit.iss)
    chart, medications = desk.recent.read(
        visit.handle, lambda: _read(desk, visit, release), again=again
    )
    edition = desk.edition()
    person = _person(chart.get("patient"), edition.say)
    today = desk.today()
    answers = answers_of(fields)
    drafted = _drafted(desk, visit, fields, release)
    judgement = desk.services.judge(
        chart, medications, drafted, visit.token.patient, desk.services.now()
    )
    launched_by = str(visit.body["context"].get("draft", "")).rpartition("/")[2]
    drafts = tuple(d for d in desk.services.judge.drafts(chart, medications, visit.token.patient))
    labels = [d.label for d in drafts if d.ref.rpartition("/")[2] != launched_by or not launched_by]
    record = check(
        judgement.snapshot,
        judgement.verdicts,
        Answers(),
        edition.say,
        person.born_on,
        person.sex,
        labels,
    )
    gate = check(
        judgement.snapshot,
        judgement.verdicts,
        answers,
        edition.say,
        person.born_on,
        person.sex,
        labels,
    )
    wish = _wish(edition, fields, today, gate.not_before, reasons_of(judgement.snapshot))
    written = read_back(_listed(chart), edition.schedules, edition.say)
    return PlanCase(
        visit,
        person,
        judgement,
        record,
        gate,
        wish,
        answers,
        release,
        drafts,
        running_of(written, today),
        written,
    )


def _read(
    desk: PlannerDesk, visit: PlannerVisit, release: Release | None
) -> tuple[dict[str, Fetched], dict[str, Fetched]]:
    ehr, judge, patient = desk.services.ehr, desk.services.judge, visit.token.patient
    queries = {
        key: template.replace("{{context.patientId}}", patient)
        for key, template in judge.queries(release).items()
    }
    chart = ehr.read(visit.iss, visit.token.access, queries)
    references = judge.references(chart, patient)
    return chart, ehr.read_many(visit.iss, visit.token.access, references) if references else {}


def _listed(chart: dict[str, Fetched]) -> list[Json]:
    """The orders of the list as they were sent."""
    bundle = chart.get("medicationRequests")
    entries = as_list(as_dict(bundle.resource).get("entry")) if bundle and bundle.resource else []
    return [as_dict(as_dict(entry).get("resource")) for entry in entries]


def reasons_of(snapshot: Snapshot) -> tuple[Concept, ...]:
    return tuple(
        c.concept
        for c in snapshot.conditions
        if ConditionKind.LDN_TYPE in c.kinds and c.concept.label
    )


def _wish(
    edition: Edition,
    fields: Fields | None,
    today: date,
    earliest: date | None,
    reasons: tuple[Concept, ...] = (),
) -> Wish:
    return (
        first_wish(today, earliest, edition.schedules, [r.label for r in reasons])
        if fields is None
        else read_wish(fields, today, earliest, edition.schedules)
    )


def _person(fetched: Fetched | None, say: Words) -> Person:
    if fetched is None or fetched.resource is None:
        raise HaltError(
            "fhir-refused" if fetched and fetched.why == "unauthorized" else "fhir-away"
        )
    patient = fetched.resource
    name = next(
        (as_dict(n) for n in as_list(patient.get("name")) if as_dict(n).get("use") == "official"),
        as_dict(next(iter(as_list(patient.get("name"))), None)),
    )
    given = " ".join(as_text(g) for g in as_list(name.get("given")))
    family = name.get("family")
    family = " ".join(map(as_text, family)) if isinstance(family, list) else as_text(family)
    shown = as_text(name.get("text")) or f"{given} {family}".strip() or say("person.no_name")
    return Person(
        shown[:100],
        as_text(patient.get("birthDate"))[:10] or say("person.unknown"),
        as_text(patient.get("gender"))[:10] or say("person.unknown"),
        _number(patient),
    )


def _number(patient: Json) -> str:
    """The identifier that is typed as a medical record number (v2 table 0203, MR)."""
    for identifier in map(as_dict, as_list(patient.get("identifier"))):
        codings = map(as_dict, as_list(as_dict(identifier.get("type")).get("coding")))
        if any(as_text(coding.get("code")) == "MR" for coding in codings):
            return as_text(identifier.get("value"))[:40]
    return ""


def _drafted(
    desk: PlannerDesk, visit: PlannerVisit, fields: Fields | None, release: Release | None
) -> Json:
    """The order that the rules judge: the first one of the wished plan, or of the default while there is none."""
    today, edition = desk.today(), desk.edition()
    wish = _wish(edition, fields, today, None)
    if not wish.is_plan:
        wish = _wish(edition, None, today, None)
    built = orders(
        to_plan_drafts(desk, visit, wish, Answers()), release if release in WRITABLE else ASSUMED
    )
    draft = {**built[0].resource, "id": "titration-draft"}
    return (
        draft
        if release in WRITABLE or release is None
        else _beside_record(draft, profile_of(release))
    )


def _beside_record(draft: Json, row: ReleaseProfile) -> Json:
    """Enough of an order in the release of the record to be judged beside it; none is ever written."""
    drug = draft[profile_of(ASSUMED).medication]
    return {
        "resourceType": row.order,
        "id": draft["id"],
        "status": "draft",
        row.patient: draft["subject"],
        row.authored: draft["authoredOn"],
        row.medication: row.coded(drug),
    }


def to_plan_drafts(
    desk: PlannerDesk, visit: PlannerVisit, wish: Wish, answers: Answers
) -> PlanDraft:
    edition = desk.edition()
    return to_drafts(
        draw(edition.schedules, wish.choice),
        wish,
        answers,
        edition.say,
        key=str(visit.body["key"]),
        patient_id=visit.token.patient,
        now=desk.services.now(),
    )


def answers_of(fields: Fields | None) -> Answers:
    if fields is None:
        return Answers()
    return read_answers(fields, fields.getlist("confirm"), fields.getlist("method"))
