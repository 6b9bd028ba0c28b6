"""What an ATC code says by its own structure: a group that holds no opioid and no antagonist is known to be other.

The groups below may hold one somewhere in them, so that only the table can tell; every other well-formed code is of
another drug, at each of the five levels.
"""

from __future__ import annotations

import re

_SHAPE = re.compile(r"[ABCDGHJLMNPRSV](?:\d\d(?:[A-Z](?:[A-Z](?:\d\d)?)?)?)?")
_MAY_HOLD_ONE = (
    "N02A",
    "N01AH",
    "N07BB",
    "N07BC",
    "R05D",
    "R05F",
    "A07DA",
    "A06AH",
    "A08AA",
    "V03AB",
    "N05AH53",
    "N02BE",
    "N02BA",
    "N02BB",
    "N02BG",
    "N06AX14",
    "M01AE51",
    "M01AB55",
    "A03",
    "N01AX",
    "N02CA",
    "N02CX",
    "M03BA",
    "M03BB",
    "M03BX",
    "V03AX",
    "A07XA",
    "R05X",
    "N05BX",
    "N07XX",
    "V20",
    "QN02A",
    "N02AJ",
    "M01AE14",
    "D04AX",
    "A01AD",
    "N02AG",
)
_SURE = re.compile(
    r"N02BE01|N02BE05|N02BA01|N02BA15|N02BB02|N02BG0[0-9]|N02BG1\d|N02C[ACX]0\d|N07BB0[1-3]|V03AB(?!15)\d\d"
    r"|A03(?:A|B|E|F)[A-Z]\d\d|A08AA(?!62)\d\d|N07XX\d\d|M03B[ABX]0\d|M01AE14|N05BX0\d|A01AD\d\d|D04AX\d\d"
    r"|N01AX\d\d|A07XA0[0-35-9]"
)


def is_well_formed(code: str) -> bool:
    """Whether a text is an ATC code of any level."""
    return bool(_SHAPE.fullmatch(code))


def is_other_group(code: str) -> bool:
    """Whether an ATC code, by its structure alone, is of a drug that is neither opioid nor antagonist."""
    if not is_well_formed(code) or len(code) < 3:
        return False
    if _SURE.fullmatch(code):
        return True
    return not any(code.startswith(group) or group.startswith(code) for group in _MAY_HOLD_ONE)
