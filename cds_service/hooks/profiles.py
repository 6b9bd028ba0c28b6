"""Prefetch profiles: what an EHR is asked to send along, and what it then cannot show.

The default asks for everything in tokens that clients of every version can fill. A long chart makes some EHRs truncate
silently; their profile asks for less, and what it leaves out is a gap of the answer, never a "none".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

UNDATED, STATUS, DATED, FULL = "undated", "status", "dated", "full"
_NOTHING: Mapping[str, str] = MappingProxyType({})

# How far back a dated search looks. Longer ago a held order is information and no warning (old_days), and neither a
# supply nor a depot lasts so long.
_LOOK_BACK_DAYS = 545
_SINCE = f"ge{{{{today() - {_LOOK_BACK_DAYS} days}}}}"  # a token of CDS Hooks 3.0


@dataclass(frozen=True, slots=True)
class PrefetchProfile:
    """One way to ask. ``narrowed`` are parameters added to a search by its key, ``more`` are further searches.

    ``unseen`` is why a narrowed search shows less than there is: one of GAP_WHY.
    """

    name: str
    narrowed: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    more: tuple[str, ...] = ()  # searches by patient: the resource type, after the key
    unseen: str = ""


_CURRENT = "&status=active,on-hold,unknown"
PROFILES: Mapping[str, PrefetchProfile] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            PrefetchProfile(UNDATED),
            PrefetchProfile(
                STATUS,
                MappingProxyType(
                    {
                        "medicationRequests": _CURRENT,
                        "medicationOrders": "&status=active,on-hold",
                        "medicationStatements": _CURRENT,
                    }
                ),
                unseen="finished-not-asked",
            ),
            PrefetchProfile(
                DATED,
                MappingProxyType(
                    {
                        "medicationRequests": f"&authoredon={_SINCE}",
                        "medicationOrders": f"&datewritten={_SINCE}",
                        "medicationDispenses": f"&whenhandedover={_SINCE}",
                        "medicationAdministrations": f"&effective-time={_SINCE}",
                    }
                ),
                unseen="older-not-asked",
            ),
            PrefetchProfile(FULL, more=("observations", "procedures")),
        )
    }
)
MORE_SEARCHES: Mapping[str, str] = MappingProxyType(
    {
        "observations": "Observation?patient={{context.patientId}}&category=laboratory",
        "procedures": "Procedure?patient={{context.patientId}}",
    }
)
