"""docs/settings.md, made by ``naltrexone-cds check --reference > docs/settings.md``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from cds_service.settings.shape import schema
from cds_service.settings.sources import ENV_PREFIX, FILE_VARIABLE

_HEAD = f"""\
# Settings

Made by `naltrexone-cds check --reference`; do not edit. What a setting means is said where it is
declared, in `cds_service/settings/model.py`.

Settings come from a TOML file (`--settings FILE` or `{FILE_VARIABLE}`). The plain ones of
the first table can also be set by a variable, such as `{ENV_PREFIX}PORT=8080`; lists are
comma-separated there. Arguments go over variables, variables over the file. `naltrexone-cds check`
says what is wrong with them and prints those in force.
"""

_TAIL = """\
## A production site

PostgreSQL needs its driver, which `requirements-postgres.txt` locks beside the rest. With the file
below as `production.toml`, in a fresh clone:

```sh
python3 -m venv .venv
.venv/bin/pip install -q --require-hashes -r requirements-postgres.txt
.venv/bin/pip install -q --no-deps -e .
.venv/bin/naltrexone-cds check --settings production.toml
.venv/bin/naltrexone-cds serve --settings production.toml
```

```toml
profile = "production"
content_acknowledged_by = "Dr. Ada Example, medication safety lead"
public_base_url = "https://cds.example.org"
database_url = "postgresql://cds@localhost/cds"     # the tables are made at the first start
time_zone = "America/Chicago"
workers = 2                                         # each answers up to `threads` calls at once
trusted_proxy = true                                # a proxy in front ends TLS and buffers bodies
audit_retention_days = 2190

[[clients]]
name = "Example Hospital"
issuer = "https://ehr.example.org/fhir"
jwks_url = "https://ehr.example.org/jwks.json"
fhir_bases = ["https://ehr.example.org/fhir"]
```
"""


def reference() -> str:
    """Every setting with its default, what is allowed and what it means, as Markdown."""
    declared = schema()
    tables = [
        ("Settings", "", declared),
        *(
            (title, name, declared["$defs"][kind])
            for title, name, kind in (
                ("Limits", "[limits]", "Limits"),
                ("Clients", "[[clients]]", "Client"),
                ("Use", "[use]", "Use"),
                ("Signed content", "[content_review]", "ContentReview"),
                ("Reviewers", "[[content_review.reviewers]]", "Reviewer"),
                ("SMART app", "[smart]", "Smart"),
                (
                    "SMART app at one EHR",
                    '[smart.issuers."https://ehr.example.org/fhir"]',
                    "SmartIssuer",
                ),
            )
        ),
    ]
    return "\n".join([_HEAD, *(line for table in tables for line in _table(*table)), _TAIL])


def _table(title: str, name: str, node: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {title}{f': `{name}`' if name else ''}\n"
    yield f"{node['description'].splitlines()[0].replace('``', '`')}\n"
    yield "| Setting | Default | Allowed | Meaning |\n|---|---|---|---|"
    required = node.get("required", [])
    for setting, declared in node["properties"].items():
        default = "required" if setting in required else f"`{_toml(declared.get('default'))}`"
        if _holds_tables(declared):
            default = "none"
        yield f"| `{setting}` | {default} | {_allowed(declared)} | {declared['description']} |"
    yield ""


def _toml(value: Any) -> str:
    return json.dumps(value)


def _allowed(declared: Mapping[str, Any]) -> str:
    if "enum" in declared:
        return ", ".join(f"`{_toml(value)}`" for value in declared["enum"])
    if "minimum" in declared:
        return f"{declared['minimum']:,} to {declared['maximum']:,}"
    if _holds_tables(declared):
        return "tables, below"
    if "enum" in declared.get("items", {}):
        return f"list of {_allowed(declared['items'])}"
    return {"string": "text", "boolean": "`true`, `false`", "array": "list of texts"}[
        declared["type"]
    ]


def _holds_tables(declared: Mapping[str, Any]) -> bool:
    return (
        "$ref" in declared
        or "additionalProperties" in declared
        or "$ref" in declared.get("items", {})
    )
