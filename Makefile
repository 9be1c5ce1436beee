# `make` alone prints the targets. Each calls a tool that can also be called without make.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/pytest
# All tests of one file run in one worker, since they share a daemon or a stack; so do those of tests/system.
PARALLEL := -n auto --dist loadfile --no-loadscope-reorder
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps
# What tells pip to install somewhere else, something else, or nothing, is meant for other installs than that of .venv.
export PIP_USER := 0
unexport PIP_TARGET PIP_PREFIX PIP_ROOT PIP_DRY_RUN PIP_PYTHON PIP_CONSTRAINT PIP_REQUIREMENT PIP_EDITABLE PIP_GROUP PIP_UPGRADE
# What pip has installed and our own, on all cores; pip itself would use one. Files that are no Python of this version are
# passed over, and so is what only installs or tests, or what nothing of ours imports: nearly half of all.
SELDOM := faker/|pip/|pkg_resources/|setuptools/|supervisor/tests/|pygments/lexers/(?!__init__|_mapping)
COMPILE = $(BIN)/python -m compileall -qq -j 0 -x 'site-packages/($(SELDOM))' .venv/lib core daemons tui || true
# The wheel of a pip that each Python brings with it, which can be run as it is.
BUNDLED = import ensurepip, glob, os, sysconfig; \
	folder = sysconfig.get_config_var("WHEEL_PKG_DIR") or os.path.join(os.path.dirname(ensurepip.__file__), "_bundled"); \
	print(glob.glob(os.path.join(glob.escape(folder), "pip-*.whl"))[0])
JAVA ?= java
COMPOSE := docker compose --env-file .env.docker
.DEFAULT_GOAL := help
run dev migrate db-reset clean: export ORDERDECK_HOME ?= $(CURDIR)/.orderdeck

help:  ## print the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile | expand -t 22

run: $(BIN)/.installed  ## install, start every daemon, open the deck (without a terminal: the demo)
	@$(BIN)/orderdeck up --other-ports && if [ -t 0 ] && [ -t 1 ]; then exec $(BIN)/orderdeck tui; else exec $(BIN)/orderdeck demo; fi

test: $(BIN)/.installed-dev  ## the whole test suite
	@$(PYTEST) $(PARALLEL)

test-unit: $(BIN)/.installed-dev  ## the tests that need no server: domain, projections, sagas
	@$(PYTEST) tests/domain tests/projections tests/sagas

test-int: $(BIN)/.installed-dev  ## the tests on a real PostgreSQL and on running daemons
	@$(PYTEST) $(PARALLEL) tests/contracts tests/services tests/daemons tests/system

golden: $(BIN)/.installed-dev  ## take the pictures of the deck anew, when its look has changed on purpose
	@$(PYTEST) -q tests/tui tests/pictures tests/recipes/screen -k looks_like_its_picture --snapshot-update

clients: $(BIN)/.installed-dev  ## generate a client from each OpenAPI document, and have it parse every documented error
	@$(PYTHON) -m venv .venv/clients && .venv/clients/bin/pip install --quiet --disable-pip-version-check openapi-python-client
	@OPENAPI_PYTHON_CLIENT=$(CURDIR)/.venv/clients/bin/openapi-python-client $(PYTEST) tests/daemons/test_generated_clients.py

registry: $(BIN)/.installed-dev  ## register every schema in a real Apicurio; needs Maven and Java 21 or newer; JAVA=/path/to/java
	@JAVA="$(JAVA)" tests/kafka/registry.sh $(PYTEST) -n 0 -q tests/kafka/test_schema_registry.py

check: $(BIN)/.installed-dev  ## format, lint, types, import contracts, schemas of events, alerts and dashboards; changes nothing
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/basedpyright && $(BIN)/basedpyright -p tests && $(BIN)/lint-imports && $(BIN)/python -m tests.support.event_schemas --check && $(BIN)/buf lint proto && $(BIN)/buf breaking proto --against tests/data/grpc/orderdeck.v1.binpb && $(PYTEST) -q -n 0 -k "promtool or fires" tests/test_monitoring.py

proto: $(BIN)/.installed-dev  ## make the Python of proto/ anew
	@$(BIN)/python -m tests.support.proto

fix: $(BIN)/.installed-dev  ## format, and repair what lint can
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

bench: $(BIN)/.installed-dev  ## measure, beside peers on the same PostgreSQL; ARGS="commands cost", "rebuild --million"
	@$(BIN)/python -m bench $(ARGS)

chaos: $(BIN)/.installed-dev  ## 5 000 orders while everything is killed; ARGS="--seed 7 --orders 500", "--distributed", "--mutants"
	@$(BIN)/python -m tests.chaos $(ARGS)

attack: $(BIN)/.installed-dev  ## 1 000 000 hostile requests to a stack of its own; ARGS="--seed 7 --requests 20000"
	@$(BIN)/python -m tests.hostile $(ARGS)

soak: $(BIN)/.installed-dev  ## 5 000 random keys, clicks, pastes, sizes and lost feeds at the deck
	@DECK_INPUTS=5000 $(PYTEST) -n 0 tests/tui/test_deck_fuzz.py

dev: $(BIN)/.installed-dev  ## start everything with five orders; restart the daemons whenever code changes; Ctrl-C stops all
	@trap 'exit 0' INT TERM; trap '$(BIN)/orderdeck down' EXIT; $(BIN)/orderdeck up --other-ports && $(BIN)/orderdeck demo && $(BIN)/watchfiles --filter python '$(BIN)/orderdeck ctl restart all' core daemons

watch: $(BIN)/.installed-dev  ## run the quick tests, and again whenever code changes; ARGS="tests/tui -k palette" for others
	@$(BIN)/watchfiles --filter python '$(PYTEST) -q -n 0 $(or $(ARGS),tests/domain tests/projections tests/sagas)' core daemons tui tests

build: $(BIN)/.installed  ## the wheel and the source archive, in dist/
	@rm -rf dist && $(BIN)/python -m hatchling build

try-wheel:  ## install the wheel in dist/ into an empty environment, start it, play the demo, verify, stop
	@PYTHON="$(PYTHON)" deploy/try-wheel.sh

migrate: $(BIN)/.installed  ## bring the database's schema up to date
	@$(BIN)/orderdeck migrate

db-reset: $(BIN)/.installed  ## stop, and forget every order of this home
	@$(BIN)/orderdeck down --forget

clean:  ## stop, and remove the environment and all caches; orders stay
	@if [ -x $(BIN)/orderdeck ]; then $(BIN)/orderdeck down; fi; rm -rf .venv .pytest_cache .ruff_cache .hypothesis .import_linter_cache .coverage htmlcov dist

docker-build:  ## build the image orderdeck:local
	@docker build --tag orderdeck:local .

docker-up: .env.docker  ## PostgreSQL, Kafka, Redis and each daemon in a container; ARGS="--profile tools" for kafka-ui, pgAdmin, Prometheus and Grafana
	@$(COMPOSE) $(ARGS) up --detach --build --wait

docker-down: .env.docker  ## stop the containers, keep their data
	@$(COMPOSE) --profile tools down

.env.docker:
	@umask 077 && $(PYTHON) -c 'import secrets; print(f"POSTGRES_PASSWORD={secrets.token_hex(16)}\nPGADMIN_PASSWORD={secrets.token_hex(16)}")' > $@

image:  ## build the image without a container engine, and try it; needs root, buildah and debootstrap
	@deploy/build-image.sh

# Each of these files is touched after an install, so that a second run installs nothing and needs no network.
$(BIN)/.installed: $(BIN)/pip requirements.txt pyproject.toml
	@$(PIP) --no-compile --require-hashes -r requirements.txt
	@$(COMPILE)
	@$(PIP) --no-build-isolation -e .
	@touch $@

$(BIN)/.installed-dev: requirements-dev.txt $(BIN)/.installed
	@$(PIP) --no-compile --require-hashes -r requirements-dev.txt
	@$(COMPILE)
	@touch $@

# The pip that comes with Python 3.11 takes twice as long for the rest as ours. So it installs ours and nothing else, and is not
# installed itself.
$(BIN)/pip: requirements-pip.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "orderdeck needs Python 3.11 or newer: install one, or say make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import venv; $(BUNDLED)' >/dev/null 2>&1 || { echo "this Python cannot make environments: install python3-venv (apt install python3-venv)"; exit 1; }
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv --without-pip .venv
	@wheel="$$($(PYTHON) -c '$(BUNDLED)')" && PYTHONPATH="$$wheel" $(PIP) --no-compile --require-hashes -r requirements-pip.txt
	@touch $@

.PHONY: help run test test-unit test-int golden clients registry check fix bench chaos attack soak dev watch build try-wheel migrate db-reset clean docker-build docker-up docker-down image
