# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
# One set of targets for two worlds: with a sourced ROS 2 they use rosdep, colcon and ros2;
# everywhere else a virtual environment with pocket_ros2, which needs nothing but Python.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all lint docs bench clean \
  lint-python lint-ros test-pocket test-src test-tools test-vlm

ROS := $(if $(ROS_DISTRO),$(shell command -v ros2 2>/dev/null))
TESTS := not slow
BENCH := $(patsubst benchmarks/%.py,%,$(sort $(wildcard benchmarks/[a-z]*.py)))

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
setup: ## install what this machine still needs
demo: ## three sentences in the simulated cell: video, pictures and report in out/demo
test: ## check everything that is quick
test-all: ## run the slow tests too
lint: ## check style, types and house rules
docs: ## write the pages that are made from code
bench: ## measure everything, or one thing: make bench BENCH=name
clean: ## remove all that can be made again, .venv included

ifneq ($(ROS),)
# ---- a real ROS 2 is sourced -----------------------------------------------------------------
COLCON := colcon --log-base log

setup:
	rosdep install --from-paths src --ignore-src --default-yes
	$(COLCON) build --base-paths src --symlink-install

test:
	$(MAKE) setup
	$(COLCON) test --base-paths src --return-code-on-test-failure \
	  --event-handlers console_direct+ --pytest-args -m "$(TESTS)"
	colcon test-result --verbose

lint: lint-ros
	python3 tools/check_tree.py

demo:
	@if [[ ! -f install/setup.bash ]]; then echo "demo: the workspace is not built yet;" \
	  "type: make setup" >&2; exit 1; fi
	set +u; source install/setup.bash; ros2 run roborefer_bringup demo --out out/demo

docs:
	@echo "docs: the pages are made from what runs without ROS 2; use a shell without it" >&2; exit 1

bench:
	@echo "bench: the benchmarks measure what runs without ROS 2; use a shell without it" >&2; exit 1
else
# ---- no ROS 2: a virtual environment ---------------------------------------------------------
PYTHON_VENV := .venv/bin/python
PYTEST := $(PYTHON_VENV) -m pytest -q -m "$(TESTS)"
STRICT := $(wildcard pocket_ros2/pocket_ros2/wire pocket_ros2/pocket_ros2/idl \
  pocket_ros2/pocket_ros2/cli pocket_ros2/pocket_ros2/*.py pocket_ros2/*.py tools/*.py \
  vlm/roborefer_vlm)
STRICT_SRC := $(wildcard src/*/*/core src/*/*/exceptions.py)

setup: .venv/.ready

.venv/.ready: requirements.txt tools/setup.sh tools/system-packages.txt $(wildcard */pyproject.toml)
	tools/setup.sh

test: lint test-pocket test-src test-tools test-vlm

lint: lint-python lint-ros

lint-python: setup
	$(PYTHON_VENV) tools/check_tree.py
	$(PYTHON_VENV) -m ruff check --quiet .
	$(PYTHON_VENV) -m ruff format --check --quiet .
	$(PYTHON_VENV) -m mypy $(STRICT)
	# Apart: beside src/*/launch, mypy would take that folder for the module of that name.
	$(PYTHON_VENV) -m mypy $(STRICT_SRC)

test-pocket: setup
	cd pocket_ros2 && ../$(PYTEST) tests

test-src: setup
	$(PYTEST) $(wildcard src/*/test)

test-tools: setup
	$(PYTEST) tools/tests

test-vlm: setup
	$(if $(wildcard vlm/tests),$(PYTEST) vlm/tests)

demo: setup
	.venv/bin/pocket-ros2 run roborefer_bringup demo --out out/demo

docs: setup
	$(PYTHON_VENV) pocket_ros2/tools/api_table.py

bench: setup
	mkdir -p benchmarks/results
	for name in $(BENCH); do \
	  $(PYTHON_VENV) benchmarks/$$name.py --json benchmarks/results/$$name.json; done
endif

test-all:
	$(MAKE) test TESTS="slow or not slow"

lint-ros:
	tools/ros_lint.sh

clean:
	rm -rf .venv build install log out .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
