# `make book` and `make test` are the two commands. README.md gives the plain commands behind them.

PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?= constraints.txt
PORT ?= 8000

bin := $(VENV)/bin
installed := $(VENV)/installed
page := _build/html/index.html
# `command $(or_say,what to do)`: a failed step ends the command, and the last line on the screen says what to do.
or_say = || { printf '\n%s\n' "$(1)" >&2; exit 1; }

# Made anew each time. Old releases beside new ones warn of what they themselves do: that is no fault of the package.
floors := $(VENV)-floors

# Two workers run the tests: with a thread each they do not wait for each other.
threads := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
tests := $(threads) $(bin)/pytest -n 2

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: book test floors check serve lab clean help

book: $(installed)  ## build the book, strictly, and print the page to open
	@rm -rf _build  # Sphinx warns of a page when it reads it: a strict build reads them all
	@$(bin)/jupyter-book build -W -n --keep-going . $(call or_say,The book was not built. Each WARNING above names a file and a line to mend.)
	@printf '\nThe book is built. Open %s\n' "$(CURDIR)/$(page)"

test: book  ## the book, then all tests: package, doctests, notebooks, pages
	@$(tests) --dist worksteal --doctest-modules ufs tests $(call or_say,A test of the package or of the book failed: see above.)
	@$(tests) --dist loadfile --nbval --nbval-current-env book $(call or_say,A notebook does not reproduce. If the change is meant: $(bin)/python book/execute.py FILE; then read the diff.)
	@printf '\nAll tests passed.\n'

floors:  ## the package's tests, with the oldest versions that requirements.txt allows
	@$(PYTHON) -m venv --clear $(floors) $(call or_say,This needs Python with venv. Name one: make PYTHON=python3.11)
	@$(floors)/bin/python -m pip install --quiet --disable-pip-version-check uv $(call or_say,uv could not be installed: see above. It needs a connection to a package index.)
	@VIRTUAL_ENV=$(floors) $(floors)/bin/uv pip install --quiet --resolution lowest-direct -r requirements.txt $(call or_say,The oldest versions do not go together: see above. Raise a floor in requirements.txt.)
	@VIRTUAL_ENV=$(floors) $(floors)/bin/uv pip install --quiet --no-deps -e . $(call or_say,The package itself could not be installed: see above.)
	@$(threads) $(floors)/bin/pytest -n 2 --dist loadfile -W ignore::DeprecationWarning -W ignore::FutureWarning --doctest-modules ufs tests --ignore tests/book $(call or_say,The package does not work with a version that requirements.txt allows. Raise its floor there and in pyproject.toml.)

check: $(installed)  ## ruff, mypy and the schemas, without running anything
	@$(bin)/ruff check . $(call or_say,Try: $(bin)/ruff check --fix .)
	@$(bin)/ruff format --check . $(call or_say,Run: $(bin)/ruff format .)
	@$(bin)/mypy $(call or_say,mypy found types that do not fit: see above.)
	@$(bin)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml $(call or_say,Mend the workflow named above.)
	@$(bin)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff $(call or_say,Mend CITATION.cff.)

serve: book  ## build the book and serve it on this machine only
	@printf '\nServing http://127.0.0.1:%s/ (end with Ctrl-C)\n' $(PORT)
	@$(bin)/python -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

lab: $(installed)  ## open the chapters in JupyterLab
	@$(bin)/jupyter lab book

clean:  ## remove what was built; the environment in .venv stays
	rm -rf _build .pytest_cache .ruff_cache .mypy_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*##/  make \1\t/p' $(firstword $(MAKEFILE_LIST))

# Installs again only when one of these files has changed. A PyTorch that is already there and fits the constraint stays.
$(installed): requirements.txt $(CONSTRAINTS) pyproject.toml | $(bin)/python
	@$(bin)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' $(call or_say,$(VENV) has a Python older than 3.11. Remove $(VENV) and run: make PYTHON=python3.11)
	@printf 'Installing into $(VENV); the first time takes a few minutes.\n'
	@$(bin)/python -m pip install --quiet --disable-pip-version-check $(if $(CONSTRAINTS),-c $(CONSTRAINTS)) -r requirements.txt $(call or_say,The installation failed: see above. It needs a connection to a package index the first time.)
	@$(bin)/python -m pip install --quiet --disable-pip-version-check --no-deps -e . $(call or_say,The package itself could not be installed: see above.)
	@touch $@

$(bin)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' $(call or_say,This needs Python 3.11 or later. Name one: make PYTHON=python3.12)
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); printf "\n%s\n" "No environment could be made. On Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
