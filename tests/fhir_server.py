"""A real FHIR server on loopback for tests: reads, searches, pages, writes, and misbehaves on request.

    with serve([patient, order], token="t") as server:
        FhirAccess(server.base_url, "t", ...)
        server.seen                          # every request: method, path, query, headers, body

``resources`` are resources, Bundles or lists of them, or a folder of ``*.json`` files with such. Any FHIR
release will do: nothing is validated. ``fault`` is a name in ``FAULTS``, changeable while the server runs;
``fault_on`` limits it to a resource type, to "page" (second and later pages) or to "POST".
"""

from __future__ import annotations

import contextlib
import gzip
import json
import select
import socket
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

Json = dict[str, Any]
FHIR_JSON = "application/fhir+json"
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, PUT, DELETE",
    "Access-Control-Allow-Headers": "Accept, Authorization, Content-Type, If-Match, If-None-Exist",
}


@dataclass(frozen=True)
class Seen:
    """One request as it arrived. Header names are lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


@dataclass
class FhirServer:
    """What a test may look at and change while the server runs."""

    base_url: str = ""
    store: dict[tuple[str, str], Json] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    token: str = ""
    page_size: int = 0
    total: int | None = None
    fault: str = ""
    fault_on: str = ""
    delay: float = 0.0
    post_search: int = 200
    fhir_version: str = "4.0.1"
    cors: bool = False  # answer browsers of every origin
    pages: dict[str, Json] = field(
        default_factory=dict
    )  # path below the base -> JSON, without a token
    foreign: str = "http://127.0.0.1:9/fhir"
    relative_links: bool = False
    stopping: threading.Event = field(default_factory=threading.Event)
    searches: dict[str, list[Json]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def port(self) -> int:
        return urlsplit(self.base_url).port or 0

    def paths(self) -> list[str]:
        """Method, path and query of every request, in the order of arrival."""
        return [
            f"{each.method} {each.path}{'?' if each.query else ''}{each.query}"
            for each in self.seen
        ]

    def put(self, resource: Json) -> Json:
        """Store a resource under its type and id, with the next version."""
        key = (resource["resourceType"], resource["id"])
        version = int(self.store.get(key, {}).get("meta", {}).get("versionId", "0")) + 1
        self.store[key] = {
            **resource,
            "meta": {**resource.get("meta", {}), "versionId": str(version)},
        }
        return self.store[key]


@contextlib.contextmanager
def serve(
    resources: Iterable[Any] | Path = (),
    *,
    path: str = "/fhir",
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    name: str = "",
    **options: Any,
) -> Iterator[FhirServer]:
    """Run the server on a free port until the block ends. ``options`` are fields of FhirServer."""
    state = FhirServer(**options)
    for resource in _load(resources):
        key = (resource["resourceType"], resource.setdefault("id", uuid.uuid4().hex))
        state.store[key] = resource
    server = _Server((host, 0), type("Handler", (_Handler,), {"state": state, "root": path}))
    if tls:
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    scheme = "https" if tls else "http"
    state.base_url = f"{scheme}://{name or host}:{server.server_address[1]}{path}"
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    try:
        yield state
    finally:
        state.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def refuse() -> Iterator[str]:
    """The base URL of a port that refuses connections."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{sock.getsockname()[1]}/fhir"


@contextlib.contextmanager
def blackhole() -> Iterator[str]:
    """The base URL of a port that answers no SYN: its accept queue is full (Linux drops what comes then)."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(listener.getsockname())
        time.sleep(0.05)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/fhir"


@contextlib.contextmanager
def count_connections() -> Iterator[Callable[[], int]]:
    """A loopback listener with ``.port``; calling it says how many connections arrived so far."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        listener.setblocking(False)
        arrived: list[socket.socket] = []

        def count() -> int:
            while True:
                try:
                    arrived.append(listener.accept()[0])
                except BlockingIOError:
                    return len(arrived)

        count.port = listener.getsockname()[1]  # type: ignore[attr-defined]
        try:
            yield count
        finally:
            count()
            for sock in arrived:
                sock.close()


def _load(resources: Iterable[Any] | Path) -> Iterator[Json]:
    if isinstance(resources, Path):
        resources = [
            json.loads(file.read_text("utf-8")) for file in sorted(resources.rglob("*.json"))
        ]
    for item in resources:
        if isinstance(item, list):
            yield from _load(item)
        elif item.get("resourceType") == "Bundle":
            yield from _load([entry["resource"] for entry in item.get("entry", [])])
        elif "resourceType" in item:
            yield json.loads(json.dumps(item))


def search(state: FhirServer, kind: str, parameters: dict[str, str]) -> list[Json]:
    """Entries of a searchset. Knows patient, subject, _id, status and _include of medication, no more."""
    of_kind = [each for (its_kind, _), each in state.store.items() if its_kind == kind]
    found = [each for each in of_kind if _fits(each, parameters)]
    entries = [_entry(state, each, "match") for each in found]
    if parameters.get("_include", "").endswith(":medication"):
        refs = {each.get("medicationReference", {}).get("reference", "") for each in found}
        entries += [
            _entry(state, each, "include")
            for key, each in state.store.items()
            if "/".join(key) in refs
        ]
    return entries


def _entry(state: FhirServer, resource: Json, mode: str) -> Json:
    full = f"{state.base_url}/{resource['resourceType']}/{resource['id']}"
    return {"fullUrl": full, "resource": resource, "search": {"mode": mode}}


def _count_matches(entries: list[Json]) -> int:
    """``total`` as FHIR counts it: what was included beside the matches is left out."""
    return sum(entry["search"]["mode"] == "match" for entry in entries)


def _fits(resource: Json, parameters: dict[str, str]) -> bool:
    for name, wanted in parameters.items():
        values = wanted.split(",")
        if name in ("patient", "subject"):
            held = (resource.get("subject") or resource.get("patient") or {}).get("reference", "")
            if held.removeprefix("Patient/") not in [
                value.removeprefix("Patient/") for value in values
            ]:
                return False
        elif (name == "_id" and resource["id"] not in values) or (
            name == "status" and resource.get("status") not in values
        ):
            return False
    return True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up, or does not trust us, is what many tests want."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 65_536
    timeout = 30
    state: FhirServer
    root: str

    def setup(self) -> None:
        super().setup()
        with self.state.lock:
            self.state.connections += 1

    def log_message(self, *_: Any) -> None:
        """Tests read ``seen``."""

    def do_GET(self) -> None:
        self._answer()

    def do_OPTIONS(self) -> None:
        self.reply(204, b"")

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        seen = Seen(
            self.command,
            parts.path,
            parts.query,
            {name.lower(): value for name, value in self.headers.items()},
            body,
        )
        with self.state.lock:
            self.state.seen.append(seen)
        if self.state.delay:
            self.state.stopping.wait(self.state.delay)
        if self.state.fault and self._is_meant(seen):
            FAULTS[self.state.fault](self)
            return
        page = self.state.pages.get(seen.path.removeprefix(self.root))
        if page is not None:
            self.reply(200, page)
            return
        if self.state.token and seen.headers.get("authorization") != f"Bearer {self.state.token}":
            self.reply(401, _outcome("login"))
            return
        self._serve(seen, seen.path.removeprefix(self.root).strip("/").split("/"))

    def _is_meant(self, seen: Seen) -> bool:
        on = self.state.fault_on
        is_page = "_getpages=" in seen.query
        return not on or (on == "page" and is_page) or on == seen.method or f"/{on}" in seen.path

    def _serve(self, seen: Seen, steps: list[str]) -> None:
        query = dict(parse_qsl(seen.query, keep_blank_values=True))
        if "_getpages" in query:
            self._page(query["_getpages"], int(query["_page"]))
        elif steps == ["metadata"]:
            self.reply(
                200, {"resourceType": "CapabilityStatement", "fhirVersion": self.state.fhir_version}
            )
        elif seen.method == "POST" and steps[-1] == "_search":
            self._search(steps[0], dict(parse_qsl(seen.body.decode())))
        elif seen.method == "DELETE":
            self.state.store.pop((steps[0], steps[1]), None)
            self.reply(204, b"")
        elif seen.method in ("POST", "PUT"):
            self._write(seen, steps)
        elif len(steps) == 2:
            found = self.state.store.get((steps[0], steps[1]))
            self.reply(200 if found else 404, found or _outcome("not-found"))
        else:
            self._search(steps[0], query)

    def _search(self, kind: str, parameters: dict[str, str]) -> None:
        if self.command == "POST" and self.state.post_search != 200:
            self.reply(self.state.post_search, _outcome("not-supported"))
            return
        key = uuid.uuid4().hex
        self.state.searches[key] = search(self.state, kind, parameters)
        self._page(key, 1, int(parameters.get("_count", 0)) or self.state.page_size)

    def _page(self, key: str, number: int, size: int = 0) -> None:
        entries, size = self.state.searches[key], size or self.state.page_size or 10_000
        shown = entries[(number - 1) * size : number * size]
        bundle: Json = {
            "resourceType": "Bundle",
            "type": "searchset",
            "total": _count_matches(entries) if self.state.total is None else self.state.total,
            "link": [{"relation": "self", "url": self.state.base_url}],
        }
        if shown:
            bundle["entry"] = shown
        if number * size < len(entries):
            start = "" if self.state.relative_links else self.state.base_url
            link = f"{start}?{urlencode({'_getpages': key, '_page': number + 1})}"
            bundle["link"].append({"relation": "next", "url": link})
        self.reply(200, bundle)

    def _write(self, seen: Seen, steps: list[str]) -> None:
        resource = json.loads(seen.body)
        if seen.method == "PUT":
            held = self.state.store.get((steps[0], steps[1]))
            wanted = seen.headers.get("if-match", "").removeprefix("W/").strip('"')
            if wanted and (held or {}).get("meta", {}).get("versionId", "1") != wanted:
                self.reply(412, _outcome("conflict"))
                return
            self.reply(200 if held else 201, self.state.put({**resource, "id": steps[1]}))
            return
        condition = dict(parse_qsl(seen.headers.get("if-none-exist", "").lstrip("?")))
        there = (
            [each["resource"] for each in search(self.state, steps[0], condition)]
            if condition
            else []
        )
        if there:
            self.reply(200, there[0])
            return
        stored = self.state.put({**resource, "id": uuid.uuid4().hex[:12]})
        self.reply(
            201, stored, {"Location": f"{self.state.base_url}/{steps[0]}/{stored['id']}/_history/1"}
        )

    def reply(
        self, status: int, body: Json | bytes | str, headers: dict[str, str] | None = None
    ) -> None:
        text = json.dumps(body) if isinstance(body, dict) else body
        data = text.encode() if isinstance(text, str) else text
        self.send_response(status)
        usual = {
            "Content-Type": FHIR_JSON,
            "Content-Length": str(len(data)),
            **(CORS if self.state.cors else {}),
        }
        for name, value in {**usual, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(data)

    def say(self, data: bytes) -> bool:
        """Raw bytes at once; False once the client has gone."""
        try:
            self.connection.sendall(data)
        except OSError:
            return False
        return not self.state.stopping.is_set()

    def hang(self) -> None:
        """Say nothing until the client hangs up or the test ends."""
        while not self.state.stopping.is_set():
            readable, _, _ = select.select([self.connection], [], [], 0.02)
            if readable:
                break
        self.close_connection = True

    def drip(self, text: bytes) -> None:
        """One byte every 200 ms."""
        for byte in text:
            if not self.say(bytes([byte])) or self.state.stopping.wait(0.2):
                break
        self.close_connection = True


def _outcome(code: str, severity: str = "error") -> Json:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": severity, "code": code}]}


def _bundle(**members: Any) -> Json:
    return {"resourceType": "Bundle", "type": "searchset", **members}


_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/fhir+json\r\n"
_BOMB = gzip.compress(b'{"resourceType": "Bundle", "x": "' + b"a" * 50_000_000 + b'"}', 9)


def _headers_then_hang(handler: _Handler) -> None:
    handler.say(_HEAD + b"Content-Length: 500\r\n\r\n{")
    handler.hang()


def _drip_body(handler: _Handler) -> None:
    handler.say(_HEAD + b"Content-Length: 500\r\n\r\n")
    handler.drip(b"{" * 500)


def _endless(handler: _Handler) -> None:
    handler.say(_HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while handler.say(b"4000\r\n" + b" " * 0x4000 + b"\r\n"):
        pass
    handler.close_connection = True


def _reset(handler: _Handler) -> None:
    handler.close_connection = True


def _status(status: int, **headers: str) -> Callable[[_Handler], None]:
    return lambda handler: handler.reply(status, _outcome("exception"), headers)


def _body(body: Json | bytes | str, **headers: str) -> Callable[[_Handler], None]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.reply(200, body, named)


def _next_to(make: Callable[[_Handler], str]) -> Callable[[_Handler], None]:
    return lambda handler: handler.reply(
        200, _bundle(link=[{"relation": "next", "url": make(handler)}])
    )


FAULTS: dict[str, Callable[[_Handler], None]] = {
    "hang": lambda handler: handler.hang(),
    "headers-then-hang": _headers_then_hang,
    "drip-headers": lambda handler: handler.drip(_HEAD),
    "drip-body": _drip_body,
    "endless": _endless,
    "reset": _reset,
    "500": _status(500),
    "501": _status(501),
    "503": _status(503, **{"Retry-After": "1"}),
    "401": _status(401),
    "403": _status(403),
    "404": _status(404),
    "429": _status(429, **{"Retry-After": "1"}),
    "html": _body("<!doctype html><title>Sign in</title>", Content_Type="text/html"),
    "empty": _body(b""),
    "truncated": _body(b'{"resourceType": "Bundle", "entry": ['),
    "deep": _body(b"[" * 100_000),
    "list": _body(b"[]"),
    "wrong-type": _body({"resourceType": "Basic", "id": "x"}),
    "outcome": _body(_outcome("transient")),
    "outcome-entry": _body(
        _bundle(entry=[{"resource": _outcome("incomplete"), "search": {"mode": "outcome"}}])
    ),
    "redirect": lambda handler: handler.reply(302, b"", {"Location": handler.state.foreign}),
    "redirect-home": lambda handler: handler.reply(
        307, b"", {"Location": f"{handler.state.base_url}/other/Patient"}
    ),
    "redirect-bomb": lambda handler: handler.reply(
        302, _BOMB, {"Location": handler.state.foreign, "Content-Encoding": "gzip"}
    ),
    "gzip-bomb": _body(_BOMB, Content_Encoding="gzip"),
    "huge": lambda handler: handler.reply(200, b'{"x": "' + b"a" * 10_000_000 + b'"}'),
    "cookie": lambda handler: handler.reply(
        200, _bundle(total=0), {"Set-Cookie": "session=1; Path=/"}
    ),
    "next-loop": _next_to(lambda handler: f"{handler.state.base_url}?_getpages=same&_page=2"),
    "next-foreign": _next_to(lambda handler: f"{handler.state.foreign}?_getpages=x&_page=2"),
}
