"""Names that no table holds and that ten patients had: what a site would add. Opt-in, and for its eyes only.

A name is a piece of a chart. So until ten different patients had it, it is kept in memory only, beside keyed hashes of
these patients; then the name alone is written, without a count, a day or a patient, into a file that its owner may read.
A name that may hold more than a name (a number, an address, many words) is not even kept.
"""

from __future__ import annotations

import os
import re
import stat
import threading
import unicodedata
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path

from cds_service.journal.pseudonyms import Pseudonyms

ENOUGH_PATIENTS = 10
MOST_CANDIDATES = 2_000  # names in memory; the one not seen for longest makes room
MOST_NAMES = 1_000  # in the file
_LONGEST, _MOST_WORDS, _MOST_DIGITS = 60, 6, 3
_HASH_BYTES = 8
_STRENGTH = re.compile(
    r"(?<![\w.,])\d{1,4}(?:[.,]\d{1,4})?\s?(?:mg|mcg|\u03bcg|ug|g|ml|l|iu|ie|units?|%)(?![\w])"
    r"(?:\s?/\s?(?:\d{1,4}(?:[.,]\d{1,4})?\s?)?(?:mg|g|ml|l|h|hr|dose|tablet)(?![\w]))?"
)
_NOT_A_NAME = re.compile(
    r"[@\\<>{}\[\]|=;:#?!]|//|www\.|\b(?:mrs?|ms|dr|dob|born|mrn|nhs|ssn|tel|phone|fax|patient)\b"
)


def normalised(name: str) -> str:
    """The name as it is counted: letter case, spaces and strengths aside. "" for what may be more than a name."""
    folded = unicodedata.normalize("NFKC", name[: 4 * _LONGEST]).casefold()
    if len(name) > 4 * _LONGEST or not all(c.isprintable() or c.isspace() for c in folded):
        return ""
    words = _STRENGTH.sub(" ", folded).split()
    text = " ".join(words).strip(" ,.-/")
    if not any(map(str.isalpha, text)) or len(text) > _LONGEST or len(words) > _MOST_WORDS:
        return ""
    if sum(map(str.isnumeric, text)) > _MOST_DIGITS or _NOT_A_NAME.search(text):
        return ""
    return text


class UnknownNames:
    """The list of one worker; the file is shared by all. Safe for threads. ``fault`` is why it was not written, or ""."""

    def __init__(self, path: Path, pseudonyms: Pseudonyms) -> None:
        self._path, self._pseudonyms = path, pseudonyms
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, set[bytes]] = OrderedDict()
        self._written: set[str] = set()
        self.fault = ""

    def see(self, issuer: str, patient_id: str, names: Iterable[str]) -> None:
        """This patient has these unknown medicines; without a patient, or a key to hash with, nothing is counted."""
        patient = self._pseudonyms.patient(issuer, patient_id)
        if not patient:
            return
        with self._lock:
            for name in {normalised(name) for name in names} - {""} - self._written:
                self._count(name, bytes.fromhex(patient)[:_HASH_BYTES])

    def _count(self, name: str, patient: bytes) -> None:
        patients = self._seen.setdefault(name, set())
        self._seen.move_to_end(name)
        patients.add(patient)
        if len(patients) >= ENOUGH_PATIENTS:
            self._write(name)
        elif len(self._seen) > MOST_CANDIDATES:
            self._seen.popitem(last=False)

    def _write(self, name: str) -> None:
        """One line, appended at once, so that workers do not cut each other's; a full list takes no more."""
        try:
            self._written |= {*read_names(self._path)}
            if name not in self._written and len(self._written) < MOST_NAMES:
                _append(self._path, name)
            self.fault = ""
        except OSError as error:
            self.fault = type(error).__name__
            self._seen[name].pop()  # the next patient tries again
            return
        self._written.add(name)
        del self._seen[name]


def read_names(path: Path) -> tuple[str, ...]:
    """The names in the file, each once, in order; none where there is no file."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return ()
    return tuple(sorted({line for line in lines if line}))


def _append(path: Path, name: str) -> None:
    """Append a line for the owner's eyes only; a link or a file that others may read is narrowed or refused first."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    try:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) != 0o600:
            os.fchmod(descriptor, 0o600)
        os.write(descriptor, f"{name}\n".encode())
    finally:
        os.close(descriptor)
