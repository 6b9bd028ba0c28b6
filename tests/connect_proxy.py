"""A real HTTP proxy on loopback that knows CONNECT only, as hospitals run one between a service and the world.

with connect_proxy() as proxy:
    proxy.url, proxy.asked               # what clients asked it to connect to, with their headers
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass
class Proxy:
    """What a test may look at and change while the proxy runs. ``says`` refuses, "hang" never answers."""

    url: str = ""
    says: str = ""
    asked: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def connect_proxy(**options: str) -> Iterator[Proxy]:
    """Run the proxy on a free port until the block ends."""
    proxy = Proxy(**options)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        proxy.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=_accept, args=(proxy, listener), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.stopping.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _accept(proxy: Proxy, listener: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(proxy, client), daemon=True).start()


def _serve(proxy: Proxy, client: socket.socket) -> None:
    with client, contextlib.suppress(OSError):
        head = b""
        while b"\r\n\r\n" not in head:
            more = client.recv(4_096)
            if not more:
                return
            head += more
        method, target, _ = head.decode("latin-1").split("\r\n")[0].split(" ")
        proxy.asked.append(f"{method} {target}")
        proxy.heads.append(head.decode("latin-1"))
        if proxy.says == "hang":
            proxy.stopping.wait(10)
            return
        if proxy.says or method != "CONNECT":
            client.sendall(
                f"HTTP/1.1 {proxy.says or '405 Method Not Allowed'}\r\nContent-Length: 0\r\n\r\n".encode()
            )
            return
        host, _, port = target.rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port)), 5) as server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            _tunnel(proxy, client, server)


def _tunnel(proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
    ends = {client: server, server: client}
    while not proxy.stopping.is_set():
        for end in select.select(list(ends), [], [], 0.05)[0]:
            data = end.recv(65_536)
            if not data:
                return
            ends[end].sendall(data)
