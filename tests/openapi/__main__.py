"""Hold the running service against its own description: ``python -m tests.openapi [examples per endpoint]``.

Schemathesis is not among the test requirements: this needs an environment that has both it and the service. It calls
every endpoint with bodies that fit the description and with bodies that do not, and ends with 1 for a 5xx, or an answer
of another status, kind or shape than described.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.conftest import run_service

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
READY = "/(startupz|readyz)$"  # 503 while the service starts is what they say


def main(examples: str = "25") -> int:
    with tempfile.TemporaryDirectory() as folder, run_service(Path(folder)) as service:
        command = ["schemathesis", "run", f"{service.url}/openapi.json", "--url", service.url]
        command += ["--checks", CHECKS, "--max-examples", examples, "--seed", "1", "--workers", "1"]
        command += ["--phases", "coverage,fuzzing", "--request-timeout", "20"]
        command += ["--exclude-path-regex", READY]
        beside = Path(sys.executable).with_name("schemathesis")
        command[0] = str(beside) if beside.exists() else command[0]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
