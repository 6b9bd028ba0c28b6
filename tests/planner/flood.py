"""Hooks beside a flood of launches and an EHR that does not answer: ``python -m tests.planner.flood``.

In one run, in turn: hook calls alone, beside the flood, alone again, and so on; ``--rounds`` floods between one more quiet
rounds. Prints p50 and p99 of each, and the ratio of the median flooded p99 to the median quiet one; exit code 1 above
``--most``. A launch of a clinician from another browser is tried during each flood and must not be refused.
"""

from __future__ import annotations

import argparse
import http.client
import os
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from datetime import date
from pathlib import Path
from statistics import median
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
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--most", type=float, default=1.2)
    options = asked.parse_args()
    sent_bodies = bodies.calls(20, date(2026, 11, 21))
    quiet: list[load.Sent] = []
    flooded: list[load.Sent] = []
    clinicians: list[int] = []
    answers: Counter[int] = Counter()

    def hooks(port: int, name: str, found: list[load.Sent]) -> None:
        sent = load.send(
            port, sent_bodies, [], connections=4, calls=options.calls, rate=options.rate
        )
        p50, p99 = sent.percentile(0.5), sent.percentile(0.99)
        click.echo(f"{name:8} p50 {p50:7.1f} ms  p99 {p99:7.1f} ms  failed {sent.failed}")
        found.append(sent)

    with tempfile.TemporaryDirectory() as folder, serve_ehr() as ehr, silent_server() as slow:
        issuers = [ehr.iss, f"http://127.0.0.1:{slow.getsockname()[1]}/fhir"]
        with serve("flooded", SERVICE, Path(folder)) as server:
            hooks(server.port, "warm-up", [])
            hooks(server.port, "quiet", quiet)
            for _ in range(options.rounds):
                with Flood(server.port, issuers, options.threads) as flood:
                    time.sleep(0.5)
                    hooks(server.port, "flooded", flooded)
                    clinicians.append(launch(server.port, ehr.iss))
                answers += flood.answers
                hooks(server.port, "quiet", quiet)
    alone, beside = (median(s.percentile(0.99) for s in found) for found in (quiet, flooded))
    click.echo(f"load of the machine in the last minute {os.getloadavg()[0]:.1f}")
    click.echo(
        f"launches {dict(answers)}, the clinician's {clinicians}; median hook p99 flooded {beside:.1f} ms"
        f" / quiet {alone:.1f} ms = {beside / alone:.2f}"
    )
    is_fine = beside / alone <= options.most and set(clinicians) == {302}
    return 0 if is_fine and not any(s.failed for s in flooded) else 1


if __name__ == "__main__":
    sys.exit(main())
