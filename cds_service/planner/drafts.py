"""A titration plan as drafts for the EHR and as text to paste: the words of 3.4 around the numbers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from cds_service.content.planner_words import Words
from cds_service.fhir.write_plan import CompoundedProduct, Phase, PlanDraft, ReviewVisit
from cds_service.planner.answers import METHODS, Answers
from cds_service.planner.phrases import Phrases, day, mg, weekday
from cds_service.planner.view import Wish
from cds_service.titration.plan import Plan, Review
from cds_service.titration.supply import Form, Supply, dispense


def to_drafts(
    plan: Plan,
    wish: Wish,
    answers: Answers,
    say: Words,
    *,
    key: str,
    patient_id: str,
    now: datetime,
    attested: Sequence[str] = (),
) -> PlanDraft:
    """The plan in the neutral shape that ``fhir.write_plan`` writes in any release."""
    supplies = dispense(plan, wish.form, wish.fill_days)
    return PlanDraft(
        key,
        patient_id,
        now,
        say("draft.title", schedule=plan.schedule.id),
        note(plan, wish, answers, say, attested),
        wish.fill_days,
        plan.limits.with_reason_max_mg,
        tuple(_product(plan, wish, supply, say) for supply in supplies),
        tuple(_visit(plan, review, say) for review in plan.reviews),
    )


def _product(plan: Plan, wish: Wish, supply: Supply, say: Words) -> CompoundedProduct:
    """One order: all steps where one product makes every dose, else the steps of its own strength."""
    steps = [
        s for s in plan.steps if wish.form is not Form.EACH_STRENGTH or s.number in supply.steps
    ]
    label = say(
        "draft.solution" if supply.form is Form.SOLUTION else "draft.capsule",
        strength=mg(supply.strength_mg),
    )
    return CompoundedProduct(
        label,
        supply.strength_mg,
        supply.unit,
        supply.quantity,
        tuple(
            Phase(
                s.starts, s.ends, s.each_mg, s.times_per_day, Phrases(say).sig(plan, s, wish.form)
            )
            for s in steps
        ),
    )


def _visit(plan: Plan, review: Review, say: Words) -> ReviewVisit:
    until = review.on + timedelta(days=plan.limits.review_window_days - 1)
    return ReviewVisit(
        review.week,
        review.on,
        until,
        say("draft.review_title", week=review.week),
        review_words(plan, review.week, say),
    )


def note(plan: Plan, wish: Wish, answers: Answers, say: Words, attested: Sequence[str] = ()) -> str:
    """What the order and the care plan say in one paragraph."""
    return " ".join(_note(plan, wish, answers, say, attested))


def _note(
    plan: Plan, wish: Wish, answers: Answers, say: Words, attested: Sequence[str]
) -> Iterator[str]:
    highest, schedule = plan.highest_daily_mg, plan.schedule.id
    yield say("note.off_label", schedule=schedule, standing=say(f"schedule.{schedule}.standing"))
    yield say("note.highest", dose=mg(highest), dose_words=Phrases(say).mg_in_words(highest))
    if wish.choice.reason_above:
        yield say("note.reason_above", reason=wish.choice.reason_above)
    phrases = Phrases(say)
    until = phrases.supplied_until(plan, wish.form, wish.fill_days)
    yield say("note.fill", days=wish.fill_days, until=until)
    if refills := phrases.refills(plan, wish.form, wish.fill_days):
        yield say("note.refills", refills=", ".join(first for first, _ in refills))
    yield say("note.no_opioids")
    if answers.last_opioid:
        yield say(
            "note.opioid_free",
            last=last_opioid_words(answers, say),
            methods=", ".join(say(f"method.{m}").lower() for m in answers.methods if m in METHODS),
        )
    if answers.maintenance_on and answers.maintenance_tested_on and answers.maintenance_test:
        yield say(
            "note.maintenance",
            day=day(answers.maintenance_on),
            who=answers.maintenance_by,
            test=say(f"note.test_{answers.maintenance_test}"),
            tested=day(answers.maintenance_tested_on),
        )
    if attested:
        yield say("note.attested", points="; ".join(attested))
    for change in wish.choice.changes:
        yield say(f"note.changed_{change.kind}", day=day(change.on))
    if answers.last_opioid:
        yield say("note.consent")
    yield say("note.stop", day=day(plan.stop_on))


def last_opioid_words(answers: Answers, say: Words) -> str:
    """What was stated of the last opioid; an answer that was not given is never written as "none"."""
    if answers.last_opioid == "none":
        return say("note.last_none")
    if answers.last_opioid in {"short", "long"} and answers.last_opioid_on is not None:
        return say(f"note.last_{answers.last_opioid}", day=day(answers.last_opioid_on))
    return say("note.last_not_stated")


def review_words(plan: Plan, week: int, say: Words) -> str:
    """What to look at in one review."""
    relief = plan.schedule.raise_below_relief_percent
    if relief is None or week != plan.reviews[0].week:
        return say("draft.review")
    return f"{say('draft.review')} {say('draft.review_raise', dose=mg(plan.schedule.maximum.high), relief=mg(relief))}"


def paste_text(
    plan: Plan, wish: Wish, answers: Answers, say: Words, attested: Sequence[str] = ()
) -> str:
    """The whole plan as plain text for a chart that takes no drafts."""
    return "\n".join(_paste_lines(plan, wish, answers, say, attested))


def _paste_lines(
    plan: Plan, wish: Wish, answers: Answers, say: Words, attested: Sequence[str]
) -> Iterator[str]:
    phrases = Phrases(say)
    yield say("paste.head", schedule=plan.schedule.id)
    for step in plan.steps:
        yield f"- {phrases.sig(plan, step, wish.form)}"
    yield say(
        "paste.dispense",
        days=wish.fill_days,
        supplies=phrases.fill(plan, wish.form, wish.fill_days),
    )
    for first, supplies in phrases.refills(plan, wish.form, wish.fill_days):
        yield say("paste.refill", day=first, supplies=supplies)
    for review in plan.reviews:
        yield say("paste.review", week=review.week, day=weekday(review.on))
    yield note(plan, wish, answers, say, attested)
