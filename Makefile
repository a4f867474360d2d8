# demo, test, check, and the cluster's: each sets up what it needs.
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
# A real Kubernetes of one node for tests (docs/test-cluster.md). A short path: it holds unix sockets.
CLUSTER ?= /tmp/trimtab-cluster

.PHONY: demo test check lock clean cluster cluster-down cluster-programs test-cluster test-cluster-all

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

cluster:
	@tests/cluster/cluster.sh $(CLUSTER)

cluster-down:
	@tests/cluster/cluster-down.sh $(CLUSTER)
	@tests/cluster/cluster-leftovers.sh $(CLUSTER)

# kubectl, helm and kubeconform among them: enough to check the chart, without root and without a cluster.
cluster-programs:
	@tests/cluster/build.sh
	@tests/cluster/schemas.sh

ON_CLUSTER = tests/cluster/with-cluster.sh $(CLUSTER) $(BIN)/python -m pytest --durations=12 tests/cluster tests/helm tests/kubernetes_api

test-cluster: $(VENV)/.dev
	@$(ON_CLUSTER) -m "cluster and not slow_cluster" $(ARGS)

# The former, and then the rest.
test-cluster-all: test-cluster
	@$(ON_CLUSTER) -m "cluster and slow_cluster" $(ARGS)

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
