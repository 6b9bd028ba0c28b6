"""An EHR on loopback for tests: SMART authorization server (PKCE enforced, single-use codes) and FHIR server in one.

    with serve_ehr([patient, order]) as ehr:
        launch = ehr.new_launch("ldn-1", appContext='{"gate": "none"}')
        f"{app}/smart/launch?iss={ehr.iss}&launch={launch}"
        ehr.seen                             # every request: method, path, arguments, headers

Everything a test may bend is a field of ``Ehr`` and may be changed while the server runs.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

import jwt
from flask import Flask, Response, redirect, request
from werkzeug.serving import WSGIRequestHandler, make_server

Json = dict[str, Any]
FHIR_JSON = "application/fhir+json"


@dataclass(frozen=True)
class Seen:
    """One request as it arrived; ``form`` is empty unless it was a form."""

    method: str
    path: str
    args: dict[str, str]
    form: dict[str, str]
    headers: dict[str, str]


@dataclass
class Ehr:
    """What a test may look at and change while the server runs."""

    root: str = ""
    store: dict[tuple[str, str], Json] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    launches: dict[str, Json] = field(default_factory=dict)
    codes: dict[str, Json] = field(default_factory=dict)
    tokens: dict[str, Json] = field(default_factory=dict)
    refreshes: dict[str, Json] = field(default_factory=dict)
    client_id: str = "titration"
    client_secret: str = ""
    client_key: Any = None  # public key for private_key_jwt
    redirect_uri: str = ""  # the registered one; "" = any
    standalone_patient: str = ""
    authorize_error: str = ""  # answered instead of a code
    token_error: str = ""
    token_status: int = 400
    drop_scopes: tuple[str, ...] = ()  # asked for, but not granted
    tells_scope: bool = True  # False: the token response leaves the scope out
    expires_in: int = 3600
    offers_refresh: bool = False
    smart_one: bool = False  # no smart-configuration: endpoints in the capability statement
    version_two: bool = False  # permission-v2
    answers_iss: str | None = None  # RFC 9207 parameter in the callback
    token_path: str = "/auth/token"
    fhir_version: str = "4.0.1"
    statuses: dict[str, int] = field(
        default_factory=dict
    )  # "Task" or "POST Task" -> status to answer
    hang: set[str] = field(default_factory=set)  # the same keys: no answer for a while
    keeps_status: bool = True  # False: stores every create as active
    ignores_condition: bool = False  # False: honours If-None-Exist
    write_delay: float = 0.0
    after_writing: dict[str, int] = field(
        default_factory=dict
    )  # type -> what a create that is stored is answered with; 0: nothing for a while
    conflicts: dict[str, int] = field(
        default_factory=dict
    )  # type -> 409 or 412, answered to every create; it is stored unless something like it is there
    doubles: bool = False  # stores every create twice
    ignores_search: bool = False  # lists everything, whatever identifier is asked for
    signs_before_change: bool = False  # somebody signs the order just before it is changed
    refresh_patient: str = ""  # the patient that a refreshed token names instead
    stopping: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def iss(self) -> str:
        return f"{self.root}/fhir"

    def new_launch(self, patient: str, **context: Any) -> str:
        """A launch id for this patient; ``context`` joins the token response (appContext, need_patient_banner)."""
        launch = secrets.token_urlsafe(12)
        self.launches[launch] = {"patient": patient, **context}
        return launch

    def of_type(self, kind: str) -> list[Json]:
        return [resource for (its_kind, _), resource in self.store.items() if its_kind == kind]

    def paths(self, method: str = "") -> list[str]:
        return [each.path for each in self.seen if not method or each.method == method]


class Quiet(WSGIRequestHandler):
    """Tests read ``seen``."""

    def log(self, *_: Any) -> None:
        pass


@contextlib.contextmanager
def serve_ehr(resources: Iterable[Json] = (), **options: Any) -> Iterator[Ehr]:
    """Run the EHR on a free loopback port until the block ends."""
    ehr = Ehr(**options)
    for resource in resources:
        ehr.store[resource["resourceType"], resource["id"]] = json.loads(json.dumps(resource))
    server = make_server("127.0.0.1", 0, _make_app(ehr), threaded=True, request_handler=Quiet)
    ehr.root = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    try:
        yield ehr
    finally:
        ehr.stopping.set()
        server.shutdown()
        server.server_close()
        thread.join()


def _make_app(ehr: Ehr) -> Flask:
    app = Flask("ehr")

    @app.before_request
    def note() -> None:
        with ehr.lock:
            ehr.seen.append(
                Seen(
                    request.method,
                    request.path,
                    request.args.to_dict(),
                    request.form.to_dict(),
                    {k.lower(): v for k, v in request.headers.items()},
                )
            )

    @app.get("/fhir/.well-known/smart-configuration")
    def configuration() -> Response:
        return (
            _json({}, 404)
            if ehr.smart_one
            else _json(
                {
                    "issuer": ehr.iss,
                    "authorization_endpoint": f"{ehr.root}/auth/authorize",
                    "token_endpoint": f"{ehr.root}{ehr.token_path}",
                    "code_challenge_methods_supported": ["S256"],
                    "capabilities": [
                        "launch-ehr",
                        *(["permission-v2"] if ehr.version_two else ["permission-v1"]),
                    ],
                    "scopes_supported": [
                        "launch",
                        *(["online_access"] if ehr.offers_refresh else []),
                    ],
                }
            )
        )

    @app.get("/fhir/metadata")
    def metadata() -> Response:
        uris = [
            {"url": "authorize", "valueUri": f"{ehr.root}/auth/authorize"},
            {"url": "token", "valueUri": f"{ehr.root}{ehr.token_path}"},
        ]
        url = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
        return _json(
            {
                "resourceType": "CapabilityStatement",
                "fhirVersion": ehr.fhir_version,
                "rest": [{"security": {"extension": [{"url": url, "extension": uris}]}}],
            }
        )

    @app.get("/panel")
    def panel() -> str:
        frame = f'<iframe width="420" height="800" src="{request.args["src"]}"></iframe>'
        return f"<!doctype html><title>Chart</title>{frame}"

    app.add_url_rule("/auth/authorize", view_func=lambda: _authorize(ehr), endpoint="authorize")
    app.add_url_rule(
        "/auth/token", view_func=lambda: _token(ehr), methods=["POST"], endpoint="token"
    )
    app.add_url_rule(
        "/fhir/<kind>/_search",
        view_func=lambda kind: _fhir(ehr, kind, ""),
        methods=["POST"],
        endpoint="search",
    )
    app.add_url_rule(
        "/fhir/<kind>",
        view_func=lambda kind: _fhir(ehr, kind, ""),
        methods=["GET", "POST"],
        endpoint="type",
    )
    app.add_url_rule(
        "/fhir/<kind>/<name>",
        view_func=lambda kind, name: _fhir(ehr, kind, name),
        methods=["GET", "PUT"],
        endpoint="one",
    )
    return app


def _json(
    body: Json, status: int = 200, kind: str = "application/json", **headers: str
) -> Response:
    return Response(json.dumps(body), status, headers, content_type=kind)


# --- the authorization server ---------------------------------------------------------------------------------------


def _authorize(ehr: Ehr) -> Any:
    args = request.args
    wrong = _refusal(ehr, args)
    if wrong:
        return Response(wrong, 400)
    back = {
        "state": args["state"],
        **({"iss": ehr.answers_iss} if ehr.answers_iss is not None else {}),
    }
    if ehr.authorize_error:
        back |= {
            "error": ehr.authorize_error,
            "error_description": "<script>alert('described')</script>",
        }
        return redirect(f"{args['redirect_uri']}?{urlencode(back)}")
    launch = (
        ehr.launches.pop(args["launch"])
        if "launch" in args
        else {"patient": ehr.standalone_patient}
    )
    code = secrets.token_urlsafe(16)
    ehr.codes[code] = {
        "challenge": args["code_challenge"],
        "redirect_uri": args["redirect_uri"],
        "scope": " ".join(s for s in args["scope"].split() if s not in ehr.drop_scopes),
        "context": {name: value for name, value in launch.items() if value is not None},
    }
    return redirect(f"{args['redirect_uri']}?{urlencode({**back, 'code': code})}")


def _refusal(ehr: Ehr, args: Any) -> str:
    checks = {
        "response_type": args.get("response_type") == "code",
        "client_id": args.get("client_id") == ehr.client_id,
        "redirect_uri": args.get("redirect_uri") == (ehr.redirect_uri or args.get("redirect_uri")),
        "state": len(args.get("state", "")) >= 22,
        "aud": args.get("aud") == ehr.iss,
        "PKCE": args.get("code_challenge_method") == "S256"
        and len(args.get("code_challenge", "")) == 43,
        "launch": args["launch"] in ehr.launches
        if "launch" in args
        else "launch/patient" in args["scope"].split(),
    }
    return ", ".join(name for name, fine in checks.items() if not fine)


def _token(ehr: Ehr) -> Response:
    if ehr.token_error:
        return _json(
            {"error": ehr.token_error, "error_description": "<b>described</b>"}, ehr.token_status
        )
    if not _knows_client(ehr):
        return _json({"error": "invalid_client"}, 401)
    form = request.form
    if form.get("grant_type") == "refresh_token":
        grant = ehr.refreshes.pop(form.get("refresh_token", ""), None)
        if grant and ehr.refresh_patient:
            grant = {**grant, "context": {**grant["context"], "patient": ehr.refresh_patient}}
    else:
        grant = ehr.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if grant and (
            grant["challenge"] != challenge or grant["redirect_uri"] != form.get("redirect_uri")
        ):
            grant = None
    return _json({"error": "invalid_grant"}, 400) if grant is None else _json(_grant(ehr, grant))


def _grant(ehr: Ehr, grant: Json) -> Json:
    token = f"CANARY-TOK-{secrets.token_urlsafe(16)}"
    ehr.tokens[token] = {"until": time.time() + ehr.expires_in, "scope": grant["scope"]}
    answer = {
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": ehr.expires_in,
        "scope": grant["scope"],
        **grant["context"],
    }
    if not ehr.tells_scope:
        del answer["scope"]
    if ehr.offers_refresh:
        answer["refresh_token"] = f"CANARY-REF-{secrets.token_urlsafe(16)}"
        ehr.refreshes[answer["refresh_token"]] = grant
    return answer


def _knows_client(ehr: Ehr) -> bool:
    form = request.form
    if ehr.client_key is not None:
        try:
            claims = jwt.decode(
                form.get("client_assertion", ""),
                ehr.client_key,
                algorithms=["ES384", "RS384"],
                audience=f"{ehr.root}{ehr.token_path}",
                issuer=ehr.client_id,
                options={"require": ["exp", "iat", "jti", "sub"]},
            )
        except jwt.PyJWTError:
            return False
        return claims["sub"] == ehr.client_id and claims["exp"] - claims["iat"] <= 300
    if ehr.client_secret:
        given = request.authorization
        return bool(given) and (given.username, given.password) == (
            ehr.client_id,
            ehr.client_secret,
        )
    return form.get("client_id") == ehr.client_id and "client_secret" not in form


# --- the FHIR server ------------------------------------------------------------------------------------------------


def _fhir(ehr: Ehr, kind: str, name: str) -> Response:
    is_create = request.method == "POST" and not request.path.endswith("_search")
    keys = {kind, f"{'POST' if is_create else 'GET'} {kind}"}
    if keys & ehr.hang:
        ehr.stopping.wait(8)
    if status := next((ehr.statuses[key] for key in keys if key in ehr.statuses), 0):
        return _outcome(status)
    held = ehr.tokens.get(request.headers.get("Authorization", "").removeprefix("Bearer "))
    if held is None or held["until"] < time.time():
        return _outcome(401)
    if is_create:
        return _create(ehr, kind, held["scope"])
    if request.method == "PUT":
        return _change(ehr, kind, name, held["scope"])
    if name:
        found = ehr.store.get((kind, name))
        return _json(found, kind=FHIR_JSON) if found else _outcome(404)
    entries = [
        {"resource": r, "search": {"mode": "match"}}
        for r in _search(ehr, kind, {**request.args.to_dict(), **request.form.to_dict()})
    ]
    return _json(
        {"resourceType": "Bundle", "type": "searchset", "total": len(entries), "entry": entries},
        kind=FHIR_JSON,
    )


def _search(ehr: Ehr, kind: str, wanted: dict[str, str]) -> list[Json]:
    found = ehr.of_type(kind)
    if patient := wanted.get("patient"):
        found = [
            r for r in found if patient in json.dumps(r.get("subject") or r.get("patient") or {})
        ]
    identifier = wanted.get("identifier")
    if identifier and not ehr.ignores_search:
        found = [
            r
            for r in found
            if identifier in {f"{i['system']}|{i['value']}" for i in r.get("identifier", [])}
        ]
    return found


def _create(ehr: Ehr, kind: str, scope: str) -> Response:
    if f"patient/{kind}.write" not in scope.split() and f"patient/{kind}.c" not in scope.split():
        return _outcome(403)
    ehr.stopping.wait(ehr.write_delay)
    resource = request.get_json(force=True)
    condition = dict(parse_qsl(request.headers.get("If-None-Exist", "")))
    with ehr.lock:
        there = _search(ehr, kind, condition) if condition and not ehr.ignores_condition else []
        if there:
            held = ehr.conflicts.get(kind)
            return _outcome(held) if held else _json(there[0], kind=FHIR_JSON)
        resource["id"] = secrets.token_hex(6)
        if not ehr.keeps_status:
            resource["status"] = "active"
        ehr.store[kind, resource["id"]] = resource
        if ehr.doubles:
            twin = {**resource, "id": secrets.token_hex(6)}
            ehr.store[kind, twin["id"]] = twin
    if answers := ehr.conflicts | ehr.after_writing:
        if answers.get(kind) == 0:
            ehr.stopping.wait(8)
        if kind in answers:
            return _outcome(answers[kind] or 504)
    return _json(resource, 201, FHIR_JSON, Location=f"{ehr.iss}/{kind}/{resource['id']}/_history/1")


def _change(ehr: Ehr, kind: str, name: str, scope: str) -> Response:
    if not {f"patient/{kind}.write", f"patient/{kind}.u"} & set(scope.split()):
        return _outcome(403)
    if ehr.signs_before_change:
        ehr.store[kind, name]["status"] = "active"
        return _outcome(412)
    ehr.store[kind, name] = request.get_json(force=True)
    return _json(ehr.store[kind, name], kind=FHIR_JSON)


def _outcome(status: int) -> Response:
    body = {
        "resourceType": "OperationOutcome",
        "issue": [
            {"severity": "error", "code": "processing", "diagnostics": f"<i>no</i> {status}"}
        ],
    }
    return _json(body, status, FHIR_JSON)
