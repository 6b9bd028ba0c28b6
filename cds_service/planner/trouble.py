"""The words of the titration app's error pages: what happened, what to do, and the HTTP status."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trouble:
    """One reason why the app cannot go on. ``again`` offers to try the same page once more."""

    title: str
    what: str
    do: str
    status: int = 400
    again: bool = False


_RELAUNCH = "Close this page and open the planner again from the card or the app list of your EHR."
_ADMIN = "Tell the person who set up this service for your EHR."

TROUBLES: dict[str, Trouble] = {
    "unknown-iss": Trouble("This EHR is not registered", "The planner was opened for a FHIR server that it does not "
                           "know, so nothing was sent there.", f"{_ADMIN} They can register it.", 403),
    "bad-launch": Trouble("The launch is incomplete", "The launch request was not in the form that SMART App Launch "
                          "asks for.", _RELAUNCH),
    "no-authorization-server": Trouble(
        "The EHR's sign-in could not be found", "The EHR did not say where to sign in, or did not answer in time.",
        f"Try again in a minute. If it stays so: {_ADMIN}", 502, True),
    "no-cookie": Trouble(
        "The browser did not return our cookie", "Without it the answer of the EHR cannot be tied to this browser. "
        "Strict privacy settings or a frame that is not allowed to keep cookies do this.",
        "Open the planner in its own tab, or allow cookies for this site inside the EHR."),
    "bad-state": Trouble("The launch has expired", "This sign-in was not started here, was used already, or is more "
                         "than ten minutes old.", _RELAUNCH),
    "mix-up": Trouble("The answer came from another sign-in server", "The answer does not belong to the server that "
                      "was asked, so it was not used.", _RELAUNCH),
    "access_denied": Trouble("Access was not granted", "You or the EHR declined the planner's access to the record.",
                             f"Nothing was read or written. To plan a titration: {_RELAUNCH}", 403),
    "invalid_scope": Trouble("The EHR refused the access asked for", "One of the permissions that the planner asks "
                             "for is not allowed for it at this EHR (invalid scope).", _ADMIN, 403),
    "sign-in-error": Trouble("The EHR did not complete the sign-in", "The EHR answered the sign-in with an error.",
                             f"{_RELAUNCH} If it happens again: {_ADMIN}", 403),
    "token-error": Trouble("The EHR did not issue access", "The EHR's token server refused or answered something "
                           "that cannot be used.", f"{_RELAUNCH} If it happens again: {_ADMIN}", 502),
    "invalid_client": Trouble("The EHR does not know this app", "The EHR did not accept the planner's registration.",
                              _ADMIN, 502),
    "timeout": Trouble("The EHR did not answer in time", "The EHR's token server took too long.", _RELAUNCH, 504),
    "no-patient": Trouble("No patient was chosen", "The EHR opened the planner without a patient.",
                          "Open a patient's chart and start the planner there.", 409),
    "other-patient": Trouble(
        "Two different patients", "The patient of this session is not the one that the order was drafted for. "
        "Nothing was read or written.", "Open the planner again from the chart of the right patient.", 409),
    "expired": Trouble("Your session has ended", "The EHR's permission has run out, and sessions end after an hour "
                       "in any case.", f"Nothing is lost in the EHR. {_RELAUNCH}", 401),
    "fhir-refused": Trouble("The EHR refused to show the record", "The permission for this patient's record was not "
                            "accepted.", f"{_RELAUNCH} If it happens again: {_ADMIN}", 403),
    "fhir-away": Trouble("The record could not be read", "The EHR's record did not answer in time. Without it nobody "
                         "can say whether naltrexone may be started.", "Try again in a minute.", 504, True),
    "csrf": Trouble("The form was not accepted", "The form did not come from a page of this session.",
                    "Go back, load the page again and repeat the last step."),
    "too-large": Trouble("The form is too large", "More was sent than the form holds.", "Go back and shorten it.", 413),
    "not-found": Trouble("No such page", "There is nothing at this address.", _RELAUNCH, 404),
    "busy": Trouble("The planner is busy", "The planner cannot keep sessions just now.", "Try again in a minute.",
                    503, True),
    "fault": Trouble("Something went wrong here", "The planner met a fault of its own. It was recorded.",
                     f"{_RELAUNCH} Nothing was signed.", 500),
}
