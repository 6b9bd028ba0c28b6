"""A number is written once: moved in the content, it moves on every page, in every draft and at every boundary."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from cds_service.content.contract import printable
from cds_service.content.schedules import complaints as content_complaints
from cds_service.content.words import numbers, parts, placeholders
from cds_service.fhir.write_plan import DraftRefusedError
from cds_service.planner.gate import Answers, Mark, check
from cds_service.titration.plan import complaints, draw, propose
from cds_service.titration.schedules import Schedules
from tests.e2e.smart_site import FIBROMYALGIA, PATIENT, order
from tests.planner.pages import SHIPPED, TODAY, Planner, moved, start_low_of
from tests.vignettes.builder import INTERACTION

PRINTED = printable(SHIPPED)
ASKED_AGAIN = {"drawn": "-"}  # another schedule was picked: its own numbers are proposed


def picked(schedule: str, **fields: Any) -> dict[str, Any]:
    return {**ASKED_AGAIN, "schedule": schedule, **fields}


def minor(age: int) -> dict[str, Any]:
    return {**PATIENT, "birthDate": TODAY.replace(year=TODAY.year - age).isoformat()}


SCENES: tuple[tuple[tuple[Mapping[str, Any], ...], dict[str, Any] | None], ...] = (
    ((FIBROMYALGIA,), None),
    ((FIBROMYALGIA,), picked("A")),
    ((FIBROMYALGIA, minor(16)), {"start_on": "2030-01-01", "maximum_mg": "4.6"}),
    ((FIBROMYALGIA,), {"maximum_mg": "4.7", "reason_above": "asked for"}),
)


@functools.cache
def shown(path: str = "", value: Any = None) -> str:
    """All that is said in every scene, with one number moved."""
    content = moved(path, value) if path else SHIPPED
    return " ".join(Planner(content, *scene).said() for scene in SCENES)


# --- numbers that words print -----------------------------------------------------------------------------------------


def printing() -> Iterator[tuple[str, str]]:
    """(key, number) for every number that planner words print."""
    for page in SHIPPED.pages.values():
        for key, text in page.words.items():
            yield from ((key, name) for name in sorted(placeholders(text) & PRINTED))


def path_of(printed: str) -> str:
    return printed.replace("oral_hold_hours", "oral_hold_days")


def value_at(path: str) -> Any:
    found: Any = SHIPPED.thresholds(TODAY)
    for part in path.split("."):
        found = found[part]
    return found


def another(path: str) -> float:
    """Another value that leaves the content whole."""
    value = value_at(path)
    if path == "ldn_usual_max_mg":
        return 4.6
    return value + 1 if isinstance(value, int) else round(value - 0.1, 2)


def sentence(key: str, in_force: Mapping[str, str]) -> re.Pattern[str]:
    """What a page shows of these words: the numbers as they are, the facts as they may be."""
    text = next(page.words[key] for page in SHIPPED.pages.values() if key in page.words)
    found = "".join(
        re.escape(words.replace("**", ""))
        + (
            ""
            if not name
            else rf"\s?{re.escape(in_force[name])}\s?"
            if name in PRINTED
            else ".{1,200}?"
        )
        for words, name in parts(text)
    )
    return re.compile(rf"(?<![\w.]){found}(?![\w])".replace(r"\ ", r"\s?"))


PRINTING = [*printing()]


def test_there_are_many_numbers_in_the_words() -> None:
    """Of schedules, of plans and of the rules: or the test below says nothing."""
    assert len(PRINTING) > 50
    assert {"schedules", "titration", "short_acting_days", "adult_age"} <= {
        name.split(".")[0] for _, name in PRINTING
    }


@pytest.mark.parametrize(("key", "name"), PRINTING)
def test_words_print_the_number_in_force_and_none_of_the_old(key: str, name: str) -> None:
    """The sentence stands on a page with the shipped number; with a moved one it stands there with that."""
    path = path_of(name)
    value = another(path)
    before, after = (
        sentence(key, numbers(content.thresholds(TODAY)))
        for content in (SHIPPED, moved(path, value))
    )
    assert before.search(shown())
    assert after.search(shown(path, value))
    assert not before.search(shown(path, value))


def test_no_word_of_the_planner_holds_a_number_of_its_own() -> None:
    """But where a publication is quoted, a status or a stage is named, or a scale is explained."""
    quoted = re.compile(r"(schedule\..\.(source|evidence)|evidence\.\w+)$")
    others = {
        "gate.head",
        "form.head",
        "finish.head",
        "outcome.unauthorized",
        "kidney.title",
        "kidney.listed",
        "handout.diary_caption",
    }
    assert [] == [
        key
        for page in SHIPPED.pages.values()
        for key, text in page.words.items()
        if re.search(r"\d", re.sub(r"\{[^}]*\}", "", text))
        and not quoted.match(key)
        and key not in others
    ]


# --- numbers that plans are drawn with --------------------------------------------------------------------------------


def steps(p: Planner) -> list[tuple[Decimal, int]]:
    return [(s.daily_mg, s.days) for s in p.finished.plan.steps]


def tasks(p: Planner) -> list[dict[str, Any]]:
    return [r for r in p.drafts() if r["resourceType"] == "Task"]


def first_order(p: Planner) -> dict[str, Any]:
    return p.drafts()[0]


def mg(*doses: str) -> list[Decimal]:
    return [Decimal(dose) for dose in doses]


def doses(p: Planner) -> list[Decimal]:
    return [dose for dose, _ in steps(p)]


def stop_week(p: Planner) -> float:
    return (p.finished.plan.stop_on - p.finished.plan.starts).days / 7


def onset_weeks(p: Planner) -> list[int]:
    return [(day - p.finished.plan.starts).days // 7 for day in p.finished.plan.onset]


HELD = {"change": "hold", "change_on": "2026-12-02", "hold_days": ""}
DRAWN: list[tuple[str, Any, dict[str, Any], Callable[[Planner], Any], Any, Any]] = [
    # number, moved to, form, what is looked at, before, after
    (
        "schedules.A.start_mg",
        1.2,
        picked("A"),
        doses,
        mg("1.5", "3", "4.5"),
        mg("1.2", "2.7", "4.2", "4.5"),
    ),
    (
        "schedules.A.step_mg",
        1,
        picked("A"),
        doses,
        mg("1.5", "3", "4.5"),
        mg("1.5", "2.5", "3.5", "4.5"),
    ),
    (
        "schedules.A.step_days",
        15,
        picked("A"),
        lambda p: [n for _, n in steps(p)],
        [14, 14, 56],
        [15, 15, 56],
    ),
    ("schedules.A.max_mg", 3, picked("A"), doses, mg("1.5", "3", "4.5"), mg("1.5", "3")),
    ("schedules.B.start_mg", 1, picked("B"), doses, mg("1", "2"), mg("2")),
    (
        "schedules.B.step_mg",
        0.1,
        picked("B"),
        doses,
        mg("1", "2"),
        mg("1", "1.2", "1.4", "1.6", "1.8", "2"),
    ),
    ("schedules.B.step_days", 10, picked("B"), lambda p: steps(p)[0][1], 14, 10),
    ("schedules.B.max_mg", 0.5, picked("B"), doses, mg("1", "2"), mg("1")),
    ("schedules.B.times_per_day", 1, picked("B"), doses, mg("1", "2"), mg("0.5", "1")),
    (
        "schedules.C.start_mg",
        2,
        picked("C"),
        lambda p: p.case.wish.choice.start_mg,
        Decimal("1.5"),
        Decimal(2),
    ),
    (
        "schedules.C.step_mg",
        0.5,
        picked("C"),
        lambda p: p.case.wish.choice.step_mg,
        Decimal(0),
        Decimal("0.5"),
    ),
    ("schedules.C.step_days", 7, picked("C"), lambda p: p.case.wish.choice.interval_days, 14, 7),
    (
        "schedules.C.max_mg",
        2,
        picked("C"),
        lambda p: p.case.wish.choice.maximum_mg,
        Decimal("1.5"),
        Decimal(2),
    ),
    (
        "schedules.D.start_mg",
        1,
        picked("D"),
        lambda p: p.case.wish.choice.start_mg,
        Decimal(2),
        Decimal(1),
    ),
    (
        "schedules.D.step_mg",
        1,
        picked("D"),
        lambda p: p.case.wish.choice.step_mg,
        Decimal(2),
        Decimal(1),
    ),
    ("schedules.D.step_days", 21, picked("D"), lambda p: p.case.wish.choice.interval_days, 14, 21),
    ("schedules.D.max_mg", 4, picked("D"), doses, mg("2"), mg("2", "4")),
    ("schedules.D.trial_weeks", 8, picked("D"), stop_week, 6, 8),
    (
        "schedules.D.raise_below_relief_percent",
        25,
        picked("D"),
        lambda p: re.findall(r"relief is under (\d+)%", tasks(p)[0]["description"]),
        ["20"],
        ["25"],
    ),
    (
        "schedules.D.limits.max_mg.high",
        3,
        picked("D"),
        lambda p: re.findall(r"Raise to (\d+) mg", tasks(p)[0]["description"]),
        ["4"],
        ["3"],
    ),
    (
        "schedules.E.start_mg",
        0.3,
        picked("E"),
        lambda p: doses(p)[0],
        Decimal("0.5"),
        Decimal("0.3"),
    ),
    ("schedules.E.step_mg", 0.4, picked("E"), lambda p: doses(p)[1], Decimal(1), Decimal("0.9")),
    ("schedules.E.step_days", 7, picked("E"), lambda p: steps(p)[0][1], 14, 7),
    ("schedules.E.max_mg", 4, picked("E"), lambda p: doses(p)[-1], Decimal("4.5"), Decimal(4)),
    *(
        (
            f"schedules.{s}.review_weeks",
            [3, 9],
            picked(s),
            lambda p: [r.week for r in p.finished.plan.reviews],
            {
                "A": [2, 4, 12],
                "B": [2, 4, 10],
                "C": [2, 4, 8],
                "D": [2, 4, 6],
                "E": [2, 4, 8, 12, 16, 24],
            }[s],
            {"A": [3, 9, 12], "B": [3, 9, 10], "C": [3, 8], "D": [3, 6], "E": [3, 9, 13, 24]}[s],
        )
        for s in "ABCDE"
    ),
    *(
        (
            f"schedules.{s}.times_per_day",
            2,
            picked(s),
            lambda p: p.desk.edition().schedules.by_id[p.case.wish.choice.schedule].times_per_day,
            1,
            2,
        )
        for s in "CD"
    ),
    (
        "titration.grid_mg",
        0.5,
        picked("A", drawn="A", start_mg="1.2"),
        lambda p: p.case.wish.is_plan,
        True,
        False,
    ),
    (
        "titration.solution_mg_per_ml",
        2,
        picked("A", form="solution"),
        lambda p: (
            first_order(p)["medicationCodeableConcept"]["text"],
            first_order(p)["dispenseRequest"]["quantity"]["value"],
        ),
        ("naltrexone 1 mg/mL oral solution (compounded)", 63),
        ("naltrexone 2 mg/mL oral solution (compounded)", 31.5),
    ),
    (
        "titration.solution_mg_per_ml",
        2,
        picked("A", form="solution"),
        lambda p: re.search(r", ([\d.]+) mL", p.finished.text)[1],
        "1.5",
        "0.75",
    ),
    ("titration.weeks_at_top", 6, picked("A"), stop_week, 12, 10),
    (
        "titration.trial_weeks_at_top",
        6,
        picked("D", drawn="D", start_mg="2", step_mg="2", maximum_mg="4"),
        stop_week,
        6,
        8,
    ),
    ("titration.onset_weeks.low", 3, picked("A"), onset_weeks, [6, 12], [7, 12]),
    ("titration.onset_weeks.high", 10, picked("A"), onset_weeks, [6, 12], [6, 14]),
    ("titration.fill_days.usual", 30, {"fill_days": "29"}, lambda p: p.case.wish.fill_days, 28, 30),
    (
        "titration.fill_days.choices",
        [28, 35],
        {"fill_days": "42"},
        lambda p: p.case.wish.is_plan,
        True,
        False,
    ),
    (
        "titration.fill_days.choices",
        [28, 35],
        {"fill_days": "28"},
        lambda p: re.findall(r">(\d+) days</option>", p.plan()),
        ["28", "30", "42", "56", "84"],
        ["28", "35"],
    ),
    ("titration.hold_days.usual", 10, HELD, lambda p: steps(p)[0][1], 28, 24),
    (
        "titration.hold_days.low",
        3,
        {**HELD, "hold_days": "2"},
        lambda p: p.case.wish.is_plan,
        True,
        False,
    ),
    (
        "titration.hold_days.high",
        13,
        {**HELD, "hold_days": "14"},
        lambda p: p.case.wish.is_plan,
        True,
        False,
    ),
    (
        "titration.capsules_at_once",
        2,
        picked("A"),
        lambda p: "Up to 3 capsules at once" in p.result(),
        False,
        True,
    ),
    (
        "titration.furthest_start_days",
        30,
        {"start_on": (TODAY + timedelta(days=31)).isoformat()},
        lambda p: p.case.wish.is_plan,
        True,
        False,
    ),
    (
        "titration.furthest_start_days",
        30,
        {"start_on": (TODAY + timedelta(days=30)).isoformat()},
        lambda p: p.case.wish.is_plan,
        True,
        True,
    ),
    (
        "titration.review_window_days",
        3,
        picked("A"),
        lambda p: tasks(p)[0]["restriction"]["period"],
        {"start": "2026-12-07", "end": "2026-12-13"},
        {"start": "2026-12-07", "end": "2026-12-09"},
    ),
    (
        "titration.review_every_weeks",
        6,
        picked("E"),
        lambda p: [r.week for r in p.finished.plan.reviews],
        [2, 4, 8, 12, 16, 24],
        [2, 4, 10, 16, 24],
    ),
    ("titration.diary_weeks", 5, picked("A"), lambda p: p.handout().count("<td></td>") // 3, 12, 5),
    ("ldn_usual_max_mg", 4.8, {"maximum_mg": "4.8"}, lambda p: p.case.wish.is_plan, False, True),
    ("ldn_usual_max_mg", 4.8, {"maximum_mg": "4.9"}, lambda p: p.case.wish.is_plan, False, False),
]


@pytest.mark.parametrize(("path", "value", "form", "look", "before", "after"), DRAWN)
def test_a_plan_is_drawn_written_and_handed_out_with_the_number_in_force(
    path: str,
    value: Any,
    form: dict[str, Any],
    look: Callable[[Planner], Any],
    before: Any,
    after: Any,
) -> None:
    """Doses, days, quantities, reviews and limits, in the drafts as on the pages."""
    assert before == look(Planner(SHIPPED, fields=form))
    assert after == look(Planner(moved(path, value), fields=form))


@pytest.mark.parametrize(
    ("path", "value", "new", "old"),
    [
        (
            "schedules.A.start_mg",
            1.2,
            "1.2 mg (one point two milligrams)",
            "1.5 mg (one point five milligrams)",
        ),
        ("schedules.A.max_mg", 4, "4 mg (four milligrams)", "4.5 mg (four point five milligrams)"),
    ],
)
def test_every_page_and_draft_of_a_plan_shows_the_new_dose_and_none_the_old(
    path: str, value: Any, new: str, old: str
) -> None:
    """Plan, preview, result, handout, pasted text, order."""
    shipped, changed = (
        Planner(content, fields=picked("A")) for content in (SHIPPED, moved(path, value))
    )
    for look in (
        Planner.plan,
        Planner.preview,
        Planner.result,
        Planner.handout,
        lambda p: p.finished.text,
        lambda p: str(first_order(p)),
    ):
        before, after = (
            re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", look(p)).replace(" at bedtime (", " ("))
            for p in (shipped, changed)
        )
        assert (True, False) == (old in before, old in after)
        assert new in after


REFUSED = [
    ("schedules.A.times_per_day", 2, "A: max_mg: a day's dose may exceed"),
    ("schedules.E.times_per_day", 2, "E: max_mg"),
    ("schedules.A.start_mg", 1.55, "A: start_mg: not within"),
    ("schedules.A.max_mg", 4.6, "A: what is proposed cannot"),
    ("schedules.A.max_mg", 5.5, "A: max_mg: not within"),
    ("schedules.B.start_mg", 0.4, "B: what is proposed cannot"),
    ("schedules.C.start_mg", 2, "C: what is proposed cannot"),
    ("schedules.A.step_days", 7, "A: step_days: not within"),
    ("schedules.A.limits.max_mg.high", 5.1, "A: max_mg: a day's dose"),
    ("ldn_usual_max_mg", 4.4, "A: what is proposed"),
    ("titration.with_reason_max_mg", 4, "with_reason_max_mg: below"),
    ("titration.fill_days.usual", 29, "fill_days"),
    ("titration.hold_days.usual", 29, "hold_days"),
    ("titration.grid_mg", 0.4, "A: what is proposed cannot"),
]


@pytest.mark.parametrize(("path", "value", "named"), REFUSED)
def test_check_refuses_numbers_that_no_plan_could_keep_to(
    path: str, value: float, named: str
) -> None:
    """Above all a proposal above the usual maximum: none is ever made."""
    assert [] == [*content_complaints(SHIPPED)]
    assert [] != [
        line
        for line in content_complaints(moved(path, value))
        if line.startswith("schedules.yaml: ") and named in line
    ]


def test_no_strength_above_the_maximum_with_a_reason_is_written() -> None:
    """The last guard before a draft leaves."""
    form = picked("A", form="each-strength", fill_days="42")
    assert Planner(moved("titration.with_reason_max_mg", 4.5), fields=form).drafts()
    with pytest.raises(DraftRefusedError):
        Planner(moved("titration.with_reason_max_mg", 4.4), fields=form).drafts()


def limits() -> Iterator[tuple[str, str, str]]:
    for schedule in SHIPPED.titration_history["schedules"]:
        for name, edges in (
            SHIPPED.thresholds(TODAY)["schedules"][schedule].get("limits", {}).items()
        ):
            yield from ((schedule, name, edge) for edge in edges)


@pytest.mark.parametrize(("schedule", "name", "edge"), [*limits()])
def test_a_choice_is_refused_beyond_the_limit_in_force(schedule: str, name: str, edge: str) -> None:
    """The old edge is outside once the limit has moved inwards, and the new edge is inside."""
    path = f"schedules.{schedule}.limits.{name}.{edge}"
    old, by = value_at(path), 1 if name == "step_days" else 0.1
    new = round(old + (by if edge == "low" else -by), 2)
    content = moved(path, new)
    about = {"step_days": "interval_days", "max_mg": "maximum_mg"}.get(name, name)
    assert about in faulty(content, schedule, about, old)
    assert about not in faulty(content, schedule, about, new)
    assert about not in faulty(SHIPPED, schedule, about, old)


def faulty(content: Any, schedule: str, about: str, value: float) -> set[str]:
    """Fields whose value is outside its span."""
    schedules = Schedules.of(content.thresholds(TODAY))
    choice = propose(schedules, schedule, TODAY)
    kind = int if about == "interval_days" else lambda v: Decimal(str(v))
    changed = type(choice)(
        **{**{name: getattr(choice, name) for name in choice.__slots__}, about: kind(value)}
    )
    return {c.about for c in complaints(schedules, changed) if c.why in {"outside", "fixed"}}


def leaves(values: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}"


def test_no_number_of_titration_is_left_untried() -> None:
    """Each number of schedules.yaml is moved somewhere above."""
    tried = {path for path, *_ in (*DRAWN, *REFUSED)} | {path_of(name) for _, name in PRINTING}
    tried |= {f"schedules.{s}.limits.{name}.{edge}" for s, name, edge in limits()}
    in_force = SHIPPED.thresholds(TODAY)
    assert set() == set(leaves({g: in_force[g] for g in ("schedules", "titration")})) - tried


# --- START_1_5 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "dose", "days"),
    [("schedules.A.start_mg", 1, 1, 14), ("schedules.A.step_days", 10, 1.5, 10)],
)
def test_the_suggestion_to_start_low_is_the_first_step_of_schedule_a(
    path: str, value: Any, dose: float, days: int
) -> None:
    """Label, description, sig, dose, days and quantity."""
    suggestion = start_low_of(moved(path, value))
    (action,) = suggestion["actions"]
    written = action["resource"]
    assert f"Start at {dose} mg at bedtime" == suggestion["label"]
    assert (
        f"Change the drafted order to naltrexone {dose} mg at bedtime for {days} days."
        == action["description"]
    )
    (dosage,) = written["dosageInstruction"]
    assert f"Take {dose} mg by mouth at bedtime" == dosage["text"]
    assert (
        f"naltrexone {dose} mg oral capsule (compounded)"
        == written["medicationCodeableConcept"]["text"]
    )
    assert (dose, days, days, days) == (
        dosage["doseAndRate"][0]["doseQuantity"]["value"],
        dosage["timing"]["repeat"]["boundsDuration"]["value"],
        written["dispenseRequest"]["quantity"]["value"],
        written["dispenseRequest"]["expectedSupplyDuration"]["value"],
    )


# --- the gate ---------------------------------------------------------------------------------------------------------


def gate_of(content: Any, *resources: Mapping[str, Any], **answers: Any) -> Any:
    planner = Planner(content, (FIBROMYALGIA, *resources))
    judgement = planner.case.judgement
    return check(
        judgement.snapshot,
        judgement.verdicts,
        Answers(methods=("history",), **answers),
        planner.desk.edition().say,
    )


def point(gate: Any, name: str) -> Any:
    return next(p for p in gate.points if p.id == name)


@pytest.mark.parametrize(
    ("path", "value", "kind"),
    [
        ("short_acting_days.warning_below", 12, "short"),
        ("short_acting_days.warning_below", 8, "short"),
        ("long_acting_days", 16, "long"),
        ("long_acting_days", 12, "long"),
    ],
)
def test_the_stated_last_opioid_waits_for_the_days_in_force(
    path: str, value: int, kind: str
) -> None:
    """Confirmed from that day on, blocked the day before, with that day as the date."""
    content = moved(path, value)
    for ago, mark in ((value, Mark.CONFIRMED), (value - 1, Mark.BLOCKED)):
        gate = gate_of(content, last_opioid=kind, last_opioid_on=TODAY - timedelta(days=ago))
        assert mark is point(gate, "opioid-free").mark
        assert max(TODAY, TODAY + timedelta(days=value - ago)) == gate.earliest


def ended(text: str, ago: int, started: int = 40, **more: Any) -> dict[str, Any]:
    end, start = ((TODAY - timedelta(days=days)).isoformat() for days in (ago, started))
    return order(
        "o1",
        text,
        status="completed",
        authored=start,
        dosageInstruction=[{"timing": {"repeat": {"boundsPeriod": {"start": start, "end": end}}}}],
        **more,
    )


@pytest.mark.parametrize(
    ("path", "value", "text", "started"),
    [
        ("short_acting_days.warning_below", 12, "Oxycodone 5 mg tablet", 40),
        ("short_acting_days.warning_below", 9, "Tramadol 50 mg tablet", 40),
        ("long_acting_days", 17, "Methadone 10 mg tablet", 40),
    ],
)
def test_card_verdict_gate_and_date_move_together(
    path: str, value: int, text: str, started: int
) -> None:
    """The day on which the rule falls silent is the day that the gate gives as the earliest start."""
    content = moved(path, value)
    for ago in (value - 1, value):
        resource = ended(text, ago, started)
        verdicts = Planner(content, (FIBROMYALGIA, resource)).case.judgement.verdicts
        warned = any(f.topic == INTERACTION and f.severity for v in verdicts for f in v.findings)
        gate = gate_of(content, resource)
        assert (ago < value, ago >= value) == (warned, point(gate, "opioids").mark is Mark.PASSED)
        assert TODAY + timedelta(days=value - ago) == gate.history[0].earliest.on


@pytest.mark.parametrize("value", [5, 9])
def test_a_brief_course_waits_for_the_critical_days_in_force(value: int) -> None:
    """A course of two days that ended yesterday."""
    gate = gate_of(
        moved("short_acting_days.critical_below", value), ended("Oxycodone 5 mg tablet", 1, 3)
    )
    assert TODAY + timedelta(days=value - 1) == gate.history[0].earliest.on


@pytest.mark.parametrize(
    ("path", "value", "wait"),
    [
        ("depot_tail_days.monthly", 200, 200 + 1),
        ("depot_opioid_days.critical_below", 170, 28 + 170),
        ("depot_interval_days.monthly", 170, 170 + 14),
    ],
)
def test_a_depot_waits_until_the_rules_say_nothing(path: str, value: int, wait: int) -> None:
    """Depot buprenorphine: the first day on which table A says none, for any number in force."""
    given = {
        "resourceType": "MedicationRequest",
        **order(
            "o1",
            "Sublocade 300 mg/1.5 mL injection",
            status="on-hold",
            authored=(TODAY - timedelta(days=20)).isoformat(),
        ),
    }
    (met,) = gate_of(moved(path, value), given).history
    assert wait == met.earliest.days


@pytest.mark.parametrize(
    ("adult", "age", "mark"),
    [(21, 20, Mark.ASK), (21, 21, Mark.PASSED), (16, 15, Mark.ASK), (16, 16, Mark.PASSED)],
)
def test_the_age_is_asked_below_the_age_in_force(adult: int, age: int, mark: Mark) -> None:
    assert mark is point(gate_of(moved("adult_age", adult), minor(age)), "age").mark


@pytest.mark.parametrize(
    ("days", "ago", "mark"),
    [(35, 35, Mark.BLOCKED), (35, 36, Mark.ASK), (20, 20, Mark.BLOCKED), (20, 21, Mark.ASK)],
)
def test_a_naltrexone_depot_counts_as_other_naltrexone_for_the_days_in_force(
    days: int, ago: int, mark: Mark
) -> None:
    given = order(
        "n1",
        "naltrexone 380 MG Injection",
        status="completed",
        authored=(TODAY - timedelta(days=ago)).isoformat(),
    )
    assert (
        mark
        is point(gate_of(moved("dose_check.duplicate_depot_days", days), given), "duplicate").mark
    )


def test_the_plan_drawn_for_another_day_has_the_numbers_of_that_day() -> None:
    """A number that changes tomorrow changes nothing today."""
    history = dict(SHIPPED.titration_history["schedules"])
    later = {
        **history["A"][0],
        "from": TODAY + timedelta(days=1),
        "value": {**history["A"][0]["value"], "max_mg": 3},
    }
    content = replace(
        SHIPPED,
        titration_history={
            **SHIPPED.titration_history,
            "schedules": {**history, "A": [*history["A"], later]},
        },
    )
    tops = []
    for day in (TODAY, TODAY + timedelta(days=1)):
        schedules = Schedules.of(content.thresholds(day))
        tops.append(draw(schedules, propose(schedules, "A", day)).highest_daily_mg)
    assert mg("4.5", "3") == tops
