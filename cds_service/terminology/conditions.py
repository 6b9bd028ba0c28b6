"""What a problem or a reason means to the rules: ICD-10-CM by prefix, SNOMED CT by code, else plain words."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from cds_service.model import Coding, Concept, ConditionKind
from cds_service.terminology.words import fold, says_ldn

_ICD_SYSTEMS = re.compile(
    r"(?:https?://hl7\.org/fhir/sid/icd-10(?:-cm)?/?|urn:oid:2\.16\.840\.1\.113883\.6\.(?:90|3))?",
    re.IGNORECASE,
)
_ICD_CODE = re.compile(r"[A-Z]\d[0-9A-Z]\.?[0-9A-Z]{0,4}", re.IGNORECASE)
_SNOMED_SYSTEMS = re.compile(
    r"https?://snomed\.info/sct(?:/.{0,100})?|urn:oid:2\.16\.840\.1\.113883\.6\.96", re.IGNORECASE
)
_HCPCS_SYSTEMS = re.compile(
    r"https?://(?:www\.cms\.gov/medicare/coding/hcpcsreleasecodesets|terminology\.hl7\.org/codesystem/hcpcs.{0,20})/?"
    r"|urn:oid:2\.16\.840\.1\.113883\.6\.(?:285|14)|https?://(?:www\.)?ama-assn\.org/go/cpt",
    re.IGNORECASE,
)
_PCS_SYSTEMS = re.compile(
    r"https?://(?:hl7\.org/fhir/sid/icd-10-pcs|www\.cms\.gov/medicare/coding/icd10)/?"
    r"|urn:oid:2\.16\.840\.1\.113883\.6\.4",
    re.IGNORECASE,
)
_EXCERPT = 2_000

# What stands before a word and takes it back, within the same clause.
_TAKEN_BACK = re.compile(
    r"\b(?:no|not|non|never|denies|denied|without|negative for|free of|rules? out|ruled out|r/o|family|fhx?"
    r"|father|mother|history of|hx|h/o|risk|prevent\w{0,4}|prophyla\w{0,5}|screen\w{0,4}|suspected|possible"
    r"|questionable|vs|evaluat\w{0,4}|resolved|previous|prior|past|status post|s/p)\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[.;\n]\s|\bbut\b", re.IGNORECASE)
_REMISSION = re.compile(r"\b(?:remission|recovered)\b", re.IGNORECASE)

_LDN_TYPE = (
    r"fibromyalgi|crohn|ulcerative colitis|inflammatory bowel|multiple sclerosis|complex regional pain",
    r"\bCRPS\b|causalgia|reflex sympathetic dystrophy|diabetic (?:poly)?(?:peripheral )?neuropath",
    r"neuropathic pain|painful (?:\w{1,20} ){0,2}neuropath|neuropathy.{0,20}\bpain|orofacial pain|facial pain",
    r"temporomandibular|burning mouth|glossodynia|trigeminal neuralgia|postherpetic neuralgia|dystonia|migraine",
    r"sciatica|chronic (?:\w{1,20} ){0,3}pain|intractable pain|central (?:pain|sensiti[sz]ation)|psoria|hailey",
    r"lichen plan|vitiligo|alopecia areata|scleroderma|systemic sclerosis|pemphig|autoimmune",
    r"rheumatoid arthritis|\blupus\b|sjogren|hashimoto|graves|ankylosing|dermatomyositis|polymyositis",
)
_LIVER = (
    r"acute (?:\w{1,20} ){0,2}hepatitis|alcoholic hepatitis|(?:liver|hepatic) failure|fulminant hepat"
    r"|decompensated (?:\w{1,20} ){0,2}(?:cirrhosis|liver)|hepatorenal|hepatic encephalopathy"
)
_KIDNEY = r"(?:\bCKD\b|chronic kidney disease)[\s,]{0,3}(?:stage )?"
_OPIOID = r"opi(?:oid|ate)"
_DEPENDENCE = (
    rf"{_OPIOID} (?:use disorder|dependence|addiction)|\bOUD\b"
    r"|(?:heroin|methadone|fentanyl) (?:dependence|addiction)"
)
_WITHDRAWAL = (
    rf"(?:{_OPIOID}|heroin|fentanyl|methadone|buprenorphine) withdrawal"
    rf"|{_OPIOID} dependence with withdrawal"
)
_TREATMENT = (
    r"(?:methadone|buprenorphine|suboxone|opioid (?:agonist|substitution)) "
    r"(?:maintenance|therapy|treatment|programme?|clinic)|\bMOUD\b"
    r"|long[\s-]term (?:\(current\) |current )?(?:use of )?(?:opi(?:oid|ate)s?)(?: analgesics?)?"
    r"|addiction therapy (?:using|-) (?:methadone|buprenorphine)"
)
_POISONING = (
    r"(?:opi(?:oid|ate)|heroin|fentanyl|methadone|morphine|oxycodone) (?:over-?dose|poisoning)"
    r"|(?:over-?dose|poisoning) (?:of|by|due to|from|caused by) (?:opi(?:oid|ate)s?|heroin|fentanyl|methadone)"
)
_WORDS = tuple(
    (re.compile(pattern, re.IGNORECASE), kind)
    for pattern, kind in (
        ("|".join(_LDN_TYPE), ConditionKind.LDN_TYPE),
        (
            r"diabetic (?:\w{1,20} ){0,2}(?:poly)?neuropath|neuropathy (?:in|due to|of) diabetes",
            ConditionKind.DIABETIC_NEUROPATHY,
        ),
        (_WITHDRAWAL, ConditionKind.OPIOID_WITHDRAWAL),
        (_DEPENDENCE, ConditionKind.OPIOID_USE_DISORDER),
        (
            r"alcohol (?:use disorder|dependence|addiction)|alcoholism|\bAUD\b",
            ConditionKind.ALCOHOL_USE_DISORDER,
        ),
        (r"\bobes(?:e|ity)\b", ConditionKind.OBESITY),
        (_LIVER, ConditionKind.LIVER_ACUTE),
        (
            r"\bpregnan(?:t|cy)\b(?! (?:test|prevention|planning|counsel))|\bgravid",
            ConditionKind.PREGNANCY,
        ),
        (rf"{_KIDNEY}(?:3|III)(?![0-9I])", ConditionKind.CKD_3),
        (
            rf"{_KIDNEY}(?:4|5|IV|V)\b|end[\s-]stage (?:renal|kidney)|\bES[RK]D\b|dialysis",
            ConditionKind.CKD_4_5,
        ),
        (r"hospice|palliative care|end[\s-]of[\s-]life", ConditionKind.HOSPICE),
        (
            rf"{_OPIOID} (?:abuse|misuse)|(?:heroin|fentanyl|opium) (?:abuse|use)",
            ConditionKind.OPIOID_USE,
        ),
        (_TREATMENT, ConditionKind.OPIOID_TREATMENT),
        (_POISONING, ConditionKind.OPIOID_POISONING),
        (
            r"\blactat(?:ion|ing)\b|\bbreast[\s-]?feeding\b|\bnursing mother",
            ConditionKind.LACTATION,
        ),
        (r"\bsuicid(?:al (?:ideation|thoughts?|intent)|e attempt)", ConditionKind.SUICIDAL),
        (r"\bdepressi(?:on|ve (?:disorder|episode))\b|\bMDD\b|dysthymi", ConditionKind.DEPRESSION),
        (r"(?<!decompensated )\bcirrhosis\b", ConditionKind.CIRRHOSIS),
        (
            r"chronic (?:\w{1,20} ){0,3}hepatitis|\bhepatitis [BC]\b|autoimmune hepatitis",
            ConditionKind.HEPATITIS_CHRONIC,
        ),
    )
)


@dataclass(frozen=True, slots=True, eq=False)
class ConditionTable:
    """ICD-10-CM prefixes without the dot, codes of SNOMED CT, HCPCS and ICD-10-PCS, each with the kinds that it means."""

    icd: Mapping[str, frozenset[ConditionKind]]
    snomed: Mapping[str, frozenset[ConditionKind]]
    procedures: Mapping[str, frozenset[ConditionKind]]


def read_conditions(directory: Path | None = None) -> ConditionTable:
    """The table of ``directory``, or the packaged one where it has none. Raises OSError or ValueError."""
    own = directory / "conditions.csv" if directory else None
    packaged = files("cds_service.terminology") / "data" / "conditions.csv"
    file = own if own is not None and own.is_file() else packaged
    tables: dict[str, dict[str, frozenset[ConditionKind]]] = defaultdict(dict)
    with file.open(encoding="utf-8") as handle:
        for row in csv.DictReader(handle):
            kinds = frozenset(ConditionKind(kind) for kind in row["kinds"].split())
            tables[row["system"]][row["code"].replace(".", "")] = kinds
    return ConditionTable(
        tables["icd10cm"], tables["snomed"], {**tables["hcpcs"], **tables["icd10pcs"]}
    )


def classify(concept: Concept, table: ConditionTable) -> frozenset[ConditionKind]:
    """The kinds by code; by words only where no code says anything to us."""
    known = [kinds for coding in concept.codings if (kinds := _by_code(coding, table)) is not None]
    if known:
        return frozenset().union(*known)
    texts = {concept.text, *(c.display for c in concept.codings)}
    return frozenset(kind for text in texts if text for kind in _by_words(fold(text)[:_EXCERPT]))


def _by_code(coding: Coding, table: ConditionTable) -> frozenset[ConditionKind] | None:
    system, code = coding.system.strip(), coding.code.strip()
    if _SNOMED_SYSTEMS.fullmatch(system):
        return table.snomed.get(code)
    if _HCPCS_SYSTEMS.fullmatch(system) or _PCS_SYSTEMS.fullmatch(system):
        return table.procedures.get(code.upper())
    if not _ICD_SYSTEMS.fullmatch(system) or not _ICD_CODE.fullmatch(code):
        return None
    bare = code.replace(".", "").upper()
    prefixes = (bare[:size] for size in range(len(bare), 0, -1))
    return next((table.icd[prefix] for prefix in prefixes if prefix in table.icd), None)


def _by_words(text: str) -> Iterable[ConditionKind]:
    if says_ldn(text):
        yield ConditionKind.LDN_TYPE
    for clause in _CLAUSE.split(text):
        taken_back = _TAKEN_BACK.search(clause)
        end = taken_back.start() if taken_back else len(clause)
        for pattern, kind in _WORDS:
            found = pattern.search(clause)
            if found is None or found.start() >= end:
                continue
            yield kind
            if kind is ConditionKind.OPIOID_WITHDRAWAL and "dependence" in found.group().lower():
                yield ConditionKind.OPIOID_USE_DISORDER
            if kind is ConditionKind.OPIOID_USE_DISORDER and not _REMISSION.search(text):
                yield ConditionKind.OPIOID_DEPENDENCE_ACTIVE
