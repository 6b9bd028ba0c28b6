"""Soak the service as hospitals run it: ``python -m tests.soak --minutes 30``; exit 1 if anything is not as it should be.

Two replicas of two workers, production profile, on one real PostgreSQL behind Debian's nginx with the shipped
configuration, are called at half of what this machine gives, while one fault after the other is put in. Every answer
is compared, letter for letter but for fresh ids, with what the pipeline said of the same body in this process. Feedback
is counted against the store, the audit's chain is verified, and the memory of each worker is watched.
``--sabotage`` breaks one of these on purpose: the run must fail.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from cds_service import settings as configuration
from tests.bench.tokens import Signer
from tests.postgres import PostgresServer, new_database, server
from tests.soak import cases
from tests.soak.ehr import run_ehr
from tests.soak.faults import Fault, Schedule, faults
from tests.soak.house import House, run_house, settings_file
from tests.soak.load import Ledger, Load, capacity
from tests.soak.report import Findings, look, show
from tests.soak.verdict import Window
from tests.soak.watch import Watch

TOKEN_LIFE = 300  # seconds, as EHRs do; the service remembers a token for as long
LAST_FEEDBACK_SECONDS = 60.0
SABOTAGE = ("", "answers", "feedback", "audit")


@click.command(help=__doc__)
@click.option("--minutes", default=30.0, help="How long the load lasts.")
@click.option("--rate", default=0.0, help="Calls a second; 0 = half of what is measured first.")
@click.option("--most", default=0.0, help="Calls a second at most, for a machine that others use.")
@click.option("--audit", type=click.Choice(["best-effort", "required"]), default="best-effort")
@click.option("--vignettes", default=240, help="How many different prefetched calls.")
@click.option("--calm", is_flag=True, help="No faults: for the memory alone.")
@click.option("--logs", type=click.Path(path_type=Path), help="Where the replicas' logs are kept.")
@click.option("--sabotage", type=click.Choice(SABOTAGE), default="", help="Must make it fail.")
def main(
    minutes: float,
    rate: float,
    most: float,
    audit: str,
    vignettes: int,
    logs: Path | None,
    sabotage: str,
    *,
    calm: bool,
) -> None:
    postgres = server()
    if not isinstance(postgres, PostgresServer) or postgres.folder is None:
        raise click.ClickException("needs a PostgreSQL of its own to stop: install Debian's")
    signer, now = Signer("ES384", life=TOKEN_LIFE), datetime.now(UTC)
    with tempfile.TemporaryDirectory() as name, new_database(postgres) as database:
        folder = Path(name)
        calls, held = cases.record(now)
        with run_ehr(held, signer, folder) as ehr:
            file = settings_file(folder / "etc", ehr, audit)
            known = cases.make(
                configuration.load(str(file), {}),
                now,
                timedelta(minutes=minutes + 3),
                calls,
                ehr.base,
                vignettes,
            )
            if sabotage == "answers":
                file.write_text(f'{file.read_text()}topics_silent = ["naltrexone-off-label"]\n')
            with run_house(folder, file, postgres, database, ehr, signer) as house:
                full, before = (0, Ledger()) if rate else capacity(house.url, known, signer)
                half = rate or min(full / 2, most or full)
                planned = () if calm else faults(audit=audit)
                findings = soak(house, known, half, minutes * 60, audit, planned, before)
                findings = replace(findings, full=full)
                for replica in house.replicas:
                    replica.stop()
                found = look(house, findings, sabotage)
                _keep(house, logs)
        show(found)
    sys.exit(0 if found.ok else 1)


def _keep(house: House, logs: Path | None) -> None:
    if logs:
        logs.mkdir(parents=True, exist_ok=True)
        for replica in house.replicas:
            shutil.copy(replica.folder / "log.txt", logs / f"{replica.folder.name}.log")


def soak(
    house: House,
    known: list[cases.Case],
    rate: float,
    seconds: float,
    audit: str,
    planned: tuple[Fault, ...],
    before: Ledger,
) -> Findings:
    """The load with its faults; what it found out, before the store is looked at.

    ``before`` is of an earlier load: what it acknowledged must be kept too.
    """
    windows: list[Window] = []
    load, watch = Load(house.url, known, house.signer, windows, rate), Watch(house)
    load.ledger.sent |= before.sent
    load.ledger.acknowledged |= before.acknowledged
    schedule = Schedule(house, planned, min(12.0, seconds / 40), windows)
    watching = threading.Thread(target=watch.run, daemon=True)
    watching.start()
    load.start()
    try:
        schedule.run(time.monotonic() + seconds)
    finally:
        lasted = load.stop()
        watch.stop()
        watching.join()
    load.finish_feedback(LAST_FEEDBACK_SECONDS)
    return Findings(
        load.ledger, len(known), rate, lasted, audit, schedule.put_in, [*watch.grown(seconds / 3)]
    )


if __name__ == "__main__":
    main()
