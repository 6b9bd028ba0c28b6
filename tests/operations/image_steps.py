"""Do the steps of deploy/Containerfile in an empty root where no container builder runs.

``python -m tests.operations.image_steps`` reads them from there, so that the two cannot differ. The root is Debian's
minimal one by debootstrap, with Debian's Python in place of the base image's. Then the image is run with SQLite, and with
a real PostgreSQL where this machine has one, and asked what an orchestrator and an EHR ask.
Needs root, debootstrap and the package index; nothing outside a temporary folder is written.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click
import requests
import yaml
from cryptography.fernet import Fernet

from tests.bench import bodies
from tests.bench.tokens import Signer
from tests.conftest import ROOT, free_port
from tests.operations.image import Container, Image, build, make_base, once, running
from tests.operations.test_deploy import manifests
from tests.postgres import PostgresServer, new_database, server

HOOK = "/cds-services/naltrexone-order-select"
PROBES = {"/livez": "", "/startupz": "", "/metrics": "naltrexone_cds_"}
NEEDED = ("debootstrap", "unshare", "chroot")
DEPLOY = ROOT / "deploy"
DATABASE, HEALTH_PORT = "NALTREXONE_CDS_DATABASE_URL", "NALTREXONE_CDS_HEALTH_PORT"
METRICS = {"NALTREXONE_CDS_METRICS": "on"}


ETC, SECRETS = "/etc/naltrexone-cds", "/run/secrets/naltrexone-cds"


@dataclass(frozen=True, slots=True)
class Site:
    """What a site brings to the image."""

    settings: Path
    secrets: Path
    signer: Signer


@click.command(help=__doc__)
@click.option(
    "--base",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A root that debootstrap has made already.",
)
def main(base: Path | None) -> None:
    if missing := [name for name in NEEDED if not shutil.which(name)]:
        raise click.ClickException(f"needs {', '.join(missing)}")
    with tempfile.TemporaryDirectory() as name:
        begun, folder = time.monotonic(), Path(name)
        image = build(
            (DEPLOY / "Containerfile").read_text("utf-8"), base or make_base(folder), folder
        )
        click.echo(f"built in {time.monotonic() - begun:.0f} s; {size(image):.0f} MB of ours")
        look(image)
        in_a_cluster(image, folder / "sqlite")
        click.echo("as in the cluster, SQLite: ok")
        with database() as url:
            if url:
                in_a_cluster(image, folder / "postgres", **{DATABASE: url})
                as_composed(image, folder / "compose", **{DATABASE: url})
            click.echo(
                "PostgreSQL, and as composed: " + ("ok" if url else "left out, none is here")
            )


def look(image: Image) -> None:
    """What holds of the image before anything runs in it."""
    said = once(image, {}, "naltrexone-cds", "--version")
    expect(
        "the label names the version",
        image.config.labels["org.opencontainers.image.version"] in said,
    )
    user, _, group = image.config.user.partition(":")
    own = [*_found(image, "-uid", user), *_found(image, "-gid", group)]
    expect("its user owns its volumes only", {*own} == {*image.config.volumes})
    open_to_all = _found(image, "-type", "f,d", "-perm", "-o+w", "-not", "-perm", "-1000")
    expect(f"nothing is open to all: {open_to_all[:3]}", not open_to_all)


def _found(image: Image, *tests: str) -> list[str]:
    done = subprocess.run(
        ["find", str(image.root), "-xdev", *tests], capture_output=True, text=True, check=True
    )
    return [line.removeprefix(str(image.root)) for line in done.stdout.splitlines()]


def in_a_cluster(image: Image, folder: Path, **env: str) -> None:
    """With the settings and arguments of the manifests, migrated first as their job does; called by its EHR."""
    site = write_site(folder)
    binds = {ETC: site.settings.parent, SECRETS: site.secrets}
    for kind in ("Job", "Deployment"):
        pod = next(m for m in manifests() if m["kind"] == kind)["spec"]["template"]["spec"]
        arguments = pod["containers"][0]["args"]
        if kind == "Job":
            click.echo(
                "  " + once(image, env, *image.config.entrypoint, *arguments, binds=binds).strip()
            )
            continue
        port = free_port()
        with running(
            image, arguments, binds, **{HEALTH_PORT: str(port)}, **METRICS, **env
        ) as container:
            confined(container)
            probe(image, port)
            call(container.url, site.signer)
            expect(f"no error is logged {container.errors()[:1]}", not container.errors())


def as_composed(image: Image, folder: Path, **env: str) -> None:
    """With the settings of compose: the pages are for anybody on the machine, the hooks for those with a token."""
    folder.mkdir()
    shutil.copy(DEPLOY / "compose.toml", folder / "settings.toml")
    arguments, port = ["serve", "--settings", f"{ETC}/settings.toml"], free_port()
    with running(image, arguments, {ETC: folder}, **{HEALTH_PORT: str(port)}, **env) as container:
        probe(image, port, ready="")  # the sandbox's key may be out of reach
        page, hook = (
            requests.request(m, container.url + p, timeout=10)
            for m, p in (("GET", "/"), ("POST", HOOK))
        )
        expect(
            "the page is shown, the hook is not open",
            (page.status_code, hook.status_code) == (200, 401),
        )


def write_site(folder: Path) -> Site:
    """The manifests' ConfigMap and secret, but for the EHR's keys: those are in a file, as no EHR is here."""
    etc, secrets = folder / "etc", folder / "secrets"
    etc.mkdir(parents=True)
    secrets.mkdir()
    given = (DEPLOY / "kubernetes" / "settings.toml").read_text("utf-8")
    settings = tomllib.loads(given)
    client = settings["clients"][0]
    signer = Signer("ES384", 300, settings["public_base_url"], client["issuer"])
    (secrets / "jwks.json").write_text(json.dumps({"keys": [signer.jwk]}))
    for name in ("audit.key", "session.key"):
        (secrets / name).write_text(secret(name))
    file = etc / "settings.toml"
    file.write_text(
        given.replace(f'jwks_url = "{client["jwks_url"]}"', f'jwks_file = "{SECRETS}/jwks.json"')
    )
    return Site(file, secrets, signer)


def secret(name: str) -> str:
    return "k" * 40 if name == "audit.key" else Fernet.generate_key().decode()


def probe(image: Image, port: int, ready: str = '"ready"') -> None:
    for path, word in {**PROBES, "/readyz": ready}.items():
        answer = requests.get(f"http://127.0.0.1:{port}{path}", timeout=10)
        expect(f"{path}: {answer.status_code}", answer.status_code == 200 and word in answer.text)
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    _, *words = compose["services"]["service"]["healthcheck"]["test"]
    once(image, {}, *(word.replace(":8001/", f":{port}/") for word in words))


def call(url: str, signer: Signer) -> None:
    body = bodies.calls(20, datetime.now(UTC).date(), number=1)[0]
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {signer.token(HOOK)}"}
    answer = requests.post(url + HOOK, data=body, headers=headers, timeout=10)
    indicators = [card["indicator"] for card in answer.json().get("cards", [])]
    expect(
        f"naltrexone beside oxycodone: {answer.status_code} {indicators}", "critical" in indicators
    )


def confined(container: Container) -> None:
    status = container.status()
    expect("it is process 1", status["NSpid"].split()[-1] == "1")
    expect("it is nobody", {*status["Uid"].split(), *status["Gid"].split()} == {"10001"})
    expect("it has no capability", int(status["CapEff"], 16) == 0)
    mounts = Path(f"/proc/{container.pid}/mountinfo").read_text().splitlines()
    root = [line.split()[5].split(",") for line in mounts if line.split()[4] == "/"]
    expect("its root cannot be written", "ro" in root[-1])


def expect(what: str, holds: object) -> None:
    if not holds:
        raise click.ClickException(f"not so: {what}")
    click.echo(f"  {what}")


def size(image: Image) -> float:
    """MB that the image adds to its base."""
    place = image.root / "opt"
    return sum(file.lstat().st_size for file in place.rglob("*")) / 1e6


@contextmanager
def database() -> Iterator[str]:
    """An empty PostgreSQL database's URL, or "" where there is no server."""
    found = server()
    if not isinstance(found, PostgresServer):
        yield ""
        return
    with new_database(found) as url:
        yield url


if __name__ == "__main__":
    main()
