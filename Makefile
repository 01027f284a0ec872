# Thin wrappers of the Invoke tasks, for people and for CI. ARGS goes to the task:
#     make release-prod ARGS="--tenant mb --no-wait"
#
# A task's exit code says more than make's own, which is 2 for every failure. A pipeline that tells them apart lets make
# name the command, and runs that: 0 done, 1 failed, 2 refused before any change, 3 a difference, 130 interrupted.
#     $(make -s inv) status --check

MAKEFLAGS += --no-builtin-rules
ARGS ?=
NEEDED := requirements-deploy.txt
-include development.mk

# The inv of .venv, else that on PATH, else one that uv makes of $(NEEDED); pipx can run uv where that is missing.
# uv ignores the lines of $(NEEDED) that say where packages are, which pip reads: it takes them as options alone.
found = $(shell command -v $(1) 2>/dev/null)
uv = $(or $(and $(call found,uv),uv),$(and $(call found,pipx),pipx run uv))
where = $(shell awk '/^(-i|-f|--index-url|--extra-index-url|--find-links)[ =]/ { sub(/[ =]+/, " "); print $$1 " \"" $$2 "\"" }' $(NEEDED))
made = $(and $(wildcard $(NEEDED)),$(uv),$(uv) run --no-project --with-requirements $(NEEDED) $(where) inv)
INV ?= $(or $(wildcard .venv/bin/inv),$(and $(call found,inv),inv),$(made),$(error $(NO_INV)))
by_pip = python3 -m venv .venv && .venv/bin/pip install --requirement $(NEEDED)
HOW_TO_INSTALL ?= $(if $(wildcard $(NEEDED)),$(by_pip),there is no $(NEEDED): python -m deploytasks init writes it)
define NO_INV
there is no inv: not in .venv, not on PATH, and not by uv or pipx of $(NEEDED)
    $(HOW_TO_INSTALL)
    and then the same again
endef

.DEFAULT_GOAL := help
.PHONY: help inv status envs build FORCE

help: ## this list
	@awk -F ':.*## ' '/^[a-z][a-z%-]*:.*## / { sub("%", "<tier>", $$1); printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

inv: ## the command that the wrappers run, for a pipeline that needs its exit code
	@echo $(INV)

status: ## which tenant runs what, in which tier
	@exec $(INV) status $(ARGS)

envs: ## all environments, checked offline
	@exec $(INV) envs.check $(ARGS)

build: ## the images of the present commit, pushed
	@exec $(INV) build $(ARGS)

tag-%: FORCE ## point the tier at a commit
	@exec $(INV) tag.$* $(ARGS)

deploy-%: FORCE ## roll out what the tier's tag names
	@exec $(INV) deploy.$* $(ARGS)

release-%: FORCE ## build (first tier only), tag and deploy
	@exec $(INV) release.$* $(ARGS)

rollback-%: FORCE ## back to the release before
	@exec $(INV) release.rollback $* $(ARGS)
