"""A plan in words: doses, dates, amounts, hints and the dispensing table. Pure; the words are content."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from cds_service.content.planner_words import Words
from cds_service.planner.answers import AnswerFault
from cds_service.titration.plan import Complaint, Plan, Step, plain
from cds_service.titration.schedules import Schedule, Span
from cds_service.titration.supply import Form, Supply, common_strength, dispense, fills


def mg(value: Decimal) -> str:
    """4.5, not 4.50; 0.5, not .5; "" for no number."""
    return plain(value) if value.is_finite() else ""


def day(value: date) -> str:
    """23 Nov 2026."""
    return f"{value.day} {value:%b %Y}"


def weekday(value: date) -> str:
    """Mon 23 Nov 2026."""
    return f"{value:%a} {day(value)}"


def daily_doses(plan: Plan) -> str:
    """The daily doses in the order in which they are taken, in mg."""
    return ", ".join(mg(step.daily_mg) for step in plan.steps)


def is_usual(plan: Plan) -> bool:
    """True for the whole schedule by its default numbers, which its name tells."""
    s, c = plan.schedule, plan.choice
    usual = (s.start.default, s.step.default, int(s.interval.default), s.maximum.default)
    chosen = (c.start_mg, c.step_mg, c.interval_days, c.maximum_mg)
    return chosen == usual and not c.changes and plan.starts == c.start_on


def diary_weeks(plan: Plan) -> list[date]:
    """The first day of each of the diary's weeks, as far as the plan goes."""
    weeks = (plan.starts + timedelta(weeks=n) for n in range(plan.limits.diary_weeks))
    return [week for week in weeks if week <= plan.ends]


@dataclass(frozen=True, slots=True)
class CountRow:
    """One way to make it up, with what is dispensed for each fill length, product by product."""

    form: Form
    name: str
    cells: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Phrases:
    """What is said of a plan, its steps and supplies, in the words in force."""

    say: Words

    def mg_in_words(self, value: Decimal) -> str:
        """4.5 -> "four point five milligrams": the unit in words, against tenfold errors."""
        digits = self.say("spoken.digits").split()
        whole, _, rest = mg(value).partition(".")
        words = [digits[int(d)] for d in whole]
        if rest:
            words += [self.say("spoken.point"), *(digits[int(d)] for d in rest)]
        return self.say("spoken.one" if value == 1 else "spoken.many", number=" ".join(words))

    def when(self, step: Step) -> str:
        return self.say("when.bedtime" if step.times_per_day == 1 else "when.twice")

    def amount(self, plan: Plan, step: Step, form: Form) -> str:
        """What is taken at once: "2 capsules of 1.5 mg", "3 mL of 1 mg/mL"."""
        if form is Form.SOLUTION:
            strength = plan.limits.solution_mg_per_ml
            return self.say(
                "take.solution", volume=mg(step.each_mg / strength), strength=mg(strength)
            )
        strength = step.each_mg if form is Form.EACH_STRENGTH else common_strength(plan)
        count = int(step.each_mg / strength)
        return self.say(
            "take.one" if count == 1 else "take.many", count=count, strength=mg(strength)
        )

    def sig(self, plan: Plan, step: Step, form: Form) -> str:
        """The whole dosage text of one step."""
        return self.say(
            "draft.sig",
            start=day(step.starts),
            end=day(step.ends),
            dose=mg(step.each_mg),
            dose_words=self.mg_in_words(step.each_mg),
            amount=self.amount(plan, step, form),
            when=self.when(step),
        )

    def supply(self, supply: Supply) -> str:
        """42 × 1.5 mg; 63 mL of 1 mg/mL."""
        if supply.form is Form.SOLUTION:
            return self.say(
                "supply.solution", volume=mg(supply.quantity), strength=mg(supply.strength_mg)
            )
        return self.say(
            "supply.capsules", count=mg(supply.quantity), strength=mg(supply.strength_mg)
        )

    def fill(self, plan: Plan, form: Form, days: int) -> str:
        """All products of one fill: "14 × 1.5 mg + 14 × 3 mg"."""
        return " + ".join(self.supply(supply) for supply in dispense(plan, form, days))

    def supplied_until(self, plan: Plan, form: Form, days: int) -> str:
        """The last day that the first fill covers."""
        return day(fills(plan, form, days)[0].ends)

    def refills(self, plan: Plan, form: Form, days: int) -> tuple[tuple[str, str], ...]:
        """The first day and the products of every fill after the first."""
        return tuple(
            (day(fill.starts), " + ".join(self.supply(supply) for supply in fill.supplies))
            for fill in fills(plan, form, days)[1:]
        )

    def count_table(self, plan: Plan) -> tuple[CountRow, ...]:
        """Capsules or mL for every fill length (3.2)."""
        return tuple(
            CountRow(
                form,
                self._form_name(plan, form),
                tuple(
                    tuple(self.supply(s) for s in dispense(plan, form, days))
                    for days in plan.limits.fill_days
                ),
            )
            for form in Form
        )

    def _form_name(self, plan: Plan, form: Form) -> str:
        return self.say(f"counts.{form}", strength=mg(common_strength(plan)))

    def hint(self, span: Span, unit: str) -> str:
        """What a field may hold: "mg, 0.5 to 1.5" or "mg, fixed"."""
        named = self.say(f"unit.{unit}")
        return (
            self.say("hint.fixed", unit=named)
            if span.is_fixed
            else self.say("hint.span", unit=named, low=mg(span.low), high=mg(span.high))
        )

    def defaults(self, schedule: Schedule) -> str:
        """The fields of a schedule as JSON: proposed value, whether it is fixed, and its hint."""
        spans = {
            "start_mg": (schedule.start, "mg_per_dose"),
            "step_mg": (schedule.step, "mg"),
            "interval_days": (schedule.interval, "days"),
            "maximum_mg": (schedule.maximum, "mg_per_dose"),
        }
        return json.dumps(
            {
                name: {
                    "value": mg(span.default),
                    "fixed": span.is_fixed,
                    "hint": self.hint(span, unit),
                }
                for name, (span, unit) in spans.items()
            }
        )

    def complaint(self, complaint: Complaint) -> str:
        """Why a field gives no plan."""
        facts = dict(complaint.facts)
        named = {"field": self.say(f"field.{facts['field']}")} if "field" in facts else {}
        unit = {"unit": self.say(f"unit.{facts['unit']}")} if "unit" in facts else {}
        return self.say(f"complaint.{complaint.why}", **{**facts, **named, **unit})

    def answer_fault(self, fault: AnswerFault) -> str:
        """Why an answer cannot stand."""
        facts = {} if fault.day is None else {"day": day(fault.day)}
        return self.say(f"answer.{fault.why}", **facts)

    def describe(self, schedule_id: str) -> dict[str, str]:
        """Name, standing, evidence and source of a schedule."""
        return {
            part: self.say(f"schedule.{schedule_id}.{part}")
            for part in ("name", "standing", "evidence", "source")
        }
