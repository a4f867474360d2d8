# Three commands: demo, test, check. Each sets up what it needs.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SYSTEM := redis-server prometheus prometheus-alertmanager
# What a scenario plays with, as program=package where the names differ.
SCENARIO ?= nginx
PLAYERS_nginx := nginx
PLAYERS_null := nginx
PLAYERS_postgresql := psql=postgresql-client /usr/lib/postgresql/*/bin/postgres=postgresql
PLAYERS_jvm := javac=openjdk-17-jdk-headless
PLAYERS_go := go=golang
PLAYERS_nodejs := node=nodejs

.PHONY: demo test check lock clean

demo: $(VENV)/.ready
	@scripts/system-packages $(SYSTEM) $(PLAYERS_$(SCENARIO))
	@$(BIN)/trimtab demo --scenario $(SCENARIO) $(ARGS)

test: $(VENV)/.dev
	@scripts/system-packages $(SYSTEM) $(PLAYERS_nginx) $(PLAYERS_postgresql)
	@$(BIN)/python -m pytest -n 2 --dist loadgroup $(ARGS)

check: $(VENV)/.dev
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

# Every package is installed by its hash; the project itself is linked, so that `git pull` is an upgrade.
$(VENV)/.ready: requirements/worker.txt pyproject.toml
	@scripts/virtual-environment $(VENV) $(PYTHON) requirements/worker.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml
	@scripts/virtual-environment $(VENV) $(PYTHON) requirements/dev.txt
	@touch $@ $(VENV)/.ready

lock:
	@scripts/lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
