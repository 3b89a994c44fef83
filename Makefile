# Everything here works from a fresh checkout with Python 3.11 or newer, GCC 12 or newer or Clang, and pip.
#
#   make test           the tests at every CPU level of this machine, and the examples of the docs
#   make bench          the library on real data and beside its peers: a minute, bench-report/
#   make lint           ruff, cython-lint, mypy
#   make docs           the documentation: docs/_build/html
#   make bench-full     every case, measured longer
#   make gate BASE=main is anything slower or hungrier than at that revision? names the function
#   make gate-brief     the same in instructions alone, of a few cases: what every change has to pass
#   make asv            the asv suite on this commit, `make asv-publish`: its pages for offline use
#   make pages          looks at those pages and at the report of `make bench` in headless Chromium
#   make speed          each case beside its references, by pytest-benchmark
#   make bench-peers    install the optional peers (PyTorch, FAISS, NumKong)
#   make bars           the figures that the project has set itself; exit code 1 below one of them
#   make sanitize       the kernel tests under AddressSanitizer and UBSan
#   make sdist-test     sdist, wheel, a new environment, the self-test there
#   make test-pythons   the essential tests under every other Python 3.11+ of this machine
#   make selftest       what `python -m fastmath_ml` checks, at every CPU level that was built
#   make build          the package in .venv, editable, with its extension modules
#   make clean          remove what was built; `make distclean` the environments too
#
# PYTHON=python3.13 VENV=.venv313 takes another interpreter and keeps its environment apart.
# ARGS='--only softmax --threads 1' is handed to the benchmarks. JOBS is the number of processes that
# run tests side by side, by default as many as there are CPUs.

# make before 3.82, which macOS has, knows no .SHELLFLAGS: recipes with loops or pipes are STRICT.
SHELL := /bin/bash
STRICT := set -eu -o pipefail;
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
ifndef SIDE_BY_SIDE
.NOTPARALLEL:
endif

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
JOBS ?= $(shell nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
PY = $(abspath $(VENV))/bin/python
PIP = $(PY) -m pip --disable-pip-version-check install --quiet
PYTEST = $(PY) -m pytest -q
SPREAD = -n $(JOBS)
LOGS := build/pytest

KERNELS := $(wildcard $(addprefix fastmath_ml/_kernels/*.,pyx pxd h))

# Two kinds of tests are the same at every CPU level: those of threads and processes, which want the
# machine to themselves, and those of JIT_TESTS and ONCE_TESTS. Every other file of tests runs once per
# level.
THREAD_TESTS := $(addprefix tests/test_,pool.py threads.py failures.py)
JIT_TESTS := $(addprefix tests/test_,calculus.py custom.py descent.py jit.py optim_fit.py)
ONCE_TESTS := $(addprefix tests/test_,package.py simd.py benchmarks.py benchmark_cases.py gate.py \
	pages.py report.py selftest.py peer_suites.py sklearn_svd.py sklearn_pca.py stats_as_peers.py \
	special_as_scipy.py)
LEVEL_TESTS := $(filter-out $(THREAD_TESTS) $(JIT_TESTS) $(ONCE_TESTS),$(wildcard tests/test_*.py))
# Under the sanitizers, at one level: a file or two for each family of kernels.
KERNEL_TESTS := $(addprefix tests/test_,products.py product_stacks.py products_dtypes.py linear.py \
	logsumexp.py euclidean.py small.py losses_elements.py optim_losses.py norm.py information.py \
	stats.py order_statistics.py decompositions.py neighbors.py special.py distances.py optim.py)
# What another interpreter could change: arguments, dtypes, out=, threads.
PYTHON_TESTS := $(addprefix tests/test_,arrays.py linalg_semantics.py linear.py products.py \
	small_semantics.py special.py pairwise.py threads.py)
DOCTESTS := --doctest-modules fastmath_ml \
	--doctest-glob='*.md' README.md $(wildcard docs/*.md docs/dev/*.md)

.PHONY: build test selftest test-python test-pythons bench bench-full bench-peers bars gate gate-brief \
	asv asv-publish pages speed lint docs \
	sanitize sdist sdist-test clean distclean

# ---- the environment: a stamp in it for each thing that has been installed ----

# $(call listed,build-system,requires): the requirements that pyproject.toml lists there.
listed = $(PY) -c "import functools, tomllib; \
	project = tomllib.load(open('pyproject.toml', 'rb')); \
	print(*functools.reduce(dict.__getitem__, '$(1)'.split(), project), sep='\n')"

$(VENV)/.build-requirements: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON): Python 3.11 or newer is needed; name one by PYTHON=..." >&2; exit 2; }
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	$(call listed,build-system requires) > $@.txt
	$(PIP) -r $@.txt
	touch $@

$(VENV)/.extensions: $(VENV)/.build-requirements setup.py $(KERNELS)
	FASTMATH_ML_LDFLAGS= $(PY) setup.py -q build_ext --inplace  # not stripped: profiles show names
	touch $@

# After the extension modules, which it then finds built.
$(VENV)/.package: pyproject.toml setup.py fastmath_ml/_version.py | $(VENV)/.extensions
	$(PIP) --no-build-isolation --editable .
	touch $@

$(VENV)/.extra-%: pyproject.toml | $(VENV)/.build-requirements
	$(call listed,project optional-dependencies $*) > $@.txt
	$(PIP) -r $@.txt
	touch $@

build: $(VENV)/.extensions $(VENV)/.package

# ---- tests ----

# Runs of pytest stand side by side, JOBS at a time, and each tells what it has to say when it is done:
# one process a run takes two thirds of the time that a run spread over two of them takes. The examples
# of the documentation run once, threads when nobody else does. The closing lines come last.
LEVELS = $$($(PY) -c "from fastmath_ml import _kernels; print(*_kernels.built_levels())")
RUN_TESTS = $(STRICT) mkdir -p $(LOGS); $(PYTEST) -p no:xdist
test: build $(VENV)/.extra-test
	@rm -rf $(LOGS)
	@levels="$(LEVELS)"; $(MAKE) --no-print-directory \
		$(if $(filter output-sync,$(.FEATURES)),--output-sync=target) \
		-j$(if $(filter 0,$(JOBS)),1,$(JOBS)) SIDE_BY_SIDE=1 run-once-1 run-once-2 \
		$$(printf 'run-level-1-%s ' $$levels) $$(printf 'run-level-2-%s ' $$levels)
	@echo "== threads"
	@$(RUN_TESTS) $(THREAD_TESTS) | tee $(LOGS)/threads.log
	@echo "== closing lines" && tail -qn 1 $(LOGS)/*.log

FIRST_HALF = $(wordlist 1,$(shell expr $(words $(LEVEL_TESTS)) / 2),$(sort $(LEVEL_TESTS)))
SECOND_HALF = $(filter-out $(FIRST_HALF),$(LEVEL_TESTS))
run-level-1-%: ; @echo "== CPU level $*, first half"
	@export FASTMATH_ML_CPU=$*; $(RUN_TESTS) $(FIRST_HALF) | tee $(LOGS)/level-$*-1.log
run-level-2-%: ; @echo "== CPU level $*, second half"
	@export FASTMATH_ML_CPU=$*; $(RUN_TESTS) $(SECOND_HALF) | tee $(LOGS)/level-$*-2.log
run-once-1: ; @echo "== independent of the CPU level, and the examples"
	@$(RUN_TESTS) $(JIT_TESTS) $(DOCTESTS) | tee $(LOGS)/once-1.log
run-once-2: ; @echo "== independent of the CPU level"
	@$(RUN_TESTS) $(ONCE_TESTS) | tee $(LOGS)/once-2.log

test-python: build $(VENV)/.extra-test
	@mkdir -p $(LOGS)
	$(STRICT) $(PYTEST) $(SPREAD) $(PYTHON_TESTS) | tee $(LOGS)/$(notdir $(PYTHON)).log

# Interpreters on PATH, else those of pyenv (whose shims are on PATH but need not work). With little
# optimisation, which compiles in half the time: speed is not looked at.
MINORS ?= 11 12 13 14
ONE_LEVEL := $(if $(filter x86_64 amd64,$(shell uname -m)),v3,base)
test-pythons:
	@$(STRICT) mine=$$($(PYTHON) -c 'import sys; print(sys.version_info.minor)'); \
	for minor in $(MINORS); do \
		test $$minor != $$mine || continue; \
		pyenv="$${PYENV_ROOT:-$$HOME/.pyenv}/versions"; \
		for python in python3.$$minor "$$pyenv"/3.$$minor.*/bin/python3.$$minor; do \
			if "$$python" -c '' 2>/dev/null; then \
				echo "== Python 3.$$minor"; \
				FASTMATH_ML_LEVELS=$(ONE_LEVEL) FASTMATH_ML_CXXFLAGS="-O1 -g0" \
				$(MAKE) --no-print-directory test-python \
					PYTHON="$$python" VENV=$(VENV)-3.$$minor; \
				break; \
			fi; \
		done; \
	done

# What `python -m fastmath_ml` checks, at every level that was built. RUN='sde64 -spr --' runs it in an
# emulator, for levels that this machine lacks.
ALL_LEVELS = $$($(PY) -c "from pathlib import Path; import fastmath_ml; \
	print(*sorted(p.parent.name for p in Path(fastmath_ml.__file__).parent.glob('_kernels/*/gemm*')))")
selftest: build
	@$(STRICT) for level in $(if $(RUN),$(ALL_LEVELS),$(LEVELS)); do \
		echo "== CPU level $$level" && FASTMATH_ML_CPU=$$level $(RUN) $(PY) -m fastmath_ml; \
	done

# Built apart from the tree, from what an sdist holds. PYTHONMALLOC=malloc puts Python's own small
# buffers under the eyes of the sanitizer as well; libstdc++ is there for exceptions, which
# the sanitizer otherwise finds no handler for. Leaks: the interpreter leaves some at its exit. The
# largest inputs would take most of the time. Checks by calls compile a third faster. SHARE=3 runs one
# of three tests.
SANITIZE := -fsanitize=address,undefined
SANITIZER_FLAGS := -O1 -g1 -fno-omit-frame-pointer -fno-sanitize-recover=undefined $(SANITIZE) \
	--param=asan-instrumentation-with-call-threshold=0
SHARE ?= 1
MODERATE := not (test_cases or test_bits or million or pieces)
sanitize: sdist $(VENV)/.extra-test
	rm -rf build/sanitize && mkdir -p build/sanitize $(LOGS)
	tar -xzf build/dist/*.tar.gz --strip-components=1 -C build/sanitize
	@$(STRICT) cd build/sanitize; \
	levels=$$($(PY) -P -c "from fastmath_ml import _kernels; \
		print(*[level for level in _kernels.built_levels() if level != 'v4'][-1:])"); \
	preload=; \
	for name in asan ubsan stdc++; do preload+=:$$($(CXX) -print-file-name=lib$$name.so); done; \
	FASTMATH_ML_LEVELS=$${levels// /,} FASTMATH_ML_LDFLAGS="$(SANITIZE)" \
	FASTMATH_ML_CXXFLAGS="$(SANITIZER_FLAGS)" $(PY) setup.py -q build_ext --inplace; \
	for level in $$levels; do \
		echo "== CPU level $$level, with sanitizers"; \
		LD_PRELOAD=$${preload:1} ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
		PYTHONMALLOC=malloc FASTMATH_ML_CPU=$$level \
		$(PYTEST) $(SPREAD) -p no:cacheprovider -k '$(MODERATE)' --share $(SHARE) $(KERNEL_TESTS) \
			| tee $(abspath $(LOGS))/sanitize-$$level.log; \
	done

sdist: build
	rm -rf build/dist
	$(PY) setup.py -q sdist --dist-dir build/dist

sdist-test: sdist
	$(PY) -m pip --disable-pip-version-check wheel --quiet --no-deps -w build/dist build/dist/*.tar.gz
	ls -l build/dist
	@test -z "$$(find build/dist -name '*.whl' -size +4882k)" || \
		{ echo "the wheel has more than 5 MB" >&2; exit 1; }
	rm -rf build/installed && $(PY) -m venv build/installed
	build/installed/bin/python -m pip --disable-pip-version-check install --quiet build/dist/*.whl
	cd build/installed && bin/python -m fastmath_ml

# ---- benchmarks ----

# OpenBLAS is not to be told that it is on another CPU; the processes of benchmarks.run see to it.
UNFORCED := env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE

bench: build $(VENV)/.extra-bench
	$(PY) -m benchmarks.run --quick $(ARGS)

bench-full: build $(VENV)/.extra-bench
	$(PY) -m benchmarks.run --full $(ARGS)

bars: build $(VENV)/.extra-bench
	$(PY) -m benchmarks.run --bars $(ARGS)

BASE ?= HEAD
gate: build $(VENV)/.extra-bench
	$(PY) -m benchmarks.gate --base $(BASE) --take-built $(ARGS)

# For every change: three minutes at most; where it cannot be made it says why, and passes.
gate-brief: build $(VENV)/.extra-bench
	$(PY) -m benchmarks.gate --base $(BASE) --take-built --brief --if-possible \
		--build-seconds 90 --seconds 60 $(ARGS)

# What asv calls an existing environment: no building, the results filed under the present commit.
# MACHINE=name where the name of the host changes from run to run.
ON_MACHINE = $(if $(MACHINE),--machine $(MACHINE))
ASV = cd $(CURDIR) && $(UNFORCED) PYTHONPATH=$(CURDIR) $(abspath $(VENV))/bin/asv
asv: build $(VENV)/.extra-bench
	$(ASV) machine --yes $(ON_MACHINE) >/dev/null
	$(ASV) run $(ON_MACHINE) --environment existing:$(PY) --set-commit-hash $$(git rev-parse HEAD) --quick \
		--launch-method forkserver --show-stderr $(ARGS)

asv-publish: build $(VENV)/.extra-bench
	$(ASV) publish --no-pull --html-dir build/asv-html
	$(PY) -m benchmarks.offline build/asv-html

# Looks at the pages of `make bench` and `make asv-publish` in headless Chromium, those that are there.
pages: $(VENV)/.build-requirements
	@$(STRICT) for page in "report bench-report/index.html" "asv build/asv-html"; do \
		test ! -e $${page#* } || $(PY) -m benchmarks.pages $$page $(ARGS); \
	done

speed: build $(VENV)/.extra-bench
	$(UNFORCED) $(PYTEST) -p no:xdist -c benchmarks/speed.ini benchmarks/test_speed.py $(ARGS)

bench-peers: build $(VENV)/.extra-bench $(VENV)/.extra-bench-peers

# ---- the rest ----

lint: build $(VENV)/.extra-lint
	$(VENV)/bin/ruff check .
	PATH=$(abspath $(VENV))/bin:$$PATH $(VENV)/bin/cython-lint fastmath_ml  # it runs pycodestyle
	$(VENV)/bin/mypy

docs: build $(VENV)/.extra-docs
	rm -rf docs/api/generated
	$(PY) -m sphinx -W --keep-going -q -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

clean:
	rm -rf build bench-report docs/_build docs/api/generated *.egg-info .venv*/.extensions
	find fastmath_ml -name '*.so' -delete -o -name '*.cpp' -delete

distclean: clean
	rm -rf .venv*
