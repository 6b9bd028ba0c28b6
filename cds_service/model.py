"""The values that travel through one hook call: what is written, what the body meets, what is worth saying.

Everything here is a frozen value from the standard library alone. Milligrams are ``Decimal``, calendar days are
``date``, and ``None`` always means "cannot tell", never "no".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any

Json = Mapping[str, Any]
ORDER_KINDS = ("request", "statement", "dispense", "administration")
DATED = ("written", "recorded", "ended", "dose", "dispensed", "starts")  # what a printed date is


class Release(StrEnum):
    """The FHIR release a resource is written in, judged by its shape."""

    DSTU2 = "DSTU2"
    STU3 = "STU3"
    R4 = "R4"
    R5 = "R5"


class Role(StrEnum):
    """What a product does at the opioid receptor, by ingredient and form (specification 2.2)."""

    NTX_ORAL = "NTX_ORAL"
    NTX_XR = "NTX_XR"
    NTX_IMPLANT = "NTX_IMPLANT"
    NTX_BUP = "NTX_BUP"
    NTX_TOPICAL = "NTX_TOPICAL"
    FULL_SA = "FULL_SA"
    FULL_LA = "FULL_LA"
    METHADONE = "METHADONE"
    BUP = "BUP"
    BUP_DEPOT = "BUP_DEPOT"
    MIXED = "MIXED"
    DUAL = "DUAL"
    ANTITUSSIVE = "ANTITUSSIVE"
    PERIPH = "PERIPH"
    OPIOID_LIKE = "OPIOID_LIKE"
    OTHER_ANTAG = "OTHER_ANTAG"

    @property
    def is_naltrexone(self) -> bool:
        return self in _NALTREXONE

    @property
    def is_opioid(self) -> bool:
        """Whether naltrexone must not meet it: every agonist, and what acts like one."""
        return self in _OPIOIDS

    @property
    def is_antagonist(self) -> bool:
        """Whether it blocks opioids for days: naltrexone, nalmefene by mouth, samidorphan."""
        return self in _NALTREXONE or self is Role.OTHER_ANTAG


_NALTREXONE = frozenset(
    {Role.NTX_ORAL, Role.NTX_XR, Role.NTX_IMPLANT, Role.NTX_BUP, Role.NTX_TOPICAL}
)
_OPIOIDS = frozenset(
    {
        Role.FULL_SA,
        Role.FULL_LA,
        Role.METHADONE,
        Role.BUP,
        Role.BUP_DEPOT,
        Role.MIXED,
        Role.DUAL,
        Role.ANTITUSSIVE,
        Role.PERIPH,
        Role.OPIOID_LIKE,
    }
)


class Identity(StrEnum):
    """What is known of a medicine (specification 2.2): a name that no table holds is unknown, never "no opioid"."""

    RELEVANT = "relevant"  # an opioid, naltrexone or another antagonist is in it
    OTHER = "other"  # positively known as something else
    UNKNOWN = "unknown"  # it has a name, and no table holds that name
    UNREADABLE = "unreadable"  # nothing names it that could be read


class Band(StrEnum):
    """Naltrexone dose band by mg/day of the highest phase, or by product (specification 2.3)."""

    MICRO = "MICRO"
    VLDN = "VLDN"
    LDN = "LDN"
    INTERMEDIATE = "INTERMEDIATE"
    LABELLED = "LABELLED"
    SUPRA = "SUPRA"
    XR = "XR"
    BUPROPION = "BUPROPION"
    TOPICAL = "TOPICAL"
    UNKNOWN = "UNKNOWN"


class Standing(StrEnum):
    """What an order's status says, before any date is looked at (specification 2.13)."""

    DRAFT = "draft"
    ACTIVE = "active"
    HELD = "held"
    GIVEN = "given"
    ENDED = "ended"
    EXCLUDED = "excluded"


class State(StrEnum):
    """How surely and how recently the body meets a listed drug (specification 2.4)."""

    CURRENT = "CURRENT"
    RECENT = "RECENT"  # the latest day on which it can have been taken is behind us
    HELD = "HELD"  # on hold, or finished on a day that cannot be told: confirm the last dose
    STALE = "STALE"  # listed as active, but its supply has run out
    OLD = "OLD"  # held or stale for so long that it is information, not a warning
    PLANNED = "PLANNED"  # starts after today


class Severity(IntEnum):
    """Card indicator as an order: a larger one is worse."""

    NONE = 0
    INFO = 1
    WARNING = 2
    CRITICAL = 3

    @property
    def indicator(self) -> str:
        return self.name.lower()


class ConditionKind(StrEnum):
    """What a coded problem or a reason means to the rules (specification 2.6, 2.9, 2.11)."""

    ALCOHOL_USE_DISORDER = "alcohol-use-disorder"  # F10.2x: labelled
    OPIOID_USE_DISORDER = "opioid-use-disorder"  # F11.2x, remission included: labelled
    OPIOID_DEPENDENCE_ACTIVE = "opioid-dependence-active"  # F11.2x without F11.21
    OPIOID_WITHDRAWAL = "opioid-withdrawal"  # F11.13, F11.23, F11.93
    OBESITY = "obesity"  # labelled for bupropion/naltrexone
    LIVER_ACUTE = "liver"  # acute hepatitis, liver failure, decompensated cirrhosis
    PREGNANCY = "pregnancy"
    CKD_3 = "ckd-3"
    CKD_4_5 = "ckd-4-5"  # stages 4, 5 and end-stage renal disease
    HOSPICE = "hospice"
    LDN_TYPE = "ldn-type"  # what low-dose naltrexone is tried for
    DIABETIC_NEUROPATHY = "diabetic-neuropathy"  # schedule D starts at 2 mg there
    OPIOID_USE = "opioid-use"  # F11.1x, F11.9x, not in remission
    OPIOID_TREATMENT = "opioid-treatment"  # Z79.891, maintenance programmes
    OPIOID_POISONING = "opioid-poisoning"
    LACTATION = "lactation"
    SUICIDAL = "suicidal"  # ideation or attempt
    DEPRESSION = "depression"
    CIRRHOSIS = "cirrhosis"  # compensated
    HEPATITIS_CHRONIC = "hepatitis-chronic"


class LabGroup(StrEnum):
    """What a laboratory result is evidence of (specification 2.11)."""

    OPIATES = "opiates"
    OXYCODONE = "oxycodone"
    FENTANYL = "fentanyl"
    HEROIN = "heroin"
    OTHER_OPIOID = "other-opioid"
    METHADONE = "methadone"
    BUPRENORPHINE = "buprenorphine"
    ALT = "alt"
    AST = "ast"

    @property
    def is_transaminase(self) -> bool:
        return self in {LabGroup.ALT, LabGroup.AST}


@dataclass(frozen=True, slots=True)
class Coding:
    """One code in one system; ``system`` is the canonical URI, or "" where the sender gave none."""

    system: str
    code: str
    display: str = ""


@dataclass(frozen=True, slots=True)
class Concept:
    """A CodeableConcept: codings and the words a person typed or picked."""

    codings: tuple[Coding, ...] = ()
    text: str = ""

    @property
    def label(self) -> str:
        """The words a person would use for it: the text, else the first display, else ""."""
        return self.text or next((c.display for c in self.codings if c.display), "")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with the unit as written (``unit`` where given, else its ``code``); a missing number is None.

    ``code`` in ``system`` outranks the words of ``unit`` (specification 2.13): ``dosing.units`` reads them.
    """

    value: Decimal | None
    unit: str = ""
    code: str = ""
    system: str = ""


@dataclass(frozen=True, slots=True)
class Dosage:
    """One dosage instruction of any FHIR release, in one shape. Absent members stay None or empty.

    ``dose_high`` equals ``dose_low`` for a plain quantity. ``period_unit`` is a UCUM time code (s, min, h, d, wk, mo, a)
    or its word in any language. ``when``, ``time_of_day`` and ``day_of_week`` are the FHIR codes in order;
    ``timing_words`` are the other codes and the words of the timing. ``max_per_period`` and ``day_amount`` ("3 tablets
    per 1 day") are (amount, time); ``has_rate`` is True for any rate, also one that is no amount of a day.
    """

    sequence: int | None = None
    text: str = ""
    dose_low: Quantity | None = None
    dose_high: Quantity | None = None
    has_rate: bool = False
    frequency: Decimal | None = None
    frequency_max: Decimal | None = None
    period: Decimal | None = None
    period_max: Decimal | None = None
    period_unit: str = ""
    timing_code: str = ""
    timing_words: tuple[str, ...] = ()
    when: tuple[str, ...] = ()
    time_of_day: tuple[str, ...] = ()
    day_of_week: tuple[str, ...] = ()
    as_needed: bool = False
    max_per_period: tuple[Quantity, Quantity] | None = None
    max_each: Quantity | None = None
    day_amount: tuple[Quantity, Quantity] | None = None
    bounds_start: date | None = None
    bounds_end: date | None = None
    route: Concept | None = None


@dataclass(frozen=True, slots=True)
class Strength:
    """mg of one ingredient in ``per_amount`` of ``per_unit``: "unit" (tablet, capsule, film, patch, dose) or "mL"."""

    mg: Decimal
    per_amount: Decimal = Decimal(1)
    per_unit: str = "unit"


@dataclass(frozen=True, slots=True)
class Component:
    """An opioid or naltrexone inside a product. ``ingredient`` is the generic name in lower case."""

    ingredient: str
    rxcui: str
    role: Role
    strength: Strength | None = None


@dataclass(frozen=True, slots=True)
class IngredientLine:
    """One line of a compounded ``Medication.ingredient``: what, and how much of it in how much product."""

    item: Concept
    numerator: Quantity | None = None
    denominator: Quantity | None = None


@dataclass(frozen=True, slots=True)
class Drug:
    """What an order names, as written: the concept, the compounding lines, the form and the route."""

    concept: Concept = Concept()
    ingredients: tuple[IngredientLine, ...] = ()
    form: Concept = Concept()
    route: Concept = Concept()


@dataclass(frozen=True, slots=True)
class Recognition:
    """What the terminology made of a drug.

    ``components`` is empty unless ``kind`` is RELEVANT. ``matched_by`` names the evidence and the table it stands in
    ("rxnorm 1049621", "text oxycodone (pack uk)"). ``ldn_text`` is True where the words say low-dose naltrexone.
    ``conflict`` names both sides where code, text and lines disagree, else ""; ``other_drug`` is True where one of the
    sides is positively a drug that is neither opioid nor antagonist. ``uncertain`` marks a match by likeness or by stem
    alone, and ``did_you_mean`` the name that was guessed. ``unknown_name`` is the name as written of an UNKNOWN drug.
    ``combined`` is True for one product that holds an opioid and unsequestered naltrexone; ``sequestered`` for Embeda
    and Troxyca.
    """

    kind: Identity
    components: tuple[Component, ...] = ()
    matched_by: tuple[str, ...] = ()
    ldn_text: bool = False
    conflict: str = ""
    other_drug: bool = False
    uncertain: bool = False
    did_you_mean: str = ""
    unknown_name: str = ""
    combined: bool = False
    sequestered: bool = False
    product_key: str = ""

    @property
    def identified(self) -> bool:
        """Whether it is known what the drug is, or that it is something else."""
        return self.kind in {Identity.RELEVANT, Identity.OTHER}

    @property
    def readable(self) -> bool:
        """Whether anything readable names the drug, known or not."""
        return self.kind is not Identity.UNREADABLE


@dataclass(frozen=True, slots=True)
class Dose:
    """Naltrexone or opioid mg per day; None = cannot tell.

    ``daily_mg`` is the highest phase with the upper end of every range; ``first_phase_mg`` the first phase likewise.
    ``structured_mg`` and ``sig_mg`` are the two independent readings; ``because`` says where each number came from.
    """

    daily_mg: Decimal | None = None
    first_phase_mg: Decimal | None = None
    each_mg: Decimal | None = None
    structured_mg: Decimal | None = None
    sig_mg: Decimal | None = None
    phases: int = 0
    because: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Day:
    """A calendar day as written: a whole date is one day, a partial date every day from ``first`` to ``last``."""

    first: date
    last: date

    @classmethod
    def on(cls, day: date) -> Day:
        return cls(day, day)

    @property
    def is_exact(self) -> bool:
        return self.first == self.last


@dataclass(frozen=True, slots=True)
class Course:
    """How long the instructions say the drug is taken: bounds of the timing or the effective period.

    ``days`` is a length (shortest, longest) where the sender states one in place of dates. A bound counts only where
    every instruction of the order has one; ``days`` of phases add up.
    """

    start: Day | None = None
    end: Day | None = None
    end_of: str = ""  # the FHIR element that ``end`` was read from
    days: tuple[Decimal, Decimal] | None = None


@dataclass(frozen=True, slots=True)
class Supply:
    """How much one fill holds and how many fills there may be; None = not stated.

    ``first_days`` and ``first_quantity`` are those of an initial fill that differs from the later ones.
    """

    days: Decimal | None = None
    quantity: Quantity | None = None
    repeats: int = 0
    first_days: Decimal | None = None
    first_quantity: Quantity | None = None
    valid_until: Day | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What is written, straight from FHIR, in any release: a request, statement, dispense or administration.

    ``ref`` is ``Type/id`` as written ("" without id), ``target`` the same where an action may name that id; ``source``
    is the prefetch key or "context". Days are calendar days in the configured zone; ``given_at`` keeps the clock time
    of an administration where one was stated. ``linked_supply`` and ``linked_dosages`` are those of the order that a
    dispense was made for. ``unread_dates`` names the elements whose date cannot be read.
    """

    ref: str
    kind: str  # one of ORDER_KINDS
    release: Release
    source: str
    standing: Standing
    status: str
    drug: Drug
    label: str
    dosages: tuple[Dosage, ...] = ()
    reasons: tuple[Concept, ...] = ()
    categories: frozenset[str] = frozenset()
    authored: Day | None = None  # authoredOn, dateWritten
    asserted: Day | None = None  # dateAsserted of a statement
    ended: Day | None = None  # dateEnded (DSTU2)
    status_changed: Day | None = None  # statusChanged (R5)
    updated: Day | None = None  # meta.lastUpdated
    given: Day | None = None
    given_at: datetime | None = None
    handed_over: Day | None = None
    course: Course = Course()
    supply: Supply = Supply()
    linked_supply: Supply | None = None
    linked_dosages: tuple[Dosage, ...] = ()
    unread_dates: tuple[str, ...] = ()
    based_on: tuple[str, ...] = ()  # refs of the order that a dispense or administration belongs to
    prior_prescription: bool = False
    reported: bool = False  # told by the patient or another source: nobody's order
    target: str = ""
    resource: Json = field(default_factory=dict, compare=False, repr=False, hash=False)


@dataclass(frozen=True, slots=True)
class Medication:
    """The same order, understood: what is in it and how much a day."""

    order: Order
    recognition: Recognition
    dose: Dose = Dose()
    band: Band | None = None  # only for products that contain naltrexone

    @property
    def naltrexone(self) -> Component | None:
        """The naltrexone that this product gives to the body; None for an opioid, sequestered products included."""
        return next((c for c in self.recognition.components if c.role.is_naltrexone), None)

    @property
    def antagonist(self) -> Component | None:
        """The naltrexone or other opioid antagonist that this product gives to the body."""
        return next((c for c in self.recognition.components if c.role.is_antagonist), None)

    @property
    def opioids(self) -> tuple[Component, ...]:
        return tuple(c for c in self.recognition.components if c.role.is_opioid)


@dataclass(frozen=True, slots=True)
class Draft:
    """A medication order of this call. ``selected`` is always True where the hook selects nothing.

    ``has_reason``, ``reason_kinds`` and ``says_ldn`` are what the order itself states; the problem list is not in them.
    """

    medication: Medication
    selected: bool = True
    renewal: bool = False
    has_reason: bool = False
    reason_kinds: frozenset[ConditionKind] = frozenset()
    says_ldn: bool = False

    @property
    def means_low_dose(self) -> bool:
        """LDN text or an LDN-type reason on the order itself (specification 2.9, 2.10)."""
        return self.says_ldn or ConditionKind.LDN_TYPE in self.reason_kinds


@dataclass(frozen=True, slots=True)
class RunOut:
    """The days on which the supply is used up: at the highest dose that the sig allows, and at the lowest.

    ``by`` names what it was computed from, ``fill_days`` is the length of one fill and ``course_days`` of all of them
    (None = cannot tell).
    """

    earliest: date
    latest: date
    by: str
    fill_days: int | None = None
    course_days: int | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """Evidence of the end itself: the last day of use, and the FHIR element that states it.

    Of a partial date ``on`` is the last day that it can mean, and ``is_exact`` is False.
    """

    on: date
    what: str
    is_exact: bool = True


@dataclass(frozen=True, slots=True)
class Exposure:
    """What the body meets: one listed medicine with its state on the day of the call (specification 2.4).

    ``days`` are whole calendar days since the latest day on which it can have been taken (RECENT), ``last_dose_days``
    since the last depot dose and ``removed_days`` since an implant was taken out; None = cannot tell. ``brief`` = a
    course of at most 3 days or an administration alone. ``because`` explains the state.
    """

    medication: Medication
    state: State
    days: int | None = None
    last_dose_days: int | None = None
    interval_days: int | None = None  # how long one dose of this depot is meant to last
    depot: str = ""  # weekly | monthly | implant | "" (no depot)
    removed_days: int | None = None
    brief: bool = False
    because: str = ""
    on: date | None = None  # the date worth printing ...
    dated: str = "written"  # ... and what it is: one of DATED
    used_days: int | None = (
        None  # since the newest evidence of use: authored, dispensed, given, asserted
    )
    run_out_days: int | None = None  # since an earliest run-out that is already past
    run_out: RunOut | None = None
    ending: Ending | None = None  # None = no evidence of the end itself
    latest_day: date | None = (
        None  # the last day on which it can have been taken, where there is a bound
    )
    clear_on: date | None = None  # after a documented end: the first day on which table A says none

    @property
    def floor_days(self) -> int | None:
        """HELD and STALE are never milder than RECENT with this d (specification 2.5); None = no such evidence."""
        return min((d for d in (self.used_days, self.run_out_days) if d is not None), default=None)


@dataclass(frozen=True, slots=True)
class Condition:
    """A problem or procedure that is neither inactive, resolved, refuted, not done nor entered in error.

    ``day`` is the newest day on which it is known to have been there (recorded or begun); None = undated.
    ``of_encounter`` marks a diagnosis of the encounter in which this call is made.
    """

    concept: Concept
    kinds: frozenset[ConditionKind]
    day: date | None = None
    of_encounter: bool = False


@dataclass(frozen=True, slots=True)
class LabResult:
    """The newest final result of one analyte. A screen is positive or negative; a transaminase has a multiple.

    ``times_limit`` is the measured value over the upper limit stated with it. ``confirmed`` = by a confirmatory method.
    """

    group: LabGroup
    analyte: str
    day: date
    positive: bool = False
    confirmed: bool = False
    times_limit: Decimal | None = None


GAP_ABOUT = (
    "patient",
    "medicationRequests",
    "medicationOrders",
    "medicationStatements",
    "medicationDispenses",
    "medicationAdministrations",
    "conditions",
    "encounter",
    "observations",
    "procedures",
    "draft",
    "medicine",
)
GAP_WHY = (
    "not-sent",
    "more-pages",
    "null-means-unknown",
    "operation-outcome",
    "error-status",
    "unreadable",
    "unreadable-entries",
    "not-json",
    "unexpected-type",
    "timeout",
    "circuit-open",
    "busy",
    "unreachable",
    "broken",
    "tls",
    "redirect",
    "unauthorized",
    "expired",
    "bad-token",
    "bad-id",
    "wrong-patient",
    "refused-host",
    "http-404",
    "http-4xx",
    "http-5xx",
    "too-large",
    "too-many",
    "not-identified",
    "resource-type",
    "other-patient",
    "code-and-text-disagree",
    "date-unreadable",
    "not-known",
    "finished-not-asked",
    "older-not-asked",
    "failed",
)


@dataclass(frozen=True, slots=True)
class Gap:
    """Something we could not know: ``about`` is one of GAP_ABOUT, ``why`` one of GAP_WHY; content has their words."""

    about: str
    why: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Setting:
    """Where care happens. Each is True only if it was read; ``outpatient`` and ``acute`` may both be False (unknown)."""

    acute: bool = False
    outpatient: bool = False


@dataclass(frozen=True, slots=True)
class UnknownDraft:
    """An order of this call whose drug is not known: the name as written, "" where nothing readable names it."""

    name: str
    selected: bool = True


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that a rule may see of one call."""

    hook: str
    as_of: datetime
    today: date
    release: Release
    drafts: tuple[Draft, ...]
    exposures: tuple[Exposure, ...]
    conditions: tuple[Condition, ...]
    conditions_read: bool
    list_available: bool
    unidentified_draft: bool  # some order of the call could not be identified
    unidentifiable: bool  # ... and that holds for every one of them
    foreign_naltrexone: bool  # naltrexone was drafted for somebody else
    age: int | None
    setting: Setting
    gaps: tuple[Gap, ...]
    thresholds: Mapping[str, Any]
    orders_in_call: int = 0  # entries of the context, of any type
    listed_count: int = 0  # medicines on the list, whatever they are
    unreadable: int = 0  # ... that may be current and that nothing readable names
    unknown_names: tuple[str, ...] = ()  # ... that may be current and whose name no table holds
    unknown_drafts: tuple[UnknownDraft, ...] = ()
    labs: tuple[LabResult, ...] = ()
    supportive: frozenset[str] = frozenset()  # current medicines that tell of withdrawal

    def has(self, kind: ConditionKind) -> bool:
        return any(kind in c.kinds for c in self.conditions)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A change that one press makes: ``code`` names its wording, ``targets`` are the medications it touches."""

    code: str  # DEL_NTX | DEL_OPI | HOLD_NTX | START_1_5
    targets: tuple[Medication, ...]
    recommended: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """Something worth saying, without words: the card file of ``topic`` holds those.

    ``situation`` picks the summary and ``lines`` the detail, in order; ``facts`` fill their placeholders and are plain
    text from typed values or escaped when rendered. ``found`` are the listed medicines it rests on.
    """

    topic: str
    severity: Severity
    situation: str
    lines: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    quotes: Mapping[str, str] = field(default_factory=dict)  # facts in the sender's own words
    suggestions: tuple[Suggestion, ...] = ()
    overrides: str = (
        ""  # the group of override reasons that may be true of it; "" = none is asked for
    )
    links: tuple[str, ...] = ()  # sources to link to; () = those of the card
    found: tuple[Exposure, ...] = ()
    link: Mapping[str, str] | None = None  # appContext of the titration app, where it is offered
    about: tuple[Draft, ...] = ()
    trace: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one rule said about this snapshot, for explanations and the audit. ``error`` names a broken rule's exception."""

    rule: str
    findings: tuple[Finding, ...] = ()
    trace: tuple[str, ...] = ()
    error: str = ""
