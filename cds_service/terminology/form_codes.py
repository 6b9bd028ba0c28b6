"""Dose form codes that decide a role: EDQM and EMA, SNOMED CT, the German KBV key, HL7 v3 and NCI.

Only forms that say more than "something to swallow" are worth a row; words beside a code are read as well.
"""

from __future__ import annotations

from cds_service.model import Coding

_SLOW, _TABLET, _PATCH, _SHOT = "er solid", "solid", "transdermal", "injection"
_MOUTH, _DEPOT = "solid mucosal", "depot injection"

# By the text the code stands under: KBV and HL7 codes are short words and count in their own system only.
_KBV = {
    "RET": _SLOW, "REK": _SLOW, "RED": _SLOW, "RUT": _SLOW, "RGR": "er", "DTA": _SLOW, "DPK": _SLOW, "DDR": _SLOW,
    "TAB": _TABLET, "FTA": _TABLET, "KAP": _TABLET, "KPS": _TABLET, "HKP": _TABLET, "HPI": _TABLET, "BTA": _TABLET,
    "UTA": _TABLET, "DRA": _TABLET, "SMT": "solid oral", "SUT": "solid mucosal", "SUB": "solid mucosal",
    "PFT": _PATCH, "IMP": "implant", "AMP": _SHOT, "ILO": _SHOT, "IFL": _SHOT, "FER": _SHOT, "DPS": "depot injection",
    "TRO": "liquid", "TEI": "liquid", "LSE": "liquid", "SAF": "liquid", "SIR": "liquid", "SUP": "rectal", "SAL": "topical",
    "CRE": "topical", "GEL": "topical", "NAS": "nasal", "NSP": "nasal", "NDS": "nasal",
}
_HL7 = {
    "ERTAB": _SLOW, "ERTAB12": _SLOW, "ERTAB24": _SLOW, "ERCAP": _SLOW, "ERCAP12": _SLOW, "ERCAP24": _SLOW,
    "ERECTAB": _SLOW, "ERENTCAP": _SLOW, "TAB": _TABLET, "ORTAB": _TABLET, "CAP": _TABLET, "ORCAP": _TABLET,
    "PATCH": _PATCH, "TPATCH": _PATCH, "TPATH16": _PATCH, "TPATH24": _PATCH, "TPATH72": _PATCH, "TPATH2WK": _PATCH,
    "TPATHWK": _PATCH, "SLTAB": "solid mucosal", "BUCTAB": "solid mucosal", "IMPLANT": "implant",
}
# Numbers of a length that no other of these systems has; EDQM, EMA, SNOMED CT and NCI codes are told apart by shape.
_NUMBERS = {
    "10219000": _TABLET, "10220000": _TABLET, "10221000": _TABLET, "10210000": _TABLET, "10211000": _TABLET,
    "10226000": _SLOW, "10227000": _SLOW, "10215000": _SLOW, "10216000": _SLOW, "10217000": _SLOW, "10218000": _SLOW,
    "10207000": "er", "10208000": "er", "13134000": "er liquid", "10519000": _PATCH, "10547000": _PATCH,
    "10318000": _MOUTH, "10317500": "mucosal", "10320000": _MOUTH, "10321000": _MOUTH, "10314011": "mucosal",
    "11201000": _SHOT, "11202000": _SHOT, "50060000": _SHOT, "11208400": _DEPOT, "11208500": _DEPOT, "13076000": _DEPOT,
    "11301000": "implant", "11302000": "implant", "11303000": "implant", "11303300": "implant", "10808000": "nasal",
    "10502000": "topical", "10503000": "topical", "10504000": "topical", "11013000": "rectal", "10105000": "liquid",
    "10101000": "liquid",
    "100000073664": _TABLET, "100000073665": _TABLET, "100000073375": _TABLET, "100000073683": _SLOW,
    "100000073668": _SLOW, "100000073662": _SLOW, "100000073663": _SLOW, "100000073658": "er", "100000073741": _PATCH,
    "100000073769": _PATCH, "100000073698": _MOUTH, "100000073874": "implant", "100000073863": _SHOT,
    "100000125736": _DEPOT, "100000169806": _DEPOT, "100000073646": "liquid", "100000073642": "liquid",
    "385055001": _TABLET, "385049006": _TABLET, "421026006": _TABLET, "420692007": _TABLET, "385023001": "liquid",
    "36875001": _PATCH, "C42927": _SLOW, "C42916": _SLOW, "C42998": _TABLET, "C25158": _TABLET,
    "C42968": _PATCH,
}


def coded_form(coding: Coding) -> tuple[str, ...]:
    """The names of the traits that a form code stands for; empty where it is none of ours."""
    code, system = coding.code.strip().upper(), coding.system.lower()
    if "darreichungsform" in system or "1.2.276.0.76.3.1.1.5" in system:
        return tuple(_KBV.get(code, "").split())
    if "orderabledrugform" in system or "2.16.840.1.113883.5.85" in system:
        return tuple(_HL7.get(code, "").split())
    return tuple(_NUMBERS.get(code.replace("-", ""), "").split())
