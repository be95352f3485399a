# make help lists the targets. All that is needed: Python >= 3.11, make, and a package registry.

PYTHON ?= python3
BIN := .venv/bin
DATA ?=
OPTIONS ?=
SEED ?= 1
FAULTS ?= 200
EXAMPLES ?= 500

.PHONY: help setup test chaos fuzz audit lint docs demo up deploy upgrade lock peer clean

help:
	@echo "make setup   install everything into .venv"
	@echo "make test    run the tests"
	@echo "make fuzz    send the API what its OpenAPI document allows and forbids, and decode and"
	@echo "             unpack what nobody would send (EXAMPLES=500 SEED=1)"
	@echo "make audit   look up the pinned packages among known vulnerabilities"
	@echo "make chaos   break a running service FAULTS=200 times by SEED=1, and check what came of it"
	@echo "make lint    check format, style and types"
	@echo "make docs    build the pages of docs/ as a site in build/site"
	@echo "make demo    run the whole service once over photographs (DATA=folder for your own)"
	@echo "make up      run the service: API, workers and Redis (DATA=folder of your images)"
	@echo "make deploy  run it on a lab's server, by Docker Compose (DATA=folder of images)"
	@echo "make upgrade bring that to the newest version, after a backup (OPTIONS=--no-checkpoints)"
	@echo "make lock    pin the newest versions that fit in requirements.txt"
	@echo "make peer    install lightly-train, which benchmarks.train compares with, into .venv-peer"
	@echo "make clean   remove what the above have made, except var/ with the service's data"

setup: .venv/.stamp

.venv/.stamp: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "Python >= 3.11 is needed, and $(PYTHON) is `$(PYTHON) --version 2>&1`;" \
	         "name another: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
	    echo "$(PYTHON) has no venv module; on Debian and Ubuntu: apt install python3-venv" >&2; \
	    exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip install --python $(BIN)/python --compile-bytecode -r requirements.txt
	$(BIN)/uv pip install --python $(BIN)/python --no-deps -e .
	@touch $@

# Bytecode is written whatever the user has set: hundreds of processes would compile it each anew.
# Three processes for two cores: many tests wait for servers. Four only get into each other's way.
test: setup
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 3 --durations 10

fuzz: setup
	FUZZ_EXAMPLES=$(EXAMPLES) FUZZ_SEED=$(SEED) \
	    $(BIN)/python -m pytest -s --timeout 0 --hypothesis-show-statistics \
	    $(shell find tests -name 'test_*_fuzz.py')

audit: setup
	$(BIN)/uv tool run pip-audit==2.10.1 --strict --no-deps --disable-pip \
	    --requirement requirements.txt

chaos: setup
	$(BIN)/python -m tests.chaos --faults $(FAULTS) --seed $(SEED)

lint: setup
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/hadolint docker/Dockerfile.*

docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

demo: setup
	$(BIN)/python -m service.demo $(if $(DATA),--data "$(DATA)")

up: setup
	$(BIN)/paka-server up $(if $(DATA),--data "$(DATA)")

deploy:
	docker/deploy.sh "$(DATA)"

upgrade:
	docker/upgrade.sh $(OPTIONS)

lock: setup
	$(BIN)/uv pip compile --quiet --upgrade --no-header --no-annotate --no-emit-index-url \
	    --all-extras pyproject.toml --output-file requirements.txt

peer: setup
	$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python .venv-peer
	$(BIN)/uv pip install --python .venv-peer/bin/python --group peer

clean:
	rm -rf .venv .venv-peer demo build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
