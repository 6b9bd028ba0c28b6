# What a maintainer types. `make check` needs no network once `make setup` has run.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup check test serve bench sbom

setup: ## an environment with everything locked, and the hooks of pre-commit where it is installed
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q --require-hashes -r requirements-lint.txt
	$(BIN)/pip install -q --no-deps -e .
	if command -v pre-commit >/dev/null; then pre-commit install; fi

check: ## what fails fast: style, types, content, documents; about a minute
	$(BIN)/ruff check cds_service tests
	$(BIN)/mypy
	$(BIN)/python -m cds_service check --fixtures fhir_fixtures
	$(BIN)/python -m pytest -q tests/architecture tests/content tests/unit

test: ## README's test command
	$(BIN)/python -m pytest -q

serve: ## the demo profile on http://127.0.0.1:8000
	$(BIN)/naltrexone-cds serve

bench: ## what a call costs, beside a bare Flask view
	$(BIN)/python -m tests.bench

sbom: ## CycloneDX 1.5 of what the lock installs in production, with hashes; needs uv
	mkdir -p dist
	uv export -q --frozen --no-dev --extra postgres --format cyclonedx1.5 -o dist/sbom.cdx.json
