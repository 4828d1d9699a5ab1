# Type `make` for the list of what can be made. The steps themselves are in tests/tools.
MAKEFLAGS += --no-builtin-rules
SHELL := bash
.DEFAULT_GOAL := help
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*/\1/p' $(firstword $(MAKEFILE_LIST)))

export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.cache/collections
export HYPOTHESIS_STORAGE_DIRECTORY := $(CURDIR)/.cache/hypothesis
export PYTHONDONTWRITEBYTECODE := 1
IN_VENV = PATH="$(CURDIR)/.venv/bin:$$PATH"
PYTEST = $(IN_VENV) python -m pytest $(PYTEST_ARGS)

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | while IFS='|' read -r name text; do printf '%-10s %s\n' "$$name" "$$text"; done

.venv/stamp: requirements.txt requirements-dev.txt tests/tools/venv
	@tests/tools/venv

venv: .venv/stamp ## .venv with all that developing needs
	@tests/tools/collections

demo: venv ## ParaView connected through a small cluster on this machine
	$(IN_VENV) tests/demo

test: venv ## everything below that checks something; closes with one line of counts
	@$(IN_VENV) python tests/tools/test.py

generate: venv ## write what repeats meta/settings.yml and the tables of batch systems
	@$(IN_VENV) python tests/tools/generate.py

lint: venv ## linters for Python, YAML, shell, Ansible, documentation, change log
	@tests/tools/lint

sanity: venv ## ansible-test sanity (SANITY_ARGS='--test validate-modules' for some of it)
	@tests/tools/sanity $(SANITY_ARGS)

unit: venv ## unit tests (PYTEST_ARGS='-k routes' for some of them)
	$(PYTEST) -n $$(($$(nproc) * 2)) --dist worksteal tests/unit # most of them wait most of the time

lab: venv lab-up ## tests in the lab (PYTEST_ARGS as above)
	$(PYTEST) tests/lab

labs: venv # the same in two labs of their own at once, which end with it
	$(PYTEST) -n 2 --dist loadfile tests/lab

lab-up: venv ## start the lab, or put this checkout into the one that runs
	$(IN_VENV) tests/lab/up

lab-down: ## stop the lab
	tests/lab/down

torture: venv ## all tests, the long ones too, on each generation of the lab; takes hours
	@$(IN_VENV) python tests/tools/test.py torture

bench: venv ## measure
	$(IN_VENV) tests/bench/run

recordings: venv ## record connect in the lab again, as docs/docsite/rst/images/connect_*.svg; needs root
	$(IN_VENV) python tests/recordings/run.py

build: venv ## the collection's archive, in build/
	@tests/tools/build

docs: venv ## the documentation as web pages, in build/docs
	@tests/tools/docs

clean: ## remove everything that was made here
	rm -rf .venv .cache build
