# Needs Python >= 3.10 (with its venv module) and nothing else. ARGS="..." is handed on to the command of the target.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
LOWEST := 1.58.0

# the first of these that runs, is new enough and can make environments
CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11 python3.10 python
define FIND_PYTHON
for found in $(PYTHON) $(CANDIDATES); do \
    if $$found -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1; then break; fi; found=; \
done; \
if [ -z "$$found" ]; then \
    echo "make: no Python >= 3.10 with its venv module was found (on Debian and Ubuntu: apt install python3-venv)." >&2; \
    echo "make: name one yourself: make $@ PYTHON=/path/to/python3" >&2; exit 1; \
fi
endef

.PHONY: demo test soak test-lowest check format bench venv clean

demo: $(VENV)/made-cli       ## a conversation that survives kill -9
	$(BIN)/strands-session demo $(ARGS)

test: $(VENV)/made-dev       ## all tests; of those that could go on for hours, a short version
	$(BIN)/python -m pytest -n auto -m "not soak" $(ARGS)

soak: $(VENV)/made-dev       ## the long versions
	$(BIN)/python -m pytest -n auto -m soak $(ARGS)

# What says no more with an older strands-agents is left to the newest, as it takes long: programs (CLI, examples, docs,
# wheel), engines, the service, what serves it, what knows nothing of agents, and processes that meet, are killed or stopped.
ELSEWHERE := cli/test_* test_examples test_docs test_package stores/test_* sessions/test_* testing/test_* summaries/test_* \
	$(addprefix test_,async_sessions codec context ids prices prompts tokens turns usage) \
	$(addprefix formats/test_,openai_chat_lost openai_responses_lost published zep) \
	$(addprefix plugin/test_,many_processes failover redis_agents regressed schedules killed paused_holder lease_costs redo) \
	$(addprefix plugin/test_,large pressure segments_failing segments_killed segments_service segments_shown) \
	$(addprefix plugin/test_,taking two_writers waiting_for_a_lease) \
	$(addprefix rest/test_,auth* conversation_parallel costs endpoints_* limits mounted ownership problems schema tracing)
# and of random conversations there are fewer
FEWER := EXACT_RESTORE_EXAMPLES=30 FORKS_EXAMPLES=10
test-lowest: .venv-lowest/made    ## with the lowest supported strands-agents, what that may matter to
	$(FEWER) .venv-lowest/bin/python -m pytest -n auto -m "not soak" $(ELSEWHERE:%=--ignore-glob='tests/%.py') $(ARGS)

check: $(VENV)/made-dev      ## lint, format, types, import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/made-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/made-dev      ## the project's benchmark
	$(BIN)/python -m bench $(ARGS)

venv: $(VENV)/made-dev

clean:
	rm -rf .venv .venv-lowest dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# an environment older than pyproject.toml is made anew
$(VENV)/made-cli: pyproject.toml
	@$(FIND_PYTHON); rm -rf $(VENV); echo "making $(VENV) with $$($$found --version)"; $$found -m venv $(VENV)
	$(PIP) --editable '.[cli]'
	@touch $@

$(VENV)/made-dev: $(VENV)/made-cli
	$(PIP) --editable '.[dev]'
	@touch $@

# the lowest strands-agents on the lowest Python there is
.venv-lowest/made: CANDIDATES := python3.10 python3.11 $(CANDIDATES)
.venv-lowest/made: pyproject.toml
	@$(FIND_PYTHON); rm -rf .venv-lowest; echo "making .venv-lowest with $$($$found --version)"; $$found -m venv .venv-lowest
	.venv-lowest/bin/python -m pip --disable-pip-version-check install --quiet --editable '.[dev]' 'strands-agents==$(LOWEST)'
	@touch $@
