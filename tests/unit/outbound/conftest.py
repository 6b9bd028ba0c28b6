"""No test of this folder may leave loopback."""

from __future__ import annotations

import ipaddress
import socket

import pytest


def is_loopback(host: str) -> bool:
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


@pytest.fixture(autouse=True)
def _stay_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def guarded(sock: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and not is_loopback(address[0]):
            raise AssertionError("a test tried to leave loopback")
        connect(sock, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
