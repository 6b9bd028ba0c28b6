"""Every setting of this service: its type, default, range and meaning.

The complaints about a value and docs/settings.md are made from these declarations, so a setting
that is added here is checked and documented.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, Field, Strict

SANDBOX_ORIGINS = ("https://sandbox.cds-hooks.org", "http://localhost:8080")
# A member that is not known is refused, and a value that is checked again is checked whole.
_CONFIG = ConfigDict(extra="forbid", revalidate_instances="always")

Flag = Annotated[bool, Strict()]
Whole = Annotated[int, Strict()]
Text = Annotated[str, Strict()]
Name = Annotated[str, Strict(), Field(min_length=1)]
Texts = tuple[Text, ...]
ConsolePage = Literal["connect", "docs", "formulary", "play", "why"]


def means(said: str, low: int | None = None, high: int | None = None) -> Any:
    """What a setting means, and the least and the most of a number."""
    return Field(description=said, ge=low, le=high)


@dataclass(frozen=True, slots=True)
class Client:
    """An EHR that may call us; one ``[[clients]]`` table each."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    issuer: Annotated[Name, means("The `iss` of its tokens.")]
    name: Annotated[Text, means("What logs and the audit call it.")] = ""
    tenants: Annotated[
        Texts,
        means(
            "The `tenant` claims that it may name; empty: any, or none. One client per issuer and "
            "tenant."
        ),
    ] = ()
    jwks_url: Annotated[Text, means("Where its public keys are published.")] = ""
    jwks_file: Annotated[Text, means("A JWK Set in a file instead.")] = ""
    jku: Annotated[Texts, means("Exact URLs that a token's header may name.")] = ()
    fhir_bases: Annotated[
        Texts,
        means("The only FHIR base URLs that its calls can make us read: whole bases, no prefixes."),
    ] = ()
    null_means_unknown: Annotated[Flag, means('A prefetch null is "not fetched", not "none".')] = (
        False
    )
    prefetch_profile: Annotated[
        Literal["dated", "full", "status", "undated"],
        means(
            "What it is asked to send along: everything, only what is current, only recent "
            "entries (tokens of CDS Hooks 3.0), or also laboratory results and procedures."
        ),
    ] = "undated"
    cds_hooks_version: Annotated[
        Literal["", "1.0", "1.1", "2.0", "3.0"],
        means(
            "What it speaks: 1.x reads a delete that names a bare id, later versions one with "
            "`resourceId`. Empty: by the evidence of its calls, else by the hook."
        ),
    ] = ""
    strict_412: Annotated[
        Flag,
        means("412 instead of the could-not-check card where prefetch is missing."),
    ] = False
    topics_off: Annotated[Texts, means("Topics that are neither shown nor recorded as shown.")] = ()
    topics_silent: Annotated[
        Texts,
        means("Topics that are judged and recorded, not shown: how to pilot an alert."),
    ] = ()
    brief_repeats: Annotated[
        bool,
        means(
            "An alert that the same clinician overrode at order-select is said in one line at order-sign, "
            "while nothing of it has changed; needs the audit. A request can say otherwise by configuration-items."
        ),
    ] = False
    feedback_quota: Annotated[
        Whole, means("Stored feedback items before 503.", 1, 1_000_000_000)
    ] = 100_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What one call may cost: bytes, milliseconds and counts."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    body_bytes: Annotated[Whole, means("Largest body of a hook call.", 10_000, 100_000_000)] = (
        5_000_000
    )
    feedback_bytes: Annotated[
        Whole, means("Largest body of a feedback call.", 1_000, 10_000_000)
    ] = 64_000
    feedback_items: Annotated[Whole, means("Most items of a feedback call.", 1, 10_000)] = 200
    fhir_budget_ms: Annotated[
        Whole, means("Wall clock for all FHIR access of one call.", 200, 4_000)
    ] = 1_200
    fhir_bytes: Annotated[
        Whole,
        means("Largest answer of a FHIR server, after inflating.", 10_000, 100_000_000),
    ] = 2_000_000
    fhir_pages: Annotated[Whole, means("Most pages of one search.", 1, 100)] = 10
    jwks_timeout_ms: Annotated[
        Whole,
        means(
            "Wall clock of one fetch of a client's keys; no call waits for more than 0.8 s.",
            200,
            30_000,
        ),
    ] = 5_000
    requests_per_minute: Annotated[
        Whole,
        means(
            "Calls of one client in a minute over all workers and replicas of one store; "
            "0 = unlimited. The default is what fifty hospitals send.",
            0,
            10_000_000,
        ),
    ] = 60_000


@dataclass(frozen=True, slots=True)
class SmartIssuer:
    """How the titration app is known at one EHR; a ``[smart.issuers."<iss>"]`` table each."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    client_id: Annotated[Name, means("The app's id at this EHR.")]
    auth: Annotated[
        Literal["client_secret", "private_key_jwt", "public"],
        means("How the app proves who it is."),
    ] = "public"
    key_file: Annotated[
        Text,
        means("For private_key_jwt: an EC or RSA private key as JWK, JWK Set or PEM."),
    ] = ""
    secret_file: Annotated[
        Text, means("For client_secret: a file with the secret and nothing else.")
    ] = ""
    scopes: Annotated[Text, means("Scopes to ask for; empty: the least that the app needs.")] = ""


@dataclass(frozen=True, slots=True)
class Smart:
    """The titration app at an EHR's authorization server."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    issuers: Annotated[
        Mapping[Text, SmartIssuer],
        means("The EHRs that may launch the app, by their FHIR base URL (`iss`)."),
    ] = field(default_factory=dict)
    frame_ancestors: Annotated[Texts, means("Origins of EHRs that may embed the app.")] = ()
    key_file: Annotated[
        Text,
        means("Key of the sessions, one file for all replicas; empty: made once in data_dir."),
    ] = ""
    clinic_name: Annotated[Text, means("What stands on handouts and printed plans.")] = ""
    clinic_phone: Annotated[Text, means("The number that a handout tells the patient to call.")] = (
        ""
    )


@dataclass(frozen=True, slots=True)
class Use:
    """Who may see how the service is used, at `/use`; the demo profile shows it to anybody on this machine."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    identity_header: Annotated[
        Text,
        means(
            "The header in which a proxy that has logged the person in says who it is, such as "
            "`X-Forwarded-User`; the proxy must overwrite what a caller sends. Empty: no page."
        ),
    ] = ""
    proxies: Annotated[
        Texts,
        means("Addresses or networks of that proxy; the header is believed from nowhere else."),
    ] = ("127.0.0.1", "::1")
    viewers: Annotated[Texts, means("Who may see counts.")] = ()
    analysts: Annotated[
        Texts, means("Who may also list single events without any person, and download CSV.")
    ] = ()


@dataclass(frozen=True, slots=True)
class Reviewer:
    """Who may sign which verdicts the site's content changes; one ``[[content_review.reviewers]]`` table each."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    name: Annotated[Name, means("`Name, role`, as in the signature.")]
    key: Annotated[Name, means("The public key that `sign key` printed.")]


@dataclass(frozen=True, slots=True)
class ContentReview:
    """Whether the site's content is used only where a named reviewer has signed which verdicts it changes."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    required: Annotated[
        Flag,
        means(
            "Do not use a `content_overlay` whose diff no reviewer has signed, with these drug tables and "
            "rules; the packaged content answers instead, and `/readyz` says degraded."
        ),
    ] = False
    signatures: Annotated[Text, means("The file that `sign diff` writes.")] = ""
    reviewers: Annotated[tuple[Reviewer, ...], means("Whose signatures count.")] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the service was told."""

    __pydantic_config__: ClassVar[ConfigDict] = _CONFIG

    profile: Annotated[
        Literal["demo", "production"],
        means("demo answers anybody on this machine; production authenticates clients."),
    ] = "demo"
    host: Annotated[Text, means("Address to listen on.")] = "127.0.0.1"
    port: Annotated[Whole, means("Port to listen on.", 0, 65_535)] = 8000
    health_port: Annotated[
        Whole,
        means(
            "A second port with /livez, /readyz, /startupz and /metrics only, which no crowd at the "
            "first one reaches; 0 = none.",
            0,
            65_535,
        ),
    ] = 0
    public_base_url: Annotated[
        Text,
        means(
            "What EHRs call us by; never taken from a header. Empty, in the demo profile: "
            "http://host:port."
        ),
    ] = ""
    data_dir: Annotated[Text, means("Where the embedded store and keys live.")] = "var"
    database_url: Annotated[
        Text,
        means(
            "`postgresql://user@host/database` (needs the extra `postgres`) or "
            "`sqlite:///file`; empty: SQLite in data_dir."
        ),
    ] = ""
    time_zone: Annotated[Text, means("IANA name of the zone in which days are counted.")] = "UTC"
    auth: Annotated[
        Literal["", "all", "hooks", "off"],
        means(
            "Which calls need a client token: none, hooks and feedback, or discovery too. "
            "Empty: off in the demo profile, hooks in production."
        ),
    ] = ""
    audit: Annotated[
        Literal["best-effort", "off", "required"],
        means("required = an answer waits for its audit event, and fails with it."),
    ] = "best-effort"
    audit_key_file: Annotated[
        Text,
        means("Key of the patient hash, at least 32 characters; empty: made once in data_dir."),
    ] = ""
    audit_retention_days: Annotated[
        Whole,
        means("Age at which audit events are removed; 0 = never.", 0, 36_500),
    ] = 0
    audit_prescribers: Annotated[
        Flag, means("Keep a keyed hash of who prescribed with each shown card.")
    ] = False
    high_water_file: Annotated[
        Text,
        means(
            "Where it is written how much the store has held, apart from the store; empty: in "
            "data_dir."
        ),
    ] = ""
    metrics: Annotated[
        Literal["", "off", "on"],
        means("Prometheus metrics at /metrics. Empty: on in the demo profile, off in production."),
    ] = ""
    traces_endpoint: Annotated[
        Text,
        means(
            "Where OpenTelemetry traces go (OTLP over HTTP), such as "
            "http://collector:4318/v1/traces; needs the extra `telemetry`. Empty: no traces."
        ),
    ] = ""
    log_level: Annotated[
        Literal["DEBUG", "ERROR", "INFO", "WARNING"],
        means("Least severe events that are logged."),
    ] = "INFO"
    trusted_proxy: Annotated[
        Flag, means("Believe X-Forwarded-For and -Proto of exactly one proxy.")
    ] = False
    cors_origins: Annotated[
        Texts,
        means("Exact origins of browser clients; the demo profile allows the CDS Hooks sandbox."),
    ] = ()
    console: Annotated[
        tuple[ConsolePage, ...],
        means(
            "Pages to serve in production, beside `/` and `/rules/`, which are always there; the "
            "demo profile has all of them. `play` and `why` are for invented patients."
        ),
    ] = ()
    content_overlay: Annotated[
        Text,
        means("A folder of the site's own content files, merged over ours key by key."),
    ] = ""
    content_acknowledged_by: Annotated[
        Text,
        means(
            "`Name, role` of the person who answers for content that no clinician has signed "
            "(`reviewed_by: null`); production does not start without one."
        ),
    ] = ""
    content_review: Annotated[
        ContentReview, means("Whether content must be signed, and by whom.")
    ] = ContentReview()
    terminology_dir: Annotated[
        Text,
        means("Drug tables made by `terminology build`; empty: the packaged ones."),
    ] = ""
    unknown_names_file: Annotated[
        Text,
        means(
            "Where the names of medicines are listed that no table holds and that at least ten "
            "patients had, for `terminology unknown`; empty: nowhere. A name is a piece of a "
            "chart: keep the file on the site."
        ),
    ] = ""
    ca_file: Annotated[
        Text,
        means("PEM: the site's own authorities, beside the machine's, for every call we make."),
    ] = ""
    outbound_proxy: Annotated[
        Text,
        means(
            "`http://host:port` of a proxy, asked to CONNECT for every call we make; "
            "the environment is not asked."
        ),
    ] = ""
    threads: Annotated[
        Whole,
        means("Calls that one worker works on at once; a slow body holds one of them.", 1, 1_024),
    ] = 256
    workers: Annotated[
        Whole,
        means("Server processes; 0 = one for each core that may be used, at most 8.", 0, 64),
    ] = 0
    clients: Annotated[tuple[Client, ...], means("The EHRs that may call us.")] = ()
    limits: Annotated[Limits, means("What one call may cost.")] = Limits()
    smart: Annotated[Smart, means("The titration app.")] = Smart()
    use: Annotated[Use, means("Who may see how the service is used.")] = Use()

    @property
    def base_url(self) -> str:
        """The public base URL without a trailing slash."""
        return (self.public_base_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def is_demo(self) -> bool:
        return self.profile == "demo"

    @property
    def auth_mode(self) -> str:
        return self.auth or ("off" if self.is_demo else "hooks")

    @property
    def has_metrics(self) -> bool:
        return (self.metrics or ("on" if self.is_demo else "off")) == "on"

    @property
    def console_pages(self) -> frozenset[str]:
        """The pages of the console that are served here, beside ``/`` and ``/rules/``."""
        return frozenset(get_args(ConsolePage) if self.is_demo else self.console)

    @property
    def shows_use(self) -> bool:
        """Whether ``/use`` is served here: never in production without a way to know who looks at it."""
        return self.is_demo or bool(self.use.identity_header)

    @property
    def audit_key(self) -> Path:
        """The file with the key of the patient hash."""
        return Path(self.audit_key_file or Path(self.data_dir) / "audit.key")

    @property
    def high_water(self) -> Path:
        """The file that says how much the store has held."""
        return Path(self.high_water_file or Path(self.data_dir) / "high-water.json")

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @property
    def fhir_bases(self) -> tuple[str, ...]:
        return tuple(base for client in self.clients for base in client.fhir_bases)

    @property
    def database(self) -> str:
        """SQLAlchemy URL of the store."""
        return self.database_url or f"sqlite:///{Path(self.data_dir).resolve() / 'store.sqlite3'}"
