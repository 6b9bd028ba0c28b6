"""An image without a container builder: the steps of a Containerfile done in copies of an empty root, and the result run.

A RUN is a shell of root's by chroot, in namespaces of its own. The image is run as its definition says: as its user, on a
root that cannot be written, with its volumes as empty folders of that user, as process 1.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from tests.conftest import ROOT, free_port
from tests.operations import containerfile
from tests.operations.containerfile import Config, Stage, Step
from tests.operations.proxy import wait_until_ready

DEBIAN = "bookworm"
PACKAGES = "python3,python3-venv,ca-certificates"
START_SECONDS = 120.0
NOTHING: Mapping[str, Path] = {}
STOP_SECONDS = 30
# In namespaces of its own: what is mounted goes away with the process, which is number 1 there.
_BUILDING = """mount -t proc proc "$IMAGE/proc"
mount --rbind /dev "$IMAGE/dev"
for each in /etc/ssl/certs /etc/resolv.conf; do mount --bind "$each" "$IMAGE$each"; done"""
_RUNNING = """mount --bind "$IMAGE" "$IMAGE"
mount -o remount,bind,ro "$IMAGE"
mount -t proc proc "$IMAGE/proc"
mount --rbind /dev "$IMAGE/dev"
mount -t tmpfs -o mode=1777 tmpfs "$IMAGE/tmp"
for each in $BINDS; do mount --bind -o ro "${each%%:*}" "$IMAGE${each#*:}"; done
for each in $VOLUMES; do
    mount -t tmpfs -o "$(stat -c uid=%u,gid=%g,mode=%a "$IMAGE$each")" tmpfs "$IMAGE$each"
done"""
_ENTER = 'exec chroot $USERSPEC "$IMAGE" /usr/bin/env -i -C "$WORKDIR" "$@"'


@dataclass(frozen=True, slots=True)
class Image:
    """A root folder and what it says about itself."""

    root: Path
    config: Config

    def command(self, mounts: str, env: Mapping[str, str], words: Sequence[str]) -> list[str]:
        """Run these words in the image with these mounts."""
        pairs = [f"{name}={value}" for name, value in {**self.config.env, **env}.items()]
        shell = ["sh", "-c", f"set -e\n{mounts}\n{_ENTER}", "sh", *pairs, *words]
        return ["unshare", "--mount", "--pid", "--fork", *shell]

    def surroundings(self, user: str = "", binds: Mapping[str, Path] = NOTHING) -> dict[str, str]:
        """What the script of ``command`` is told; ``user`` "" is root. ``binds`` are mounted to be read."""
        for place in binds:
            (self.root / place.lstrip("/")).mkdir(parents=True, exist_ok=True)
        return {
            **os.environ,
            "IMAGE": str(self.root),
            "WORKDIR": self.config.workdir,
            "BINDS": " ".join(f"{folder}:{place}" for place, folder in binds.items()),
            "VOLUMES": " ".join(self.config.volumes),
            "USERSPEC": f"--userspec={user} --groups=" if user else "",
        }


def make_base(folder: Path) -> Path:
    """Debian's minimal root with a Python where the base image has it."""
    root = folder / "base"
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", DEBIAN, str(root)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return root


def build(text: str, base: Path, folder: Path) -> Image:
    """Every stage in turn; the last one is the image."""
    built: dict[str, Image] = {}
    for number, stage in enumerate(containerfile.read(text)):
        root = folder / f"stage-{number}"
        subprocess.run(["cp", "-a", "--reflink=auto", str(base), str(root)], check=True)
        with contextlib.suppress(FileExistsError):
            (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
        image = Image(root, Config(env={"PATH": "/usr/local/bin:/usr/bin:/bin"}))
        built[stage.name] = image
        _build_stage(stage, image, built)
    return image


def _build_stage(stage: Stage, image: Image, built: Mapping[str, Image]) -> None:
    for step in stage.steps:
        click.echo(f"{step.word} {step.rest}")
        if step.word == "COPY":
            _copy(step, image, built)
        elif step.word == "RUN":
            _run(step, image)
        else:
            image.config.heed(step)
            if step.word == "WORKDIR":
                (image.root / step.rest.lstrip("/")).mkdir(parents=True, exist_ok=True)


def _run(step: Step, image: Image) -> None:
    """As a builder does: a shell of root's, with the network; what this machine's pip is told is passed on."""
    pip = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("PIP_") and name != "PIP_FIND_LINKS"
    }
    (image.root / "etc/resolv.conf").touch()
    command = image.command(_BUILDING, pip, ["/bin/sh", "-c", step.rest])
    subprocess.run(command, check=True, env=image.surroundings())


def _copy(step: Step, image: Image, built: Mapping[str, Image]) -> None:
    words = step.words()
    source = words.pop(0).removeprefix("--from=") if words[0].startswith("--from=") else ""
    *names, target = words
    place = image.root / os.path.join(image.config.workdir, target).lstrip("/")  # noqa: PTH118
    for name in names:
        if source:
            shutil.copytree(built[source].root / name.lstrip("/"), place, symlinks=True)
        else:
            _copy_from_clone(name, place, into=target.endswith("/"))


def _copy_from_clone(name: str, place: Path, *, into: bool) -> None:
    """Only what git has: a build starts from a fresh clone."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", name], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    files = [Path(each) for each in listed.split("\0") if each]
    if not files:
        raise FileNotFoundError(name)
    for file in files:
        to = place / (file.name if into else file.relative_to(name))
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / file, to)


@dataclass(frozen=True, slots=True)
class Container:
    """A running image; ``pid`` is the process that is number 1 in it."""

    url: str
    pid: int
    log: Path

    def errors(self) -> list[str]:
        """What it has logged as an error so far."""
        return [line for line in self.log.read_text().splitlines() if '"level":"error"' in line]

    def status(self) -> dict[str, str]:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def once(
    image: Image, env: Mapping[str, str], *words: str, binds: Mapping[str, Path] = NOTHING
) -> str:
    """Run one command in the image as its user on a root that cannot be written; what it prints."""
    done = subprocess.run(
        image.command(_RUNNING, env, words),
        env=image.surroundings(image.config.user, binds),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


@contextlib.contextmanager
def running(
    image: Image, arguments: Sequence[str] = (), binds: Mapping[str, Path] = NOTHING, **env: str
) -> Iterator[Container]:
    """The image with these arguments (or its own) until the block ends, then SIGTERM, which must end it well."""
    port = free_port()
    given = {"NALTREXONE_CDS_PORT": str(port), **env}
    words = [*image.config.entrypoint, *(arguments or image.config.cmd)]
    log = image.root.with_name(f"log-{port}.txt")
    with log.open("wb") as file:
        process = subprocess.Popen(
            image.command(_RUNNING, given, words),
            env=image.surroundings(image.config.user, binds),
            stdout=file,
            stderr=file,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(url, seconds=START_SECONDS)
        (pid,) = children(process.pid)
        yield Container(url, pid, log)
        os.kill(pid, signal.SIGTERM)
        if code := process.wait(STOP_SECONDS):
            raise RuntimeError(f"SIGTERM ended it with status {code}")
    finally:
        # with its first process its whole namespace ends
        for pid in children(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.kill()
        process.wait()


def children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
