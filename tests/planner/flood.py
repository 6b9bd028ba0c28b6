"""Hooks beside a flood of launches and EHRs that do not answer: ``python -m tests.planner.flood``.

In one run, in turn: hook calls beside a flood that goes to a server that is not ours (``quiet``: the sender takes the same
share of the machine), beside the same flood at the service, and so on; ``--rounds`` floods between one more quiet rounds.
Prints p50 and p99 of each, CPU time of the service per round, and the median of the ratios of a flooded p99 to the mean of
the quiet ones around it; exit code 1 above ``--most``. Clinicians at two addresses, the flood's own and another, launch
during each flood, follow redirects as a browser does and must reach the sign-in.
"""

from __future__ import annotations

import argparse
import http.client
import os
import socket
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from statistics import mean, median
from urllib.parse import urlencode, urljoin, urlsplit

import click

from tests.bench import bodies, load
from tests.bench.servers import SERVICE, Server, serve
from tests.e2e.oauth_server import serve_ehr
from tests.planner.launches import Flood, Sending, sink

REDIRECTS = 3


def launch(port: int, iss: str, address: str) -> str:
    """Where a clinician's launch ends: "signed in at" host and port, or the status; "" where there was no answer."""
    target = f"http://127.0.0.1:{port}/smart/launch?{urlencode({'iss': iss, 'launch': 'x'})}"
    for _ in range(REDIRECTS):
        url = urlsplit(target)
        connection = http.client.HTTPConnection(
            "127.0.0.1", port, timeout=12, source_address=(address, 0)
        )
        try:
            connection.request("GET", f"{url.path}?{url.query}")
            answer = connection.getresponse()
        except OSError:
            return ""
        finally:
            connection.close()
        if answer.status != 302:
            return str(answer.status)
        target = urljoin(target, answer.getheader("Location", ""))
        if urlsplit(target).port != port:
            return "signed in"
    return "redirects"


def silent_server() -> socket.socket:
    """Takes connections and never answers."""
    return socket.create_server(("127.0.0.1", 0), backlog=2_048)


@dataclass(frozen=True, slots=True)
class Round:
    """Hook calls beside a flood; ``cpu`` is what the service used meanwhile, in seconds."""

    hooks: load.Sent
    launches: Counter[str]
    clinicians: tuple[str, ...]
    cpu: float

    @property
    def p99(self) -> float:
        return self.hooks.percentile(0.99)

    def say(self, name: str) -> None:
        click.echo(
            f"{name:8} p50 {self.hooks.percentile(0.5):7.1f} ms  p99 {self.p99:7.1f} ms  failed {self.hooks.failed}"
            f"  CPU {self.cpu:5.2f} s  launches {dict(sorted(self.launches.items()))} {' '.join(self.clinicians)}"
        )


def beside(
    server: Server, flood: Flood, folder: Path, options: argparse.Namespace, iss: str = ""
) -> Round:
    """One round; with ``iss``, clinicians launch there too."""
    sent_bodies = bodies.calls(20, date(2026, 11, 21))
    before = server.cpu()
    with ThreadPoolExecutor(1) as pool:
        sending = Sending(flood, folder)
        hooks = pool.submit(
            load.send,
            server.port,
            sent_bodies,
            [],
            connections=4,
            calls=options.calls,
            rate=options.rate,
        )
        addresses = (flood.addresses[0], "127.0.1.1") if iss else ()
        clinicians = tuple(launch(server.port, iss, address) for address in addresses)
        sent = hooks.result(600)
        used = server.cpu() - before
        return Round(sent, sending.counts(), clinicians, used)


def ratios(quiet: list[Round], flooded: list[Round]) -> list[float]:
    """Each flooded round against the quiet ones before and after it."""
    return [
        one.p99 / mean((before.p99, after.p99))
        for one, before, after in zip(flooded, quiet, quiet[1:], strict=False)
    ]


def pooled(rounds: list[Round]) -> float:
    """The p99 of all calls of these rounds together, in milliseconds."""
    every = tuple(sorted(second for one in rounds for second in one.hooks.latencies))
    return load.Sent(len(every), 0, 0, every).percentile(0.99)


def run(options: argparse.Namespace) -> tuple[list[Round], list[Round]]:
    """Quiet rounds, one more than flooded ones, and the flooded ones."""
    quiet: list[Round] = []
    flooded: list[Round] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ehr, slow = stack.enter_context(serve_ehr()), stack.enter_context(silent_server())
        port = slow.getsockname()[1]
        slow_issuers = [f"http://127.0.0.1:{port}/{n}/fhir" for n in range(options.slow)]
        issuers = [iss for each in slow_issuers for iss in (ehr.iss, each)]
        server = stack.enter_context(serve("flooded", SERVICE, folder))
        flood = Flood(
            server.port,
            tuple(issuers),
            options.launches,
            options.calls / options.rate,
            tuple(f"127.0.0.{n + 2}" for n in range(options.addresses)),
        )
        elsewhere = replace(flood, port=stack.enter_context(sink()))
        beside(server, elsewhere, folder, options).say("warm-up")
        for number in range(options.rounds + 1):
            if number:
                flooded.append(beside(server, flood, folder, options, ehr.iss))
                flooded[-1].say("flooded")
            quiet.append(beside(server, elsewhere, folder, options))
            quiet[-1].say("quiet")
    return quiet, flooded


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--calls", type=int, default=600, help="hook calls of a round")
    asked.add_argument("--rate", type=float, default=40, help="hook calls a second")
    asked.add_argument("--launches", type=float, default=400, help="launches a second")
    asked.add_argument("--slow", type=int, default=400, help="EHRs that never answer")
    asked.add_argument("--addresses", type=int, default=1, help="that the flood comes from")
    asked.add_argument("--rounds", type=int, default=5)
    asked.add_argument("--most", type=float, default=1.2)
    options = asked.parse_args()
    quiet, flooded = run(options)
    found = ratios(quiet, flooded)
    reached = {place for one in flooded for place in one.clinicians}
    click.echo(f"load of the machine in the last minute {os.getloadavg()[0]:.1f}")
    click.echo(
        f"hook p99 flooded / quiet, by round: {' '.join(f'{ratio:.2f}' for ratio in found)}; "
        f"median {median(found):.2f}; median p99 {median(r.p99 for r in flooded):.1f} / "
        f"{median(r.p99 for r in quiet):.1f} ms, of all calls {pooled(flooded):.1f} / {pooled(quiet):.1f} ms; "
        f"clinicians {sorted(reached)}"
    )
    is_fine = median(found) <= options.most and reached == {"signed in"}
    return 0 if is_fine and not any(r.hooks.failed for r in flooded) else 1


if __name__ == "__main__":
    sys.exit(main())
