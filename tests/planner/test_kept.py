"""Nothing that a clinician entered is lost: reload, Back, two tabs, a new sign-in, a restart."""

from __future__ import annotations

import re
from pathlib import Path

from flask.testing import FlaskClient

from tests.e2e.oauth_server import Ehr, serve_ehr
from tests.e2e.smart_site import FIBROMYALGIA, PATIENT, Site, make_site
from tests.e2e.smart_steps import ANSWERS, PLAN_A, csrf_of, open_app, words

FORM = {**ANSWERS, **PLAN_A, "reason_text": "pain of the hands", "reason": ""}


def hidden(page, name: str) -> str:
    return re.search(rf'name="{name}" value="([^"]*)"', page.text)[1]


def sent(page, **changes: str) -> dict[str, object]:
    own = {name: hidden(page, name) for name in ("csrf", "revision", "tab")}
    return {**FORM, **own, **changes}


def test_an_update_is_answered_by_a_redirect_and_survives_reload(
    client: FlaskClient, ehr: Ehr
) -> None:
    url = open_app(client, ehr)
    answer = client.post(url, data=sent(client.get(url)))
    assert (303, url) == (answer.status_code, answer.headers["Location"])
    assert all("pain of the hands" in client.get(url).text for _ in range(2))


def test_a_live_change_is_kept_without_pressing_anything(client: FlaskClient, ehr: Ehr) -> None:
    url = open_app(client, ehr)
    client.post(f"{url}preview", data=sent(client.get(url)))
    assert "pain of the hands" in client.get(url).text


def test_the_older_tab_is_told_and_overwrites_nothing(client: FlaskClient, ehr: Ehr) -> None:
    """It keeps what it shows, and may send it again knowingly."""
    url = open_app(client, ehr)
    older, newer = client.get(url), client.get(url)
    client.post(url, data=sent(newer, reason_text="of the newer"))
    aside = client.post(url, data=sent(older, reason_text="of the older"))
    assert 303 == aside.status_code
    answer = client.get(aside.headers["Location"])
    assert "changed in another tab" in words(answer)
    assert "of the older" in answer.text
    assert "of the newer" in client.get(url).text
    pressed = client.post(f"{url}write", data=sent(older, reason_text="of the older"))
    assert aside.headers["Location"] == pressed.headers["Location"]
    assert not [r for r in ehr.of_type("MedicationRequest") if r.get("identifier")]
    assert 303 == client.post(url, data=sent(answer, reason_text="of the older")).status_code
    assert "of the older" in client.get(url).text


def test_one_tab_may_send_many_times(client: FlaskClient, ehr: Ehr) -> None:
    url = open_app(client, ehr)
    page = client.get(url)
    for n in range(3):
        assert (
            200 == client.post(f"{url}preview", data=sent(page, reason_text=f"try {n}")).status_code
        )
    assert "try 2" in client.get(url).text


def test_answers_outlive_the_sign_in(client: FlaskClient, ehr: Ehr, site: Site) -> None:
    """What is sent after the token ended is kept as well, and is there after the next launch."""
    url = open_app(client, ehr)
    page = client.get(url)
    site.clock.move(seconds=3_580)
    answer = client.post(url, data=sent(page, reason_text="late"))
    assert (401, True) == (answer.status_code, "answers are kept" in words(answer))
    site.clock.move(seconds=60)
    assert "late" in client.get(open_app(client, ehr)).text


def test_answers_are_those_of_one_patient_user_and_browser(
    client: FlaskClient, ehr: Ehr, site: Site
) -> None:
    ehr.store["Patient", "other"] = {**PATIENT, "id": "other"}
    url = open_app(client, ehr, fhirUser="Practitioner/1")
    client.post(url, data=sent(client.get(url)))
    for user, patient, browser in (
        ("Practitioner/2", "ldn-1", client),
        ("Practitioner/1", "other", client),
        ("Practitioner/1", "ldn-1", site.app.test_client()),
    ):
        assert (
            "pain of the hands"
            not in browser.get(open_app(browser, ehr, patient, fhirUser=user)).text
        )
    assert "pain of the hands" in client.get(open_app(client, ehr, fhirUser="Practitioner/1")).text


def test_a_restart_loses_nothing(tmp_path: Path) -> None:
    with serve_ehr([PATIENT, FIBROMYALGIA]) as ehr:
        before = make_site(ehr, tmp_path)
        client = before.app.test_client()
        url = open_app(client, ehr)
        client.post(url, data=sent(client.get(url)))
        cookie = client.get_cookie("__Host-titration", "localhost")
        before.close()
        after = make_site(ehr, tmp_path)
        again = after.app.test_client()
        again.set_cookie("__Host-titration", cookie.value)
        assert "pain of the hands" in again.get(url).text
        after.close()


def test_ending_asks_first_and_forgets(client: FlaskClient, ehr: Ehr) -> None:
    url = open_app(client, ehr)
    client.post(url, data=sent(client.get(url)))
    asked = client.get(f"{url}end")
    assert "pain of the hands" in client.get(url).text
    client.post(f"{url}end", data={"csrf": csrf_of(asked)})
    assert 401 == client.get(url).status_code
    assert "pain of the hands" not in client.get(open_app(client, ehr)).text
