"""Which ingredients a drug holds and in which role, and what a condition means: codes first, then words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from cds_service.model import Coding, Concept, ConditionKind, Drug, Recognition
from cds_service.terminology.absence import absence
from cds_service.terminology.conditions import ConditionTable, classify, read_conditions
from cds_service.terminology.labs import LabTest, find_test, read_labs
from cds_service.terminology.recognition import recognise
from cds_service.terminology.tables import Tables, read_tables
from cds_service.terminology.tally import count
from cds_service.terminology.texts import bounded
from cds_service.terminology.words import says_ldn, split_words

__all__ = ["Terminology", "absence", "load", "says_ldn"]

_REMEMBERED = 4_096  # in front of them stands what orders say in raw words (reading)
_LONG = 500  # characters; a problem with longer texts is read anew each time, so that it cannot fill memory
_CODINGS, _LINES = 50, 60  # of one order that are looked at


@dataclass(frozen=True, slots=True, eq=False)
class Terminology:
    """The loaded tables with a bounded memory of what was asked before. Safe to share between threads."""

    tables: Tables
    conditions: ConditionTable
    labs: Mapping[str, LabTest]
    _recognised: Callable[[Drug], Recognition]
    _classified: Callable[[Concept], frozenset[ConditionKind]]

    def recognise(self, drug: Drug) -> Recognition:
        """What is in the drug; never raises, whatever the texts hold."""
        return self._recognised(_bounded(drug))

    def near(self, name: str, most: int = 5) -> tuple[str, ...]:
        """Relevant names that are spelt much like ``name``, nearest first: what a formulary entry may mean."""
        words = [word for word in split_words(name[:_LONG]) if word.isalpha()]
        found = (hit for word in words for hit in self.tables.lookalikes.list_near(word, most=most))
        return tuple(dict.fromkeys(found))[:most]

    @property
    def packs(self) -> tuple[tuple[str, str], ...]:
        """The name packs in use, each with its version."""
        return self.tables.packs

    def classify(self, concept: Concept) -> frozenset[ConditionKind]:
        """What a problem or a reason means; empty where it means nothing to the rules or cannot be told."""
        if _length(concept) > _LONG:
            return classify(concept, self.conditions)
        return self._classified(concept)

    def lab_test(self, concept: Concept) -> LabTest | None:
        """The opioid screen or liver test that a coded observation is, if it is one."""
        return find_test(concept, self.labs)

    @property
    def version(self) -> str:
        """The release of the drug tables and how much they hold."""
        tables = self.tables
        return (
            f"{tables.release}; {len(tables.products)} concepts, {len(tables.ndc)} NDC, "
            f"{sum(len(names) for names in tables.names.values())} names"
        )

    def counts(self) -> dict[str, int]:
        """How many opioid products and guards there are, and how many are recognised by code and by name."""
        return count(self.tables, self.recognise)


def _bounded(drug: Drug) -> Drug:
    """The drug with only so much of each text as is looked at, so that long texts cannot fill memory."""
    lines = drug.ingredients[:_LINES]
    concepts = (drug.concept, drug.form, drug.route, *(line.item for line in lines))
    if len(lines) == len(drug.ingredients) and all(
        _length(concept) <= _LONG for concept in concepts
    ):
        return drug
    return Drug(
        _short(drug.concept),
        tuple(replace(line, item=_short(line.item)) for line in lines),
        _short(drug.form),
        _short(drug.route),
    )


def _short(concept: Concept) -> Concept:
    codings = tuple(
        Coding(c.system[:_LONG], c.code[:_LONG], bounded(c.display))
        for c in concept.codings[:_CODINGS]
    )
    return Concept(codings, bounded(concept.text))


def _length(concept: Concept) -> int:
    size = len(concept.text)
    for coding in concept.codings:
        size += len(coding.display) + len(coding.code)
    return size


def load(directory: Path | str | None = None, packs: Path | str | None = None) -> Terminology:
    """The packaged tables, or those of ``directory`` as ``build`` writes them; ``packs`` is a folder of own name packs.

    Raises OSError, ValueError or KeyError where a table cannot be read.
    """
    directory = Path(directory) if directory else None
    tables, conditions = (
        read_tables(directory, Path(packs) if packs else None),
        read_conditions(directory),
    )
    return Terminology(
        tables,
        conditions,
        read_labs(directory),
        lru_cache(maxsize=_REMEMBERED)(lambda drug: recognise(drug, tables)),
        lru_cache(maxsize=_REMEMBERED)(lambda concept: classify(concept, conditions)),
    )
