"""``answered``: the cards of one hook call, from the running service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.vignettes.builder import service_of
from tests.vignettes.releases import Json


@pytest.fixture(scope="session")
def answered(service: Any) -> Callable[[Json], list[Json]]:
    """A hook call body in, the cards of a 200 answer out."""
    def cards(body: Json) -> list[Json]:
        response = service.post(f"/cds-services/{service_of(body['hook'])}", json=body)
        assert 200 == response.status_code
        return response.json()["cards"]  # type: ignore[no-any-return]
    return cards
