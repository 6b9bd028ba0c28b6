"""No test of this folder may leave loopback."""

from tests.unit.outbound.conftest import _stay_on_loopback

__all__ = ["_stay_on_loopback"]
