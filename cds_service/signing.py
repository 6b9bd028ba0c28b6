"""A site's content is used where a named reviewer has signed what it changes, if the site asks for that.

What is signed is the diff of two replays (``retrospective.diff``): its hash, and the whole digests of content, terminology
and rules on both sides, as a compact JWS (RFC 7515) by Ed25519, a line each. Whatever is altered afterwards has another
digest, and the packaged content answers in its place, as for an overlay with a fault.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from cds_service import clinical
from cds_service.clinical import InForce
from cds_service.content.loader import Content
from cds_service.journal.versions import digests
from cds_service.rules import RULES, Rule
from cds_service.settings import ContentReview, Settings

PARTS = ("content", "terminology", "rules")
_ALGORITHM = "Ed25519"
_BROKEN = (JoseError, ValueError, TypeError, LookupError, AttributeError)
_MOST_BYTES = 1_000_000
_SHOWN = 12  # digits of a digest, as a version is called


class NotSignableError(Exception):
    """What was given is no diff to sign; one line."""


@dataclass(frozen=True, slots=True)
class Signed:
    """What a named reviewer has signed: the digests of a side by part."""

    reviewer: str
    signed_on: str
    diff: str
    old: Mapping[str, str]
    new: Mapping[str, str]

    def differing(self, digests: Mapping[str, str]) -> list[str]:
        """The parts that are not those that were signed."""
        return [part for part in PARTS if self.new[part] != digests[part]]


# --- when the service starts ------------------------------------------------------------------------------------------


def in_force(settings: Settings, rules: Sequence[Rule] = RULES) -> InForce:
    """The content to serve: the site's only where it is faultless and, if asked for, signed; else the packaged."""
    found = clinical.load(settings.content_overlay, rules)
    if not found.refused and (faults := complaints(settings, found.content)):
        return InForce(clinical.load_checked("", rules), tuple(faults))
    return found


def complaints(settings: Settings, content: Content) -> list[str]:
    """Why what the site brings is not signed; empty where it is, or nothing was asked for, or it brings nothing."""
    if not settings.content_review.required or not (
        settings.content_overlay or settings.terminology_dir
    ):
        return []  # fmt: skip
    try:
        here = digests(content, settings.terminology_dir)
    except OSError as error:
        return [f"content_review: the drug tables cannot be read ({type(error).__name__})"]
    found = [*signatures(settings.content_review)]
    if any(isinstance(each, Signed) and not each.differing(here) for each in found):
        return []
    state = ", ".join(f"{part} {here[part][:_SHOWN]}" for part in PARTS)
    said = [
        f"no named reviewer has signed the diff to {state}",
        *(_missing(x, here) for x in found),
    ]
    return [f"content_review: {line}" for line in said]


def signers(settings: Settings, content: Content) -> list[Signed]:
    """Whose signatures let the site's content be used."""
    here = digests(content, settings.terminology_dir)
    found = signatures(settings.content_review)
    return [each for each in found if isinstance(each, Signed) and not each.differing(here)]


def _missing(each: Signed | str, here: Mapping[str, str]) -> str:
    if isinstance(each, str):
        return each
    other = " and ".join(each.differing(here))
    return f"{each.reviewer} signed other {other} on {each.signed_on}"


def signatures(review: ContentReview) -> Iterator[Signed | str]:
    """Every line of the site's file: what a named reviewer signed, or why the line counts for nothing."""
    keys: list[tuple[str, OKPKey]] = []
    for reviewer in review.reviewers:
        try:
            keys.append((reviewer.name, public_key(reviewer.key)))
        except _BROKEN:
            yield f"reviewers: {reviewer.name} has no Ed25519 public key"
    if not review.reviewers:
        yield "reviewers: nobody is named"
    try:
        with Path(review.signatures).open("rb") as file:
            lines = file.read(_MOST_BYTES).decode(errors="replace").splitlines()
    except (OSError, ValueError) as error:
        yield f"signatures: the file cannot be read ({type(error).__name__})"
        return
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.startswith("#"):
            said = read_signature(line.strip(), keys)
            yield f"signatures, line {number}: {said}" if isinstance(said, str) else said


def read_signature(line: str, keys: Sequence[tuple[str, OKPKey]]) -> Signed | str:
    """What was signed with one of the keys, by the person whose key it is."""
    for name, key in keys:
        try:
            payload = jws.deserialize_compact(line, key, algorithms=[_ALGORITHM]).payload
            said = _statement(orjson.loads(payload))
        except _BROKEN:
            continue
        if said.reviewer != name:
            return f"says {said.reviewer!r}, signed with the key of {name}"
        if dict(said.old) == dict(said.new):
            return "compares a version with itself"
        return said
    return "no statement that a named reviewer has signed"


def _statement(said: Mapping[str, Any]) -> Signed:
    texts = [said[name] for name in ("reviewer", "signed_on", "diff")]
    sides = [{part: said[side][part] for part in PARTS} for side in ("old", "new")]
    if not all(
        isinstance(text, str) and text for text in (*texts, *sides[0].values(), *sides[1].values())
    ):
        raise ValueError("not a statement about a diff")  # fmt: skip
    return Signed(*texts, *sides)


# --- when a reviewer signs --------------------------------------------------------------------------------------------


def statement(diff: bytes, reviewer: str, day: str) -> dict[str, Any]:
    """What this reviewer says by signing ``diff.json``; raises NotSignableError for anything else."""
    try:
        found = orjson.loads(diff)
        sides = {side: {p: found[side]["digests"][p] for p in PARTS} for side in ("old", "new")}
        about = {
            "changed": bool(found["changed"]),
            "window": found["window"],
            "orders": int(found["orders"]),
        }
        said = {
            "reviewer": reviewer,
            "signed_on": day,
            "diff": hashlib.sha256(diff).hexdigest(),
            **about,
            **sides,
        }
        _statement(said)
    except _BROKEN as error:
        why = type(error).__name__
        raise NotSignableError(
            f"no diff of two versions that state their digests ({why})"
        ) from None
    if sides["old"] == sides["new"]:
        raise NotSignableError("both sides are the same content, terminology and rules")
    if not said["orders"]:
        raise NotSignableError("the diff is about no order")
    return said


def sign(said: Mapping[str, Any], key: OKPKey) -> str:
    """The statement as a line of the signature file."""
    header = {"alg": _ALGORITHM, "kid": key.thumbprint()}
    return jws.serialize_compact(header, orjson.dumps(said), key, algorithms=[_ALGORITHM])


def new_key() -> OKPKey:
    return OKPKey.generate_key("Ed25519")


def private_key(file: Path) -> OKPKey:
    """A reviewer's own key; raises NotSignableError where the file holds none."""
    try:
        key = OKPKey.import_key(orjson.loads(file.read_bytes()))
        if key.curve_name == "Ed25519" and key.is_private:
            return key
    except (*_BROKEN, OSError) as error:
        raise NotSignableError(f"{file.name}: no Ed25519 private key ({type(error).__name__})") from None  # fmt: skip
    raise NotSignableError(f"{file.name}: no Ed25519 private key")


def public_key(text: str) -> OKPKey:
    """The key that ``sign key`` printed; raises one of joserfc's errors or ValueError for anything else."""
    key = OKPKey.import_key({"kty": "OKP", "crv": "Ed25519", "x": text})
    key.public_key.public_bytes_raw()
    return key
