"""Faults of the clock, DNS, keys, FHIR servers, the log, the proxy, memory and of our own code."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from cds_service.rules import RULES
from cds_service.settings import ContentReview
from tests.conformance.calls import listed, listed_ldn
from tests.faults.site import Site, site
from tests.faults.table import ALL_REFUSED, BROKE, NO_LIST, UNCHECKED, fault
from tests.fhir_server import FhirServer, serve
from tests.security.ehr import BASE, UNUSED_FHIR
from tests.security.ehr import client as a_client

NOT_OURS = "the caller's or its network's matter: this replica is well"
READY = 'check_ok{{check="{}"}}'


# --- clock ------------------------------------------------------------------------------------------------------------


def jumped(folder: Path, hours: float) -> Iterator[Site]:
    with site(folder) as found:
        found.ready()
        found.clock.ahead = timedelta(hours=hours)
        yield found


@fault(
    "clock",
    log="clock-jumped",
    metric="clock_jumps_total",
    check="",
    why="the clock may be right now, and was wrong before",
)
def clock_four_hours_ahead(folder: Path) -> Iterator[Site]:
    yield from jumped(folder, 4)


@fault("clock", log="clock-jumped", metric="clock_jumps_total", check="", why="as above")
def clock_four_hours_back(folder: Path) -> Iterator[Site]:
    yield from jumped(folder, -4)


@fault("clock", log="call", metric="faults_total", check="calls", answers=BROKE)
def clock_cannot_be_read(folder: Path) -> Iterator[Site]:
    with site(folder) as found:
        found.clock.broken = True
        yield found


# --- keys and tokens --------------------------------------------------------------------------------------------------


@contextmanager
def production(folder: Path, **members: Any) -> Iterator[Site]:
    entry = {**a_client(folder / "etc"), **members}
    if members.get("jwks_url"):
        del entry["jwks_file"]
    options = {"profile": "production", "public_base_url": BASE, "clients": [entry]}
    with site(folder, signed=True, **options) as found:
        yield found


@fault("keys", log="readiness-changed", metric='check_ok{check="keys"}', check="keys")
def key_file_gone(folder: Path) -> Iterator[Site]:
    """The keys that were read at the start are still good; the next start will have none."""
    with production(folder) as found:
        found.ask("order-sign", "neither")
        for file in (folder / "etc").glob("jwks-*.json"):
            file.unlink()
        yield found


@fault(
    "keys",
    log="refused",
    metric='refused_tokens_total{reason="keys-unavailable"}',
    check="keys",
    answers=ALL_REFUSED,
)
def key_address_unreachable(folder: Path) -> Iterator[Site]:
    with production(folder, jwks_url="https://127.0.0.1:9/jwks.json") as found:
        yield found


@fault(
    "keys",
    log="refused",
    metric='refused_tokens_total{reason="keys-unavailable"}',
    check="keys",
    answers=ALL_REFUSED,
)
def key_address_sends_no_keys(folder: Path) -> Iterator[Site]:
    with production(folder, jwks_url="https://ehr.example.org/jwks.json") as found:
        found.parts.keys._get = lambda _url: b"<html>Sign in</html>"
        yield found


@fault("keys", log="readiness-changed", metric=READY.format("audit"), check="audit")
def audit_key_unreadable(folder: Path) -> Iterator[Site]:
    def prepare(where: Path) -> None:
        (where / "audit.key").write_text("short")

    with site(folder, prepare=prepare) as found:
        yield found


@fault(
    "clock",
    log="refused",
    metric="refused_tokens_total",
    check="",
    why=NOT_OURS,
    answers=ALL_REFUSED,
)
def clock_of_the_client_a_day_behind(folder: Path) -> Iterator[Site]:
    with production(folder) as found:
        found.clock.ahead = timedelta(days=1)
        yield found


# --- FHIR servers and DNS ---------------------------------------------------------------------------------------------


@contextmanager
def beside(folder: Path, server: FhirServer) -> Iterator[Site]:
    clients = [{"issuer": "https://ehr.example", "fhir_bases": [server.base_url]}]
    with site(folder, fhir=server, clients=clients, limits={"fhir_budget_ms": 400}) as found:
        yield found


def fhir(folder: Path, misbehaviour: str = "") -> Iterator[Site]:
    with serve([listed(), listed_ldn()]) as server, beside(folder, server) as found:
        server.fault = misbehaviour
        yield found


def answers_with(name: str, cause: str, check: str) -> None:
    """One fault of the FHIR server: its misbehaviour, and the word under which it is counted."""

    def trial(folder: Path) -> Iterator[Site]:
        yield from fhir(folder, name)

    trial.__name__ = "fhir_" + name.replace("-", "_")
    more = {} if check else {"why": NOT_OURS}
    fault(
        "FHIR server",
        log="call",
        metric=f'gaps_total{{cause="{cause}"}}',
        check=check,
        answers=NO_LIST,
        **more,
    )(trial)


for _name, _cause, _check in (
    ("hang", "timeout", "fhir"),
    ("drip-body", "timeout", "fhir"),
    ("reset", "broken", "fhir"),
    ("500", "http-5xx", "fhir"),
    ("503", "http-5xx", "fhir"),
    ("401", "unauthorized", ""),
    ("403", "unauthorized", ""),
    ("404", "http-404", ""),
    ("429", "http-4xx", ""),
    ("html", "not-json", ""),
    ("truncated", "not-json", ""),
    ("outcome", "operation-outcome", ""),
    ("redirect", "redirect", ""),
    ("huge", "too-large", ""),
    ("gzip-bomb", "too-large", ""),
):
    answers_with(_name, _cause, _check)


@fault(
    "FHIR server",
    log="call",
    metric='gaps_total{cause="unreachable"}',
    check="fhir",
    answers=NO_LIST,
)
def fhir_server_down(folder: Path) -> Iterator[Site]:
    with serve([]) as server:
        gone = replace(server)
    with beside(folder, gone) as found:
        yield found


@fault("FHIR server", log="call", metric="breaker_open", check="fhir", answers=NO_LIST)
def fhir_server_left_alone(folder: Path) -> Iterator[Site]:
    for found in fhir(folder, "hang"):
        for _ in range(6):
            found.ask("order-sign", "naltrexone")
        yield found


@fault(
    "settings",
    log="call",
    metric='gaps_total{cause="refused-host"}',
    check="",
    why=NOT_OURS,
    answers=NO_LIST,
)
def fhir_base_not_listed(folder: Path) -> Iterator[Site]:
    with serve([]) as server:
        clients = [{"issuer": "https://ehr.example", "fhir_bases": [UNUSED_FHIR]}]
        with site(folder, fhir=server, clients=clients) as found:
            yield found


def resolving(folder: Path, resolver: Any) -> Iterator[Site]:
    """A FHIR server with a name, and whatever becomes of the name."""
    named = FhirServer(base_url="https://fhir.example.org/r4")
    with mock.patch("socket.getaddrinfo", resolver), beside(folder, named) as found:
        found.parts.fhir._outbound = replace(found.parts.fhir._outbound, resolver=resolver)
        yield found


@fault("DNS", log="call", metric='gaps_total{cause="unreachable"}', check="fhir", answers=NO_LIST)
def name_does_not_resolve(folder: Path) -> Iterator[Site]:
    def fail(*_: object, **__: object) -> Any:
        raise OSError(-2, "Name or service not known")

    yield from resolving(folder, fail)


@fault("DNS", log="call", metric='gaps_total{cause="timeout"}', check="fhir", answers=NO_LIST)
def name_server_hangs(folder: Path) -> Iterator[Site]:
    done = threading.Event()

    def hang(*_: object, **__: object) -> Any:
        done.wait(30)
        raise OSError

    try:
        yield from resolving(folder, hang)
    finally:
        done.set()


@fault(
    "DNS",
    log="call",
    metric='gaps_total{cause="refused-host"}',
    check="",
    why="the site's DNS, and what is listed",
    answers=NO_LIST,
)
def name_leads_to_this_machine(folder: Path) -> Iterator[Site]:
    def here(*_: object, **__: object) -> Any:
        return [(2, 1, 6, "", ("169.254.169.254", 443))]

    yield from resolving(folder, here)


# --- log --------------------------------------------------------------------------------------------------------------


class Full(io.StringIO):
    """A stream whose disk is full while ``full``."""

    full = True

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(text)


def logging_to(folder: Path, stream: io.StringIO) -> Iterator[Site]:
    with mock.patch("tests.faults.site.io.StringIO", lambda: stream), site(folder) as found:
        yield found
        if isinstance(stream, Full):
            stream.full = False


@fault("log", log="log-lines-dropped", metric="log_lines_dropped_total", check="log")
def log_disk_full(folder: Path) -> Iterator[Site]:
    """The line that says how many were lost comes once there is room: the table makes room before it looks."""
    yield from logging_to(folder, Full())


# --- proxy ------------------------------------------------------------------------------------------------------------


@fault("proxy", log="call", metric="cut_connections_total", check="", why=NOT_OURS)
def body_cut_short(folder: Path) -> Iterator[Site]:
    """One call is cut; the others are answered."""
    with site(folder) as found:
        found.web.post(
            "/cds-services/naltrexone-order-sign",
            data=b'{"hook": ',
            content_type="application/json",
            environ_overrides={"CONTENT_LENGTH": "5000"},
        )
        yield found


@fault(
    "proxy",
    log="call",
    metric='shed_calls_total{reason="rate-limit"}',
    check="",
    why=NOT_OURS,
    answers={"naltrexone": UNCHECKED, "opioid": UNCHECKED, "neither": "refused"},
)
def calls_repeated_in_a_loop(folder: Path) -> Iterator[Site]:
    with site(folder, limits={"requests_per_minute": 3}) as found:
        for _ in range(4):
            found.ask("order-sign", "neither")
        yield found


@fault("proxy", log="call", metric='shed_calls_total{reason="too-large"}', check="", why=NOT_OURS)
def body_too_large(folder: Path) -> Iterator[Site]:
    with site(folder, limits={"body_bytes": 50_000}) as found:
        found.web.post(
            "/cds-services/naltrexone-order-sign",
            data=b" " * 60_000,
            content_type="application/json",
        )
        yield found


# --- memory, and our own code -----------------------------------------------------------------------------------------


def with_rule_that_raises(folder: Path, error: type[BaseException]) -> Iterator[Site]:
    def fail(*_: object) -> Any:
        raise error
        yield

    rules = tuple(
        replace(rule, judge=fail) if rule.id == "naltrexone-opioid-interaction" else rule
        for rule in RULES
    )
    with site(folder, rules=rules) as found:
        yield found


BROKEN_RULE = 'broken_rules_total{rule="naltrexone-opioid-interaction"}'
RULE_BROKE = {"naltrexone": UNCHECKED, "opioid": UNCHECKED, "neither": "right"}


@fault("our code", log="call", metric=BROKEN_RULE, check="calls", answers=RULE_BROKE)
def rule_raises(folder: Path) -> Iterator[Site]:
    yield from with_rule_that_raises(folder, ValueError)


@fault("memory", log="call", metric=BROKEN_RULE, check="calls", answers=RULE_BROKE)
def no_memory_in_a_rule(folder: Path) -> Iterator[Site]:
    yield from with_rule_that_raises(folder, MemoryError)


@fault("memory", log="call", metric="faults_total", check="calls", answers=RULE_BROKE)
def no_memory_while_reading(folder: Path) -> Iterator[Site]:
    with (
        site(folder) as found,
        mock.patch("cds_service.pipeline.read_snapshot", side_effect=MemoryError),
    ):
        yield found


@fault(
    "memory",
    log="metrics-broken",
    metric=READY.format("calls"),
    check="calls",
)
def metrics_break(folder: Path) -> Iterator[Site]:
    with (
        site(folder) as found,
        mock.patch("cds_service.web.call_metrics.gather", side_effect=MemoryError),
    ):
        yield found


@fault(
    "our code",
    log="audit-broken",
    metric=READY.format("audit"),
    check="audit",
)
def audit_event_cannot_be_made(folder: Path) -> Iterator[Site]:
    with (
        site(folder) as found,
        mock.patch("cds_service.web.call_journal.sources_of", side_effect=RuntimeError),
    ):
        yield found


@fault("memory", log="readiness-changed", metric="audit_events_dropped_total", check="audit")
def audit_queue_full(folder: Path) -> Iterator[Site]:
    with (
        site(folder) as found,
        mock.patch.object(found.parts.audit._writer, "put", return_value=False),
    ):
        yield found


@fault("settings", log="content-overlay-refused", metric=READY.format("content"), check="content")
def content_of_the_site_is_faulty(folder: Path) -> Iterator[Site]:
    def prepare(where: Path) -> None:
        (where / "cards").mkdir()
        (where / "cards" / "naltrexone-off-label.yaml").write_text("summaries: 7\n")

    with site(folder, prepare=prepare, content_overlay=str(folder / "cards")) as found:
        yield found


@fault("settings", log="content-overlay-refused", metric=READY.format("content"), check="content")
def content_of_the_site_is_not_signed(folder: Path) -> Iterator[Site]:
    def prepare(where: Path) -> None:
        (where / "cards").mkdir()
        (where / "cards" / "naltrexone-off-label.yaml").write_text("reviewed_by: Dr. Ada Example\n")

    asked = ContentReview(required=True, signatures=str(folder / "content.jws"))
    overlay = str(folder / "cards")
    with site(folder, prepare=prepare, content_overlay=overlay, content_review=asked) as found:
        yield found
