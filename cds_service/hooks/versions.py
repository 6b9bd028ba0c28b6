"""Which CDS Hooks a client speaks, where an answer's shape depends on it: no request says so (conformance R87, D18).

In 1.x a delete names a bare id in ``resource``, which typed clients of 2.0 cannot read; later it names ``resourceId``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cds_service.fhir.values import as_dict, as_text
from cds_service.hooks.profiles import DATED
from cds_service.hooks.services import Service

_SCOPE_OF_SMART_2 = re.compile(
    r"(?:patient|user|system)/(?:\*|[A-Za-z]+)\.(?=[cruds])c?r?u?d?s?(?:\?\S*)?"
)


def shows_version_2(body: Mapping[str, Any]) -> bool:
    """Whether a call holds a member or a form that no client of 1.x sends, so that it comes from one of 2.0 or later.

    ``context.draftOrders`` is the library's of 2.x; ``fhirAuthorization`` got ``patient`` in 2.0 and scopes of SMART 2 in
    3.0.
    """
    access = as_dict(body.get("fhirAuthorization"))
    return (
        as_dict(body.get("context")).get("draftOrders") is not None
        or bool(as_text(access.get("patient")))
        or any(map(_SCOPE_OF_SMART_2.fullmatch, as_text(access.get("scope")).split()))
    )


@dataclass(frozen=True, slots=True)
class Dialect:
    """What a client can read. ``deletes_by_resource``: a delete names its target in the form of 1.x.

    ``may_omit_target``: on the hook of 1.0 a delete without a target means the only order of the call.
    """

    deletes_by_resource: bool
    may_omit_target: bool


def dialect_of(
    service: Service, said: str = "", profile: str = "", *, shown: bool = False
) -> Dialect:
    """What the client's settings say that it speaks, else what its calls (``shown``) and its prefetch show, else what is
    usual for the hook.
    """
    by_resource = (
        said.startswith("1.") if said else service.is_of_1_0 and not shown and profile != DATED
    )
    return Dialect(by_resource, service.is_of_1_0)
