"""A titration plan as drafts for the EHR and as text to paste: the words of 3.4 around the numbers. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from cds_service.fhir.write_plan import CompoundedProduct, Phase, PlanDraft, ReviewVisit
from cds_service.planner.gate import METHODS, Answers
from cds_service.planner.view import Wish, day, instruction, mg, say_mg, supply_words, weekday
from cds_service.titration.plan import Form, Plan, Supply, dispense


def to_drafts(plan: Plan, wish: Wish, answers: Answers, key: str, patient_id: str, now: datetime) -> PlanDraft:
    """The plan in the neutral shape that ``fhir.write_plan`` writes in any release."""
    supplies = dispense(plan, wish.form, wish.fill_days)
    return PlanDraft(
        key, patient_id, now, f"Low-dose naltrexone titration, schedule {plan.schedule.id}",
        note(plan, wish, answers), wish.fill_days, tuple(_product(plan, wish, supply) for supply in supplies),
        tuple(ReviewVisit(r.week, r.on, r.on + timedelta(days=6), review_words(plan, r.week)) for r in plan.reviews))


def _product(plan: Plan, wish: Wish, supply: Supply) -> CompoundedProduct:
    """One order: all steps where one product makes every dose, else the steps of its own strength."""
    steps = [s for s in plan.steps if wish.form is not Form.EACH_STRENGTH or s.number in supply.steps]
    return CompoundedProduct(supply.strength_mg, supply.unit, supply.quantity, tuple(
        Phase(s.starts, s.ends, s.each_mg, s.times_per_day, instruction(plan, s, wish.form)) for s in steps))


def note(plan: Plan, wish: Wish, answers: Answers) -> str:
    """What the order and the care plan say in one paragraph."""
    return " ".join(_note(plan, wish, answers))


def _note(plan: Plan, wish: Wish, answers: Answers) -> Iterator[str]:
    highest = plan.highest_daily_mg
    yield f"Off-label LDN, schedule {plan.schedule.id} ({plan.schedule.standing})."
    yield f"Highest dose {mg(highest)} mg ({say_mg(highest)}) a day."
    if wish.choice.reason_above:
        yield f"Reason for more than 4.5 mg: {wish.choice.reason_above}."
    yield f"First fill {wish.fill_days} days, no repeats: each further fill is a new order after review."
    yield "No opioids with naltrexone: stop at once if an opioid is needed."
    yield f"Opioid-free: {opioid_free_words(answers)}."
    yield "Off-label consent documented; compounding pharmacy agreed."
    yield f"Stop if it has not helped by {day(plan.stop_on)}."


def opioid_free_words(answers: Answers) -> str:
    """How the opioid-free interval was confirmed, in words."""
    said = "none in the last 14 days" if answers.last_opioid_on is None else \
        f"last {answers.last_opioid}-acting opioid {day(answers.last_opioid_on)}"
    return f"{said} ({', '.join(METHODS[m].lower() for m in answers.methods if m in METHODS)})"


def review_words(plan: Plan, week: int) -> str:
    """What to look at in one review."""
    words = "Benefit (pain, function), side effects (dreams, sleep, headache, heart rate), any opioid use or planned."
    if plan.schedule.rise_is_decided_at_review and week == plan.reviews[0].week:
        words += " Raise to 4 mg if relief is under 20%."
    return words


def paste_text(plan: Plan, wish: Wish, answers: Answers) -> str:
    """The whole plan as plain text for a chart that takes no drafts."""
    return "\n".join(_paste_lines(plan, wish, answers))


def _paste_lines(plan: Plan, wish: Wish, answers: Answers) -> Iterator[str]:
    yield f"LOW-DOSE NALTREXONE TITRATION, SCHEDULE {plan.schedule.id} (draft, not signed)"
    for step in plan.steps:
        yield f"- {instruction(plan, step, wish.form)}"
    supplies = " + ".join(supply_words(s) for s in dispense(plan, wish.form, wish.fill_days))
    yield f"Dispense for {wish.fill_days} days: {supplies}. No repeats."
    for review in plan.reviews:
        yield f"Review week {review.week}: {weekday(review.on)}."
    yield note(plan, wish, answers)
