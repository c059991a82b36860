# Concord. `make` prints what can be done; `make run` and `make test` need Python 3.11+ and nothing else.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
LOCKS  := deploy/locks
ARGS   ?=
COUNT  ?= 300000
SEED   ?= 1

.DEFAULT_GOAL := help
.PHONY: help install protos run test test-fast cover lint types contracts format check schemathesis bench soak catalogue \
        baseline stubs lock openid-client scaleway-sdk wheel image up down release clean

help: ## print these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Stamps: a target's set-up runs again only when what it depends on has changed.
PROTOS := $(shell find protos -name '*.proto')

$(VENV)/.runtime: $(LOCKS)/runtime.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Concord needs Python 3.11 or newer")'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r $(LOCKS)/runtime.lock
	@$(BIN)/python -c "import pathlib, sysconfig; pathlib.Path(sysconfig.get_path('purelib'), 'concord.pth').write_text(str(pathlib.Path('services').resolve()) + '\n')"
	@printf '#!/bin/sh\nexec "$(abspath $(BIN))/python" -m concord.suite.cli "$$@"\n' > $(BIN)/concord && chmod +x $(BIN)/concord
	@touch $@

$(VENV)/.dev: $(LOCKS)/dev.lock $(VENV)/.runtime
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r $(LOCKS)/dev.lock
	@touch $@

$(VENV)/.bench: $(LOCKS)/bench.lock $(VENV)/.dev
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes -r $(LOCKS)/bench.lock
	@touch $@

$(VENV)/.protos: $(PROTOS) protos/compile.py $(VENV)/.runtime
	@$(BIN)/python protos/compile.py
	@touch $@

install: $(VENV)/.runtime $(VENV)/.protos ## set up what `make run` needs

protos: $(VENV)/.protos ## compile the contracts into services/concord/*/v1

run: install ## serve everything on the embedded default (ARGS="--port 0 …" are handed on)
	@$(BIN)/concord serve $(ARGS)

test: $(VENV)/.dev $(VENV)/.protos ## run every test that needs nothing but Python
	@$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not schemathesis" $(ARGS)

test-fast: $(VENV)/.dev $(VENV)/.protos ## run the tests that take no real processes
	@$(BIN)/python -m pytest -n 2 --dist loadgroup -m "not slow and not schemathesis" $(ARGS)

format: $(VENV)/.dev ## format the code
	@$(BIN)/ruff format services tests protos && $(BIN)/ruff check --fix services tests protos
	@$(BIN)/python protos/compile.py --format

lint: $(VENV)/.dev $(VENV)/.protos ## check style, imports and contracts
	@$(BIN)/ruff format --check services tests protos && $(BIN)/ruff check services tests protos
	@$(BIN)/lint-imports
	@$(BIN)/python protos/compile.py --lint

types: $(VENV)/.dev $(VENV)/.protos ## check types (mypy, strict)
	@$(BIN)/python protos/compile.py --typed
	@$(BIN)/mypy

check: lint types test schemathesis bench ## all that CI runs

schemathesis: $(VENV)/.dev $(VENV)/.protos ## walk each published OpenAPI document with generated requests
	@$(BIN)/python -m pytest tests/schemathesis -m schemathesis -s $(ARGS)

bench: $(VENV)/.bench $(VENV)/.protos ## measure against bare servers and peers; writes build/bench.json
	@PYTHONPATH=services:tests $(BIN)/python -m bench $(ARGS)

openid-client: $(VENV)/.dev $(VENV)/.protos ## let npm's openid-client go through the code flow (needs Node 20 and npm)
	@$(BIN)/python tests/e2e/openid_client/run.py

scaleway-sdk: $(VENV)/.dev $(VENV)/.protos ## let npm's @scaleway/sdk-iam run a quickstart (needs Node 20 and npm)
	@$(BIN)/python tests/e2e/scaleway_sdk/run.py

soak: $(VENV)/.dev $(VENV)/.protos ## hold the engine against its specification: make soak COUNT=300000 SEED=1
	@PYTHONPATH=services:tests $(BIN)/python -m policy.soak --count $(COUNT) --seed $(SEED)

catalogue: $(VENV)/.dev $(VENV)/.protos ## write the operations catalogue from the dialects' route tables
	@$(BIN)/concord catalogue

baseline: $(VENV)/.dev ## make today's contracts the ones that compatibility is checked against
	@$(BIN)/python protos/compile.py --baseline

stubs: $(VENV)/.dev ## generate clients outside the tree: make stubs LANG=typescript|go|java OUT=dir
	@$(BIN)/python protos/compile.py --stubs "$(LANG)" --out "$(OUT)"

lock: $(VENV)/.dev ## resolve the dependencies again
	@$(BIN)/python -m pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml --group stubs -o $(LOCKS)/runtime.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml --group stubs --group dev -c $(LOCKS)/runtime.lock -o $(LOCKS)/dev.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header pyproject.toml --extra bench -c $(LOCKS)/dev.lock -o $(LOCKS)/bench.lock

wheel: $(VENV)/.dev ## build the wheel into dist/
	@$(BIN)/python -m hatchling build -t wheel

image: ## build the container image (needs Docker)
	docker build -f deploy/Dockerfile -t concord:latest .

up: ## start the suite and PostgreSQL in containers (needs Docker)
	docker compose -f deploy/compose.yaml up --build -d

down: ## stop them
	docker compose -f deploy/compose.yaml down

clean: ## remove what was built (data directories stay)
	rm -rf build dist services/concord/*/v1 $(VENV)/.protos
