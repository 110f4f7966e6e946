# Short names for what CONTRIBUTING.md describes; all of them expect the virtual environment of `make setup`.
python ?= .venv/bin/python

.PHONY: setup test slow fuzz check bench golden graphs reports figures validation docs

setup:
	python3 -m venv .venv
	.venv/bin/pip install -q -c constraints.txt -e '.[dev,models]'

test:
	$(python) -m pytest -n auto

slow:
	$(python) -m pytest -n auto -m slow

# The property tests on fresh cases, for so many minutes.
fuzz: MINUTES ?= 5
fuzz:
	$(python) -m tests.fuzz $(MINUTES)

check:
	$(python) -m ruff check
	$(python) -m ruff format --check
	$(python) -m mypy

# Speed and memory, docs/performance.md; peers="--scalesim-python PATH --zigzag-python PATH --maestro FOLDER" runs those
# beside it.
bench:
	$(python) -m benchmarks $(peers)

# The exact outputs of the command line, tests/golden/.
golden:
	$(python) -m tests.golden

# The traced graphs of the built-in networks, squeezesim/zoo/graphs/, and their tables in docs/models.md.
graphs:
	$(python) -m squeezesim.zoo.build
	$(python) -m tests.zoo.page

# The committed results, reports/, with the figure and the outputs in README.md, docs/commands.md and docs/tutorial.md.
reports:
	$(python) -m squeezesim profile squeezenext_23 --hw hwconfigs/os_32x32.yaml > /dev/null
	$(python) -m squeezesim profile squeezenext_23 --hw hwconfigs/squeezelerator_16x16.yaml > /dev/null
	$(python) -m squeezesim profile squeezenext_23_v5 --hw hwconfigs/squeezelerator_16x16.yaml > /dev/null
	$(python) -m squeezesim reproduce squeezenext > /dev/null
	mkdir -p docs/img
	cp reports/squeezenext_23__os_32x32/utilization.png docs/img/squeezenext_23__os_32x32.png
	$(python) -m tests.readme

# The pictures of docs/figures.md, by its commands, and those that tests compare figures with.
figures:
	$(python) -m tests.report.figures

# What validate computes, docs/validation.md, with the errors that hw list prints and the figure of the devices; fails
# where a bound is broken.
validation:
	$(python) -m tests.validation

# The site of docs/, in site/.
docs:
	$(python) -m pip install -q -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(python) -m mkdocs build --strict
