"""Hooks beside a flood of launches and an EHR that does not answer: ``python -m tests.planner.flood``.

In one run: hook calls alone, hook calls beside the flood, hook calls alone again. Prints p50 and p99 of each and the
ratio of the flooded p99 to the larger undisturbed one; exit code 1 above ``--most``. A launch of a clinician from another
browser is tried during the flood and must not be refused.
"""

from __future__ import annotations

import argparse
import http.client
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from datetime import date
from pathlib import Path
from urllib.parse import urlencode

import click

from tests.bench import bodies, load
from tests.bench.servers import SERVICE, serve
from tests.e2e.oauth_server import serve_ehr


class Flood:
    """Launches without a cookie, as fast as they are answered; ``threads`` at a time."""

    def __init__(self, port: int, issuers: list[str], threads: int) -> None:
        self.answers: Counter[int] = Counter()
        self._port, self._issuers = port, issuers
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def __enter__(self) -> Flood:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(15)

    def _run(self) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            self.answers[launch(self._port, self._issuers[number % len(self._issuers)])] += 1


def launch(port: int, iss: str) -> int:
    """The status of one launch; 0 where there was no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=12)
    try:
        connection.request("GET", f"/smart/launch?{urlencode({'iss': iss, 'launch': 'x'})}")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def silent_server() -> socket.socket:
    """Takes connections and never answers."""
    return socket.create_server(("127.0.0.1", 0), backlog=512)


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--calls", type=int, default=600)
    asked.add_argument("--rate", type=float, default=40)
    asked.add_argument("--threads", type=int, default=4)
    asked.add_argument("--most", type=float, default=1.2)
    options = asked.parse_args()
    sent_bodies = bodies.calls(20, date(2026, 11, 21))

    def hooks(port: int) -> load.Sent:
        return load.send(
            port, sent_bodies, [], connections=4, calls=options.calls, rate=options.rate
        )

    with tempfile.TemporaryDirectory() as folder, serve_ehr() as ehr, silent_server() as slow:
        issuers = [ehr.iss, f"http://127.0.0.1:{slow.getsockname()[1]}/fhir"]
        with serve("flooded", SERVICE, Path(folder)) as server:
            hooks(server.port)
            rounds = {"alone": hooks(server.port)}
            with Flood(server.port, issuers, options.threads) as flood:
                time.sleep(0.5)
                rounds["flooded"] = hooks(server.port)
                clinician = launch(server.port, ehr.iss)
            rounds["alone again"] = hooks(server.port)
    for name, found in rounds.items():
        click.echo(
            f"{name:12} p50 {found.percentile(0.5):7.1f} ms  p99 {found.percentile(0.99):7.1f} ms  failed {found.failed}"
        )
    alone = max(rounds["alone"].percentile(0.99), rounds["alone again"].percentile(0.99))
    ratio = rounds["flooded"].percentile(0.99) / alone
    click.echo(
        f"launches {dict(flood.answers)}, the clinician's {clinician}; hook p99 flooded / alone = {ratio:.2f}"
    )
    return 0 if ratio <= options.most and clinician == 302 and not rounds["flooded"].failed else 1


if __name__ == "__main__":
    sys.exit(main())
