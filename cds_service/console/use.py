"""``/use``: whether alerts help or annoy, in numbers; behind an identity in production, without any person in it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from flask import Blueprint, Response, render_template, request
from sqlalchemy import select

from cds_service.console.pages import Desk, Page
from cds_service.console.use_identity import Role, role_of
from cds_service.console.use_report import (
    HIDDEN,
    SMALL,
    WEEKS,
    Chosen,
    Facts,
    csv_lines,
    report,
)
from cds_service.errors import Forbidden
from cds_service.journal.export import safe_cell
from cds_service.journal.use import UseTally
from cds_service.settings import Settings
from cds_service.store.schema import feedback, shown_card

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_MOST_EVENTS = 100
_LONGEST = 200


def add_use(console: Blueprint, desk: Desk) -> None:
    """Counts for viewers; single events and CSV for analysts."""
    tally = UseTally(desk.store, lambda issuer, tenant: client_name(desk.settings, issuer, tenant))
    titles = {rule.id: rule.title for rule in desk.engine.rules}
    reasons = {code: said["display"] for code, said in desk.engine.content.override_reasons.items()}

    console.record_once(lambda state: state.app.extensions.update(use_tally=tally))

    @console.get("/use")
    def use() -> Response:
        role = role_of(desk.settings, request.environ)
        facts, chosen = tally.facts(), _chosen(request.args)
        return _page(
            "console/use.html",
            chosen=chosen,
            choices=_choices(facts, titles),
            weeks=WEEKS,
            report=report(facts, chosen, desk.today, titles, reasons),
            since=tally.since,
            is_analyst=role is Role.ANALYST,
            small=SMALL,
            hidden=HIDDEN,
        )

    @console.get("/use/events")
    def use_events() -> Response:
        _only_analysts(role_of(desk.settings, request.environ))
        chosen = _chosen(request.args)
        return _page(
            "console/use_events.html",
            chosen=chosen,
            titles=titles,
            events=[*_events(desk, chosen)],
            most=_MOST_EVENTS,
        )

    @console.get("/use.csv")
    def use_csv() -> Response:
        _only_analysts(role_of(desk.settings, request.environ))
        text = _csv(csv_lines(tally.facts(), _chosen(request.args), desk.today))
        response = Response(text, mimetype="text/csv")
        response.headers["Content-Disposition"] = 'attachment; filename="use.csv"'
        return response


def client_name(settings: Settings, issuer: str, tenant: str) -> str:
    """What the settings call the client of a token; its issuer where they no longer list it."""
    for client in settings.clients:
        if client.issuer == issuer and (not client.tenants or tenant in client.tenants):
            return client.name or issuer
    return issuer


def _page(template: str, **facts: Any) -> Response:
    response = Response(render_template(template, **facts), mimetype="text/html")
    response.headers["Content-Security-Policy"] = POLICY
    return response


def _only_analysts(role: Role) -> None:
    if role is not Role.ANALYST:
        raise Forbidden("Single events and CSV are for analysts.")


def _chosen(given: Mapping[str, str]) -> Chosen:
    """What was asked for; whatever makes no sense is as if it were not there."""
    weeks = given.get("weeks", "")
    return Chosen(
        int(weeks) if weeks in {str(n) for n in WEEKS} else Chosen().weeks,
        *(given.get(name, "")[:_LONGEST] for name in ("client", "hook", "rule")),
    )


def _choices(facts: Facts, titles: Mapping[str, str]) -> Mapping[str, list[tuple[str, str]]]:
    """The values and labels of each filter."""

    def named(found: Iterable[str]) -> list[tuple[str, str]]:
        return [(name, titles.get(name, name)) for name in sorted(set(found) - {""})]

    return {
        "rule": named(fact.rule for fact in facts),
        "client": named(fact.client for fact in facts),
        "hook": named(fact.hook for fact in facts),
    }


def _events(desk: Desk, chosen: Chosen) -> Iterator[Mapping[str, Any]]:
    """The newest cards of this choice: the day, never the hour, and nothing that stands for a person."""
    same = (shown_card.c.card == feedback.c.card) & (shown_card.c.service == feedback.c.service)
    first: datetime = desk.now() - timedelta(weeks=chosen.weeks)
    query = (
        select(shown_card, feedback.c.outcome, feedback.c.reason_code)
        .select_from(shown_card.join(feedback, same, isouter=True))
        .where(shown_card.c.shown_at >= first)
    )
    for name in ("client", "hook", "rule"):
        if value := getattr(chosen, name):
            query = query.where(shown_card.c[name] == value)
    query = query.order_by(shown_card.c.shown_at.desc(), shown_card.c.seq.desc()).limit(
        _MOST_EVENTS
    )
    with desk.store.read() as connection:
        for row in connection.execute(query):
            yield {
                "day": row.shown_at.date().isoformat(),
                "hook": row.hook,
                "client": row.client or "no client",
                "release": row.release,
                "rule": row.rule,
                "situation": row.situation,
                "indicator": row.indicator,
                "outcome": row.outcome or "no feedback",
                "reason": row.reason_code or "",
            }


def _csv(lines: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerows([safe_cell(cell) for cell in line] for line in lines)
    return text.getvalue()


USE = Page("use", "Use", add_use)
