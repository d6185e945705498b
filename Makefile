# Everything a developer or a pipeline runs. Needs Python 3.11 or newer and make; the rest installs itself into .venv.
# The recipes keep to POSIX sh.

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
MINISTACK_VENV := build/ministack-venv
MINISTACK_STAMP := $(MINISTACK_VENV)/.installed
LOCK_VENV := build/lock-venv
LOCK_STAMP := $(LOCK_VENV)/.installed
INFRA := infra/cdk
INFRA_VENV := build/infra-venv
INFRA_STAMP := $(INFRA_VENV)/.installed
QUIET_NODE := JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION=1
AUDIT_VENV := build/audit-venv
AUDIT_STAMP := $(AUDIT_VENV)/.installed
DIST_VENV := build/dist-venv
DIST_STAMP := $(DIST_VENV)/.installed
# -I: no module of the current folder or of a PYTHONPATH is run in place of the tool.
PIP := -I -m pip -qq --disable-pip-version-check --no-input install
# Nothing is resolved and nothing is built here: what is installed is what the lock names, whatever was published since.
LOCKED := $(PIP) --require-hashes --no-deps --only-binary=:all:
# Most modules of an environment in build/ are never loaded; those that are, are compiled then.
BUILT := $(LOCKED) --no-compile
OURS := $(PIP) --no-deps --no-build-isolation
CONSTRAINTS := build/constraints.txt
COMPILE = CUSTOM_COMPILE_COMMAND="make lock" $(LOCK_VENV)/bin/python -I -m piptools compile --quiet --no-config --generate-hashes \
	--no-strip-extras --allow-unsafe --no-emit-options --no-emit-index-url --no-emit-find-links --no-emit-trusted-host

# Else every process that the tests start would compile the library and its tests again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo dev example-air-quality test browser engines e2e ministack sim sim-long mutants check site format docs bench-cost bench-cold bench-throughput bench-sqs bench-task-pool bench-lists infra template iam cdk dist lock audit clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

install: $(STAMP) ## Make .venv from the lock; nothing happens when it is up to date

demo: $(STAMP) ## Watch a pool work on this machine, no AWS account needed (ARGS="..." goes to `workpool demo`)
	$(BIN)/workpool demo $(ARGS)

dev: $(STAMP) ## Run the demo's job with the dashboard (ARGS="jobs:send_email" goes to `workpool dev`)
	$(BIN)/workpool dev $(ARGS)

example-air-quality: $(STAMP) ## Watch a week of an hourly schedule pass, with its page in a browser (ARGS="--exit-when-done")
	$(BIN)/python examples/air_quality/local.py $(ARGS)

test: $(STAMP) ## Run the tests, on all cores (ARGS="..." goes to pytest; with -n0 in one process, for a debugger)
	$(BIN)/python -I -m pytest --numprocesses auto --dist worksteal $(ARGS)

engines: $(STAMP) $(MINISTACK_STAMP) ## Run the store's contract on MiniStack and on the DynamoDB that WORKPOOL_TEST_ENDPOINT names, and the library's tests on moto (ARGS="..." goes to pytest)
	$(BIN)/python -I -m pytest tests/contract tests/emulator tests/engines --engine ministack $(if $(WORKPOOL_TEST_ENDPOINT),--engine endpoint) $(ARGS)
	$(if $(ARGS),,$(BIN)/python -I -m pytest tests/acceptance tests/cli tests/integration tests/peer --engine moto -k moto --numprocesses auto --dist worksteal)

e2e: $(STAMP) $(MINISTACK_STAMP) $(INFRA_STAMP) $(INFRA)/node_modules ## `cdk deploy` to an emulated AWS and run jobs on it, in real processes, for some minutes; wants Node
	$(BIN)/python -I -m pytest tests/e2e --e2e --numprocesses 2 --dist loadscope $(ARGS)

browser: $(STAMP) ## Look at the dashboard's and the example's pages in a headless Chromium, which must be there (ARGS="..." goes to pytest)
	$(BIN)/python -I -m pytest tests/dashboard tests/examples -m browser --browser --numprocesses auto --dist loadfile $(ARGS)

ministack: $(MINISTACK_STAMP) ## Make build/ministack-venv, the emulated AWS, from its own lock

sim: $(STAMP) ## Simulate schedules with faults, and remove some guards: COUNT=5000 seeds, SEED=31 one with its trace (ARGS="..." goes to tests.simulation.sweep)
	$(BIN)/python -m tests.simulation.sweep $(if $(SEED),--seed $(SEED),$(if $(COUNT),--count $(COUNT),--calls 1500000 --mutants quick)) $(ARGS)
	$(if $(SEED)$(COUNT),,$(BIN)/python -m tests.simulation.throng)

sim-long: $(STAMP) ## The same for HOURS=8, from FIRST=100000 on, then with every guard removed; then fuzz items, events and programs for an hour
	$(BIN)/python -m tests.simulation.sweep --hours $(or $(HOURS),8) --first $(or $(FIRST),100000) --keep-going --mutants all $(ARGS)
	$(BIN)/python -m tests.fuzz --hours 1 --first $(or $(FIRST),100000)

mutants: $(STAMP) ## Edit the code at the edges at random and see whether tests notice (ARGS="core/views/listing.py --all" goes to tests.mutation)
	$(BIN)/python -m tests.mutation $(ARGS)

check: site ## Check format, lint, types, the direction of imports, prose, sizes, locks, the tools of the repository, and that packages and the documentation site build
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	@PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright --level error
	$(BIN)/lint-imports
	$(BIN)/python -I -m pytest -q tests/arch tests/examples tests/mutation tests/unit/benchmarks -m form --numprocesses auto --dist worksteal

format: $(STAMP) ## Format the code and repair what the linter can
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

site: $(STAMP) ## Build the documentation site into build/site, warnings as errors; build/site/index.html opens without a server
	@$(BIN)/python -m tools.docs_site.sources build/site-source
	@$(BIN)/python -I -m sphinx --fresh-env --fail-on-warning --keep-going --quiet --conf-dir tools/docs_site build/site-source build/site
	@echo "build/site/index.html"

docs: $(STAMP) ## Write docs/lifecycle.md and its picture from the table of moves
	$(BIN)/python -m tools.lifecycle_page

bench-cost: $(STAMP) ## Measure DynamoDB units an action (ARGS="..." goes to benchmarks.cost)
	$(BIN)/python -m benchmarks.cost $(ARGS)

bench-cold: $(STAMP) ## Measure the CPU of cold starts beside bare handlers (ARGS="..." goes to benchmarks.cold)
	$(BIN)/python -m benchmarks.cold $(ARGS)

bench-throughput: $(STAMP) ## Measure starts a second, lag and filled slots, with the CPU of the loop (ARGS="..." goes to benchmarks.throughput)
	$(BIN)/python -m benchmarks.throughput $(ARGS)

bench-sqs: $(STAMP) $(MINISTACK_STAMP) ## Run a pool beside an SQS queue with a Lambda event source on an emulated AWS, for some minutes (ARGS="--limit 4")
	$(BIN)/python -m benchmarks.sqs $(ARGS)

bench-task-pool: $(STAMP) ## Measure the task pool beside ThreadPoolExecutor (ARGS="..." goes to benchmarks.task_pool)
	$(BIN)/python -m benchmarks.task_pool $(ARGS)

bench-lists: $(STAMP) ## Count requests and read units of each page of the dashboard, in pools of up to 100,000 work items (ARGS="--sizes 1000")
	$(BIN)/python -m benchmarks.lists $(ARGS)

infra: $(INFRA_STAMP) ## Check types and tests of the construct in infra/cdk, in an environment of its own; wants Node (ARGS="..." goes to pytest)
	@command -v node >/dev/null || { echo "workpool: no node here; the construct is made of it (jsii). Node 22 or newer" >&2; exit 1; }
	$(INFRA_VENV)/bin/mypy --strict $(INFRA)/workpool_cdk $(INFRA)/app.py examples/bookshop/deploy.py
	MYPYPATH=examples/air_quality/src $(INFRA_VENV)/bin/mypy --strict examples/air_quality/deploy.py
	$(QUIET_NODE) $(INFRA_VENV)/bin/python -I -m pytest tests/infra --numprocesses auto --dist loadfile $(ARGS)

template: $(INFRA_STAMP) ## Write a plain CloudFormation template and the zip of its code into build/template (ARGS="--config FILE --out FOLDER")
	@$(QUIET_NODE) $(INFRA_VENV)/bin/python -I -m workpool_cdk.template --config $(INFRA)/workpool.toml --out build/template $(ARGS)

iam: $(INFRA_STAMP) ## Write tests/infra/iam.json, the permissions to be reviewed, from the construct
	PYTHONPATH=.:$(INFRA) $(QUIET_NODE) $(INFRA_VENV)/bin/python -m tests.infra.statements

cdk: $(INFRA_STAMP) $(INFRA)/node_modules ## Install what deploys: then `cd infra/cdk && npx cdk deploy` (docs/deploy.md)

dist: $(STAMP) $(DIST_STAMP) ## Build what is published into dist/, check it, and install it with each extra in an empty environment
	@rm -rf dist
	@$(BIN)/python -I -m hatchling build -d dist
	@cd $(INFRA) && ../../$(BIN)/python -I -m hatchling build -d ../../dist
	@$(DIST_VENV)/bin/python -I -m twine --no-color check --strict dist/*
	@$(DIST_VENV)/bin/python -I -m check_wheel_contents dist/*.whl
	@$(BIN)/python -I tools/constraints.py >$(CONSTRAINTS)
	@$(BIN)/python -I tools/try_wheel.py dist $(CONSTRAINTS)

lock: $(LOCK_STAMP) ## Renew all locks within the bounds of the projects (ARGS="--upgrade" for newest); wants Python 3.11
	$(COMPILE) --output-file requirements/installer.txt $(ARGS) requirements/installer.in
	cp requirements/installer.txt $(INFRA)/workpool_cdk/installer-requirements.txt
	$(COMPILE) --constraint requirements/installer.txt --output-file requirements/lock.txt $(ARGS) requirements/lock.in
	$(COMPILE) --constraint requirements/installer.txt --output-file requirements/audit.txt $(ARGS) requirements/audit.in
	$(COMPILE) --constraint requirements/installer.txt --output-file requirements/dist.txt $(ARGS) requirements/dist.in
	$(COMPILE) --extra cli --extra dashboard --extra local --extra otel --extra dev --output-file requirements/dev.txt $(ARGS) pyproject.toml
	$(COMPILE) --output-file requirements/ministack.txt $(ARGS) requirements/ministack.in
	$(LOCK_VENV)/bin/python -I tools/constraints.py >$(CONSTRAINTS)
	$(COMPILE) --constraint $(CONSTRAINTS) --output-file $(INFRA)/workpool_cdk/lambda-requirements.txt pyproject.toml
	$(LOCK_VENV)/bin/python -I tools/infra_requirements.py | \
		$(COMPILE) --constraint $(CONSTRAINTS) --output-file $(INFRA)/requirements.txt $(ARGS) -
	$(LOCK_VENV)/bin/python -I tools/lock_metadata.py

audit: $(AUDIT_STAMP) ## Compare the locks with published advisories: 0 none is known, 1 some are, 2 the source could not be asked
	@$(AUDIT_VENV)/bin/python -I tools/audit.py

clean: ## Remove what the other targets made, .venv too
	rm -rf $(VENV) $(INFRA)/node_modules $(INFRA)/cdk.out build dist .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A half-made .venv (an interrupted first run, a Python that was removed since) is made anew.
$(STAMP): requirements/installer.txt requirements/dev.txt pyproject.toml
	@$(BIN)/python -I -c 'import sys, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { $(call make-venv,$(VENV)); }
	@echo "installing from requirements/dev.txt"
	@$(BIN)/python $(LOCKED) -r requirements/installer.txt
	@$(BIN)/python $(LOCKED) -r requirements/dev.txt
	@$(BIN)/python $(OURS) --editable .
	@touch $@

# MiniStack pins the SDK that it needs, so it has an environment of its own.
$(MINISTACK_STAMP): requirements/installer.txt requirements/ministack.txt
	@$(call make-venv,$(MINISTACK_VENV))
	@$(MINISTACK_VENV)/bin/python $(BUILT) -r requirements/installer.txt
	@$(MINISTACK_VENV)/bin/python $(BUILT) -r requirements/ministack.txt
	@touch $@

# Two locks, one environment: the second was resolved beside the first, so that they agree on every package that both have.
$(INFRA_STAMP): requirements/installer.txt requirements/dev.txt $(INFRA)/requirements.txt pyproject.toml $(INFRA)/pyproject.toml
	@$(call make-venv,$(INFRA_VENV))
	@$(INFRA_VENV)/bin/python $(BUILT) -r requirements/installer.txt
# aws-cdk-lib and a dependency of it both bring aws_cdk/cloud_assembly_schema, and jsii needs that of aws-cdk-lib: it is installed last.
	@sed '/^aws-cdk-lib==/,/# via/d' $(INFRA)/requirements.txt >build/before-cdk.txt
	@$(INFRA_VENV)/bin/python $(BUILT) -r requirements/dev.txt -r build/before-cdk.txt
	@$(INFRA_VENV)/bin/python $(BUILT) -r $(INFRA)/requirements.txt
	@$(INFRA_VENV)/bin/python $(OURS) --editable . --editable $(INFRA)
	@touch $@

# Scripts of packages are not run: nothing here needs one.
$(INFRA)/node_modules: $(INFRA)/package-lock.json
	@cd $(INFRA) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

$(LOCK_STAMP): requirements/installer.txt requirements/lock.txt
	@$(call make-venv,$(LOCK_VENV))
	@$(LOCK_VENV)/bin/python $(BUILT) -r requirements/installer.txt
	@$(LOCK_VENV)/bin/python $(BUILT) -r requirements/lock.txt
	@touch $@

$(AUDIT_STAMP): requirements/installer.txt requirements/audit.txt
	@$(call make-venv,$(AUDIT_VENV))
	@$(AUDIT_VENV)/bin/python $(BUILT) -r requirements/installer.txt
	@$(AUDIT_VENV)/bin/python $(BUILT) -r requirements/audit.txt
	@touch $@

$(DIST_STAMP): requirements/installer.txt requirements/dist.txt
	@$(call make-venv,$(DIST_VENV))
	@$(DIST_VENV)/bin/python $(BUILT) -r requirements/installer.txt
	@$(DIST_VENV)/bin/python $(BUILT) -r requirements/dist.txt
	@touch $@

make-venv = $(require-python) rm -rf $(1) && echo "making $(1)" && "$(PYTHON)" -I -m venv $(1)

define require-python
command -v "$(PYTHON)" >/dev/null || { echo "workpool: no $(PYTHON) here. Name a Python of 3.11 or newer: make PYTHON=python3.12 ..." >&2; exit 1; }; \
"$(PYTHON)" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "workpool: $(PYTHON) is $$("$(PYTHON)" -V 2>&1), 3.11 or newer is needed. Name one: make PYTHON=python3.12 ..." >&2; exit 1; }; \
"$(PYTHON)" -I -c 'import venv, ensurepip' 2>/dev/null || { echo "workpool: $(PYTHON) has no venv module. On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; };
endef
