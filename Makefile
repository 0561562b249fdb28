# make demo   train and tune on the digits that ship with scikit-learn, into demo-output/
# make test   the tests, in a fresh environment
# make lint   ruff, mypy; clang-format for the C
# make docs   the documentation's site, into docs/_build/html; DOCS_FLAGS="-D plot_gallery=0" does not run the examples
# make audit  installed and oldest supported dependencies against the published advisories of the Python packages
# make bench  speed, beside PyTorch, JAX, MLPClassifier and skorch, into bench-output/
# make clean  remove what the above made
#
# Each target makes its own .venv first. PYTHON chooses the interpreter: make test PYTHON=python3.13

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PYTEST_FLAGS ?=
DOCS_FLAGS ?=
RUFF = ruff==0.17.6
MYPY = mypy==2.4.1
CLANG_FORMAT = clang-format==23.1.5
PIP_AUDIT = pip-audit==2.10.1

SOURCES = pyproject.toml setup.py $(wildcard _ext/*.py _ext/*.pyx _ext/src/* _ext/src/*/*)

.PHONY: demo test lint docs audit oldest bench clean

demo: $(VENV)/with-plot
	$(BIN)/python examples/demo.py --output demo-output

test: $(VENV)/with-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 $(PYTEST_FLAGS)

lint: $(VENV)/made
	$(BIN)/python -m pip install --quiet $(RUFF) $(MYPY) $(CLANG_FORMAT)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/clang-format --dry-run -Werror $(wildcard _ext/src/*.[ch] _ext/src/*/*.h _ext/src/kernels.def benchmarks/*.c)

docs: $(VENV)/with-docs
	$(BIN)/python -m sphinx -W --keep-going -j 2 $(DOCS_FLAGS) docs docs/_build/html
	$(BIN)/python docs/check_links.py docs/_build/html

audit: $(VENV)/with-test
	$(BIN)/python -m pip install --quiet $(PIP_AUDIT)
	$(BIN)/python -m pip freeze --exclude-editable >$(VENV)/installed.txt
	$(MAKE) --silent oldest >$(VENV)/oldest.txt
	for which in installed oldest; do \
	    $(BIN)/pip-audit --strict --disable-pip --no-deps --requirement $(VENV)/$$which.txt || exit 1; done

oldest: # prints the run-time dependencies of pyproject.toml at their lower bounds
	@sed -n '/^dependencies = \[/,/^\]/s/^ *"\(.*\)>=\(.*\)",.*/\1==\2/p' pyproject.toml

bench: $(VENV)/with-plot
	$(BIN)/python -m pip install --quiet --requirement benchmarks/requirements.txt
	$(BIN)/python benchmarks/compare.py --output bench-output

# An environment with the package, editable, and one of its extras. Made again when the sources of the build change.
$(VENV)/with-%: $(VENV)/built
	$(BIN)/python -m pip install --quiet "sklearn_dl[$*]"
	@touch $@

$(VENV)/built: $(SOURCES) | $(VENV)/made
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/made:
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

clean:
	rm -rf $(VENV) build dist demo-output bench-output docs/_build docs/auto_examples docs/generated *.egg-info .pytest_cache .mypy_cache .ruff_cache .coverage _ext/*.so
