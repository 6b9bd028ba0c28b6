"""The shipped nginx configuration before two production replicas on one database, all on loopback."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import pytest
import requests

from tests.conftest import ROOT, free_port
from tests.security.ehr import client, write_settings

SHIPPED = ROOT / "deploy" / "nginx" / "naltrexone-cds.conf"
# nginx wants folders of its own for its pid and for bodies above 16 kB. The workers of a root's
# nginx would be nobody, who may not write there.
_USER = "user root; " if os.geteuid() == 0 else ""
_MAIN = """{user}daemon off; master_process on; pid {folder}/nginx.pid; error_log {folder}/error.log warn;
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


def nginx() -> str:
    """The program, or a skip that says why there is none (a failure with CI_STRICT=1)."""
    found = shutil.which("nginx") or ("/usr/sbin/nginx" if Path("/usr/sbin/nginx").exists() else "")
    if not found:
        if os.environ.get("CI_STRICT") == "1":
            pytest.fail("no nginx: install Debian's nginx-light")
        pytest.skip("no nginx: install Debian's nginx-light")
    return found


def for_loopback(shipped: str, port: int, replicas: list[int]) -> str:
    """The shipped file without TLS, with our ports; everything else stays as it is."""
    text = re.sub(r"^\s*(ssl_\w+|http2) .*$", "", shipped, flags=re.MULTILINE)
    text = text.replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")
    for number, replica in enumerate(replicas, 1):
        text = text.replace(f"server replica-{number}:8000", f"server 127.0.0.1:{replica}")
    return text


class Replica:
    """One server process of its own folder and port, that can be stopped, killed and started again."""

    command: tuple[str, ...] = ("-m", "tests.serving")  # with a clock that stands still

    def __init__(self, folder: Path, settings: Path, database: str) -> None:
        self.port = free_port()
        self.folder = folder
        folder.mkdir()
        self._env = {
            **os.environ,
            "NALTREXONE_CDS_SETTINGS": str(settings),
            "NALTREXONE_CDS_PORT": str(self.port),
            "NALTREXONE_CDS_DATA_DIR": str(folder),
            "NALTREXONE_CDS_DATABASE_URL": database,
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The server's first process, the parent of its workers."""
        return self._process.pid if self._process is not None else 0

    def set(self, **settings: str | None) -> None:
        """Settings of the next start; None takes one back."""
        for name, value in settings.items():
            variable = f"NALTREXONE_CDS_{name.upper()}"
            self._env.pop(variable, None)
            if value is not None:
                self._env[variable] = value

    @contextlib.contextmanager
    def output(self) -> Iterator[IO[bytes]]:
        """Where the next start writes its log."""
        with (self.folder / "log.txt").open("ab") as log:
            yield log

    def start(self) -> None:
        with self.output() as log:
            self._process = subprocess.Popen(
                [sys.executable, *self.command],
                cwd=ROOT,
                env=self._env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        wait_until_ready(self.url)

    def stop(self) -> None:
        """As a rolling restart does: SIGTERM, and time to finish what runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(timeout=30)

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(timeout=10)


@contextlib.contextmanager
def two_replicas(folder: Path, database: str) -> Iterator[tuple[str, list[Replica]]]:
    """The proxy's URL and the replicas behind it."""
    settings = write_settings(folder / "etc", client(folder / "etc"), trusted_proxy=True)
    replicas = [Replica(folder / f"replica-{number}", settings, database) for number in (1, 2)]
    with behind_proxy(folder, replicas) as url:
        yield url, replicas


@contextlib.contextmanager
def behind_proxy(folder: Path, replicas: Sequence[Replica]) -> Iterator[str]:
    """The URL of the shipped proxy before these replicas, which are started, and killed at the end."""
    program = nginx()
    port = free_port()
    (folder / "site.conf").write_text(
        for_loopback(SHIPPED.read_text("utf-8"), port, [r.port for r in replicas])
    )
    (folder / "nginx.conf").write_text(_MAIN.format(folder=folder, user=_USER))
    subprocess.run(
        [program, "-t", "-q", "-p", str(folder), "-c", str(folder / "nginx.conf")],
        check=True,
        capture_output=True,
        timeout=20,
    )
    proxy: subprocess.Popen[bytes] | None = None
    try:
        for replica in replicas:
            replica.start()
        proxy = subprocess.Popen(
            [program, "-p", str(folder), "-c", str(folder / "nginx.conf")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until_ready(f"http://127.0.0.1:{port}", "/cds-services")
        yield f"http://127.0.0.1:{port}"
    finally:
        if proxy is not None:
            proxy.terminate()
            proxy.wait(timeout=10)
        for replica in replicas:
            replica.kill()


def wait_until_ready(url: str, path: str = "/readyz", seconds: float = 40) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(requests.RequestException):
            if requests.get(url + path, timeout=2).status_code == 200:
                return
        time.sleep(0.1)
    raise RuntimeError(f"not ready: {url}{path}")
