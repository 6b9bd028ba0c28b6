"""Which ingredients a drug holds and in which role, and what a condition means: codes first, then words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cds_service.model import Concept, ConditionKind, Drug, Recognition
from cds_service.terminology.conditions import ConditionTable, classify, read_conditions
from cds_service.terminology.labs import LabTest, find_test, read_labs
from cds_service.terminology.recognition import recognise
from cds_service.terminology.tables import Tables, read_tables
from cds_service.terminology.tally import count
from cds_service.terminology.words import says_ldn

__all__ = ["Terminology", "load", "says_ldn"]

_REMEMBERED = 20_000
_LONG = 500                # characters; longer texts are read anew each time, so that they cannot fill memory


@dataclass(frozen=True, slots=True)
class Terminology:
    """The loaded tables with a bounded memory of what was asked before. Safe to share between threads."""

    tables: Tables
    conditions: ConditionTable
    labs: Mapping[str, LabTest]
    _recognised: Callable[[Drug], Recognition]
    _classified: Callable[[Concept], frozenset[ConditionKind]]

    def recognise(self, drug: Drug) -> Recognition:
        """What is in the drug; never raises, whatever the texts hold."""
        if _length(drug.concept) + sum(_length(line.item) for line in drug.ingredients) > _LONG:
            return recognise(drug, self.tables)
        return self._recognised(drug)

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
        return (f"{tables.release}; {len(tables.products)} concepts, {len(tables.ndc)} NDC, "
                f"{sum(len(names) for names in tables.names.values())} names")

    def counts(self) -> dict[str, int]:
        """How many opioid products and guards there are, and how many are recognised by code and by name."""
        return count(self.tables, self.recognise)


def _length(concept: Concept) -> int:
    size = len(concept.text)
    for coding in concept.codings:
        size += len(coding.display) + len(coding.code)
    return size


def load(directory: Path | str | None = None) -> Terminology:
    """The packaged tables, or those of ``directory`` as ``build`` writes them.

    Raises OSError, ValueError or KeyError where a table cannot be read.
    """
    directory = Path(directory) if directory else None
    tables, conditions = read_tables(directory), read_conditions(directory)
    return Terminology(
        tables, conditions, read_labs(directory),
        lru_cache(maxsize=_REMEMBERED)(lambda drug: recognise(drug, tables)),
        lru_cache(maxsize=_REMEMBERED)(lambda concept: classify(concept, conditions)))
