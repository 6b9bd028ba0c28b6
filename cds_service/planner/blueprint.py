"""The titration SMART app as a Flask blueprint: routes, safety headers, readable error pages."""

from __future__ import annotations

from flask import Blueprint, Response, g, render_template, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from cds_service.errors import ServiceError
from cds_service.planner.diary import add_diary
from cds_service.planner.door import HURRIED
from cds_service.planner.edition import page_context
from cds_service.planner.launch import add_launch
from cds_service.planner.routes import add_planner
from cds_service.planner.seats import RETRY_SECONDS, Seats
from cds_service.planner.services import HaltError, Judge, PlannerDesk, SmartServices
from cds_service.planner.sessions import OPEN_SECONDS, PENDING_SECONDS
from cds_service.planner.trouble import TROUBLES
from cds_service.settings import Settings
from cds_service.web.look import add_look

__all__ = ["Judge", "SmartServices", "make_smart"]

FORM_BYTES = 64_000
_QUICK = frozenset({"smart.static", "smart.look"})
_WAIT = frozenset({"crowded", "hurried"})


def make_smart(settings: Settings, services: SmartServices) -> Blueprint:
    """The app's routes, to be registered at ``/smart``."""
    blueprint = Blueprint(
        "smart",
        __name__,
        template_folder="templates",
        static_folder="static",
        static_url_path="/static",
    )
    desk = PlannerDesk(settings, services)
    add_launch(blueprint, desk)
    add_planner(blueprint, desk)
    add_diary(blueprint, desk)
    add_look(blueprint)
    _add_words(blueprint, desk)
    _add_troubles(blueprint)
    _add_seats(blueprint, desk)
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
    return (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        f"form-action 'self'; base-uri 'none'; frame-ancestors {ancestors}"
    )


def _add_seats(blueprint: Blueprint, desk: PlannerDesk) -> None:
    """Every page takes one of the planner's places for as long as it is worked on; style and script need none."""
    seats = Seats(desk.settings.threads)

    @blueprint.before_request
    def take_seat() -> None:
        if request.endpoint in _QUICK:
            return
        if HURRIED in request.environ:
            raise HaltError("hurried")
        caller = desk.browser() or request.remote_addr or ""
        if not seats.take(caller):
            raise HaltError("crowded")
        g.planner_seat = caller

    @blueprint.teardown_request
    def leave_seat(_error: BaseException | None) -> None:
        if (caller := g.pop("planner_seat", None)) is not None:
            seats.leave(caller)


def _add_words(blueprint: Blueprint, desk: PlannerDesk) -> None:
    @blueprint.context_processor
    def words() -> dict[str, object]:
        smart = desk.settings.smart
        return {
            **page_context(desk.edition()),
            "CLINIC": {"name": smart.clinic_name, "phone": smart.clinic_phone},
        }


def _add_troubles(blueprint: Blueprint) -> None:
    @blueprint.errorhandler(HaltError)
    def halt(error: HaltError) -> tuple[str, int, dict[str, str]]:
        why = error.why if error.why in TROUBLES else "fault"
        page, status = _trouble(why, error.said)
        wait = {"Retry-After": str(RETRY_SECONDS)} if why in _WAIT else {}
        return page, status, wait

    @blueprint.errorhandler(ServiceError)
    def service(error: ServiceError) -> tuple[str, int, dict[str, str]]:
        page, _ = _trouble("busy")
        return page, error.status, error.headers

    @blueprint.errorhandler(RequestEntityTooLarge)
    def too_large(_error: RequestEntityTooLarge) -> tuple[str, int]:
        return _trouble("too-large")

    @blueprint.errorhandler(Exception)
    def fault(error: Exception) -> tuple[str, int]:
        g.fault = type(error).__name__
        return _trouble("fault")

    @blueprint.errorhandler(HTTPException)
    def http(error: HTTPException) -> tuple[str, int]:
        page, _ = _trouble("not-found")
        return page, error.code or 404


def _trouble(why: str, said: str = "") -> tuple[str, int]:
    trouble = TROUBLES[why]
    again = request.full_path.rstrip("?") if trouble.again and request.method == "GET" else ""
    return render_template(
        "smart/trouble.html",
        why=why,
        again=again,
        said=said,
        launch_minutes=PENDING_SECONDS // 60,
        session_minutes=OPEN_SECONDS // 60,
    ), trouble.status
