"""The titration SMART app as a Flask blueprint: routes, safety headers, readable error pages."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, g, render_template, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from cds_service.errors import ServiceError
from cds_service.planner import gate, view
from cds_service.planner.launch import add_launch
from cds_service.planner.routes import add_planner
from cds_service.planner.services import HaltError, Judge, Judgement, PlannerDesk, SmartServices
from cds_service.planner.trouble import TROUBLES, Trouble
from cds_service.settings import Settings
from cds_service.titration import plan as titration
from cds_service.titration.schedules import SCHEDULES

__all__ = ["Judge", "Judgement", "SmartServices", "make_smart"]

FORM_BYTES = 64_000
_SHOWN: tuple[Callable[..., object], ...] = (      # what the templates may call
    titration.common_strength, titration.dispense, titration.most_capsules_at_once, view.amount,
    view.count_table, view.day, view.defaults, view.diary_weeks, view.draw_chart,
    view.hint, view.mg, view.say_mg, view.supply_words, view.weekday, view.when)


def make_smart(settings: Settings, services: SmartServices) -> Blueprint:
    """The app's routes, to be registered at ``/smart``."""
    blueprint = Blueprint("smart", __name__, template_folder="templates", static_folder="static",
                          static_url_path="/static")
    desk = PlannerDesk(settings, services)
    add_launch(blueprint, desk)
    add_planner(blueprint, desk)
    _add_words(blueprint)
    _add_troubles(blueprint)
    policy = content_policy(settings.smart.frame_ancestors)

    @blueprint.before_request
    def limit_form() -> None:
        request.max_content_length = FORM_BYTES
        request.max_form_parts = 200

    @blueprint.after_request
    def allow_own_pages(response: Response) -> Response:
        """The other security headers are those of every answer (``web.wire``)."""
        response.headers["Content-Security-Policy"] = policy
        return response

    return blueprint


def content_policy(frame_ancestors: tuple[str, ...]) -> str:
    """Nothing from elsewhere, no inline code, and frames only of the EHRs that are listed."""
    ancestors = " ".join(["'self'", *frame_ancestors]) if frame_ancestors else "'none'"
    return ("default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
            f"form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}")


def _add_words(blueprint: Blueprint) -> None:
    @blueprint.context_processor
    def words() -> dict[str, object]:
        return {"SCHEDULES": SCHEDULES, "FILL_DAYS": titration.FILL_DAYS, "METHODS": gate.METHODS,
                "show": {name.__name__: name for name in _SHOWN}}


def _add_troubles(blueprint: Blueprint) -> None:
    @blueprint.errorhandler(HaltError)
    def halt(error: HaltError) -> tuple[str, int]:
        return _trouble(TROUBLES.get(error.why, TROUBLES["fault"]))

    @blueprint.errorhandler(ServiceError)
    def service(error: ServiceError) -> tuple[str, int, dict[str, str]]:
        page, _ = _trouble(TROUBLES["busy"])
        return page, error.status, error.headers

    @blueprint.errorhandler(RequestEntityTooLarge)
    def too_large(_error: RequestEntityTooLarge) -> tuple[str, int]:
        return _trouble(TROUBLES["too-large"])

    @blueprint.errorhandler(Exception)
    def fault(error: Exception) -> tuple[str, int]:
        g.fault = type(error).__name__
        return _trouble(TROUBLES["fault"])

    @blueprint.errorhandler(HTTPException)
    def http(error: HTTPException) -> tuple[str, int]:
        page, _ = _trouble(TROUBLES["not-found"])
        return page, error.code or 404


def _trouble(trouble: Trouble) -> tuple[str, int]:
    again = request.full_path.rstrip("?") if trouble.again and request.method == "GET" else ""
    return render_template("smart/trouble.html", trouble=trouble, again=again), trouble.status
