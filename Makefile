# Everything a newcomer types:
#   make demo    rebuild the default model, release, sign, publish and verify it, in a clone of its own (.demo/)
#   make test    the whole check: ruff, mypy --strict, import-linter, pytest
#   make slow    what make test leaves out because a shorter run proves nearly as much: more kills, processes, builds
#   make bases   fine-tune a release, whole and by an adapter, and verify through both
#   make evaluate  measure a model by tasks of lm-evaluation-harness, release it, and run the evaluation again
#   make ray     a corpus built on Ray clusters of one and two nodes, whose workers and nodes are killed half-way
#   make bench   throughput, as ratios to a named peer
#   make fuzz    each parser of outside input, for SECONDS=60 (PARSER="bundles policies" chooses among them)
#   make get-started  a project like DVC's example-get-started, released, and rebuilt in a fresh environment
#   make kinds   each kind of model made, released, verified and loaded with its own library: diffusers, PEFT, ONNX, ...
#   make environments  projects whose packages uv, Poetry or PDM locked, rebuilt from those locks
#   make nodes   a training on two nodes, which are network namespaces; one is killed: it needs root
#   make team    MLflow on PostgreSQL and S3, a DVC remote on S3, and a release cut with them: docs/how-to/team.md
#   make remotes  DVC's remotes on S3, SSH, HTTP and a Hub, whole and damaged
#   make hosts   servers on two hosts, behind a proxy, over one folder and one S3
#   make recipes  what `glasshouse launch` prints, read by SkyPilot itself and held to Kubernetes' own schema
#   make peers   other people's suites, held to the product: tests/peers/README.md
#   make npm     npm's @huggingface/hub against the server; it needs node
#   make layouts every layout of DVC projects, adopted, built, cut and verified: those that make test leaves out, too
#   make deps    the code that each stage of dvc.yaml depends on, from the imports
#   make docs    the generated parts of docs/, and the site that is made of it: docs/site/
#   make axe     every page looked at with axe-core, from npm, in light and in dark
#   make browser  what a page runs to check a release in the browser, bundled anew from npm
#   make wheel   build the package as it is published, and print its digest
#   make lock    pin every dependency anew, with hashes
#   make clean   remove what the above made

# The lock's hashes fit Python 3.11, 3.12 and 3.13; 3.11 is what the committed digests were made with.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready

# pip takes these from its environment, uv from variables of its own. Digests say what is right, not where it came from.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export UV_EXTRA_INDEX_URL ?= $(PIP_EXTRA_INDEX_URL)
export UV_INDEX_STRATEGY := unsafe-best-match
ifdef PIP_CERT
export SSL_CERT_FILE ?= $(PIP_CERT)
endif
export PYTHONUNBUFFERED := 1

# The CPU build of torch has no place on the common registry: PIP_FIND_LINKS or an extra index must offer it. The ten
# times larger CUDA build (requirements-cuda.lock) is installed where it is asked for: make setup TORCH=cuda
TORCH ?= cpu
TORCH_CPU := $(shell sed -n 's/^torch==\([^ ]*\).*/\1/p' requirements.lock)
# Of its wheels for x86-64 Linux and Python 3.11, 3.12 and 3.13.
TORCH_CPU_SHA256 := \
	6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b \
	4ca4a9394b0c771238a4f73590fdbbc4debad85ed0fa63d026ae1b085da7d6e2 \
	3fbf9c9d1f3c10c2d59d04aca426dee9ccc6ceb32d255c61e93acc3b4f75fae6

.PHONY: setup torch-at-hand demo test slow bases bench fuzz get-started environments kinds layouts hosts nodes npm peers remotes team deps docs
.PHONY: recipes evaluate ray axe browser wheel lock clean

setup: $(READY)

$(READY): requirements.lock requirements-cuda.lock pyproject.toml
	@echo "Setting up .venv from requirements.lock"
	@test "$(TORCH)" = cuda || $(MAKE) --no-print-directory torch-at-hand
	@if $(MAKE) --no-print-directory $(BIN)/uv; \
	then install="$(BIN)/uv pip install --python $(BIN)/python --compile-bytecode"; \
	else echo "uv could not be had: pip does the same, in minutes"; install="$(BIN)/python -m pip install --progress-bar on"; fi; \
	set -e; if test "$(TORCH)" = cuda; \
	then sed '/^torch==/,/[^\\]$$/d' requirements.lock > .venv/others.txt; \
		$$install --require-hashes --no-deps -r .venv/others.txt -r requirements-cuda.lock; \
	else $$install --require-hashes --no-deps -r requirements.lock; fi; \
	$$install --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q registry pipelines
	@touch $@

$(BIN)/python:
	@$(PYTHON) -m venv .venv

$(BIN)/uv: requirements.lock | $(BIN)/python
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > .venv/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r .venv/uv.txt
	@touch $@

# Asked before anything is downloaded.
torch-at-hand: | $(BIN)/python
	@$(BIN)/python -m pip index versions torch 2>/dev/null | tr ',' '\n' | grep -qx ' *$(TORCH_CPU)' || { \
		echo "There is no CPU build of torch at hand, $(TORCH_CPU), for $$($(BIN)/python --version). Nothing was downloaded."; \
		echo "Choose one, and run make again:"; \
		echo "  PIP_FIND_LINKS=... or PIP_EXTRA_INDEX_URL=...   where it is to be had (for Python 3.11, 3.12 and 3.13)"; \
		echo "  rm -r .venv; make PYTHON=python3.11 ...         another Python, if it is to be had for that one"; \
		echo "  make setup TORCH=cuda                           the CUDA build: gigabytes; it computes on a CPU, too"; \
		exit 1; } >&2

demo: setup
	@$(BIN)/python -m tests.demo

test: setup
	@$(BIN)/python -m compileall -q registry pipelines tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports
	@echo "$(BIN)/mypy, beside the tests"; $(BIN)/mypy > .venv/mypy.log 2>&1 & types=$$!; \
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder; tests=$$?; \
	wait $$types; types=$$?; cat .venv/mypy.log; exit $$((tests | types))

slow: setup
	$(BIN)/python -m pytest -m slow --numprocesses 2 --dist loadfile --no-loadscope-reorder

bases: setup
	$(BIN)/python -m pytest -m bases tests/e2e/test_fine_tuning.py

# An environment of its own, as an audit needs one: .venv's packages, the harness, and this project.
HARNESS := .evaluate/.ready
$(HARNESS): requirements-evaluate.lock $(READY)
	@$(PYTHON) -m venv .evaluate
	@$(BIN)/uv pip install --quiet --python .evaluate/bin/python --require-hashes --no-deps -r requirements.lock -r $<
	@$(BIN)/uv pip install --quiet --python .evaluate/bin/python --no-deps --no-build-isolation --editable .
	@touch $@

evaluate: $(HARNESS)
	@.evaluate/bin/python -m pytest -m evaluate tests/e2e/test_harness.py

# An environment of Ray's, which has the packages of .venv below its own. But for one that validators bring here, and that
# a project's environment does not have: where it is, each process of Ray takes a second longer to start.
RAY := .ray/.ready
$(RAY): requirements-ray.lock $(READY)
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .ray
	@$(BIN)/uv pip install --quiet --python .ray/bin/python --require-hashes --no-deps -r $<
	@$(BIN)/python -c "from site import getsitepackages as at; print(at()[0])" > .ray/below.pth
	@echo "raise ImportError" > .ray/rfc3987_syntax.py
	@mv .ray/below.pth .ray/rfc3987_syntax.py $$(.ray/bin/python -c "from site import getsitepackages as at; print(at()[0])")
	@$(BIN)/uv pip install --quiet --python .ray/bin/python --no-deps --no-build-isolation --editable .
	@touch $@

ray: $(RAY)
	@.ray/bin/python -m pytest -m ray tests/e2e/test_ray.py

# Beside Ray, what the engines of data are compared with, in the newest version.
bench: $(RAY)
	@$(BIN)/uv pip install --quiet --python .ray/bin/python --no-deps datatrove loguru humanize multiprocess
	@$(BIN)/python -m tests.bench

layouts: setup
	LAYOUTS=all $(BIN)/python -m pytest tests/registry/release/test_layouts.py

SECONDS ?= 60
fuzz: setup
	@$(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(PARSER)

get-started: setup
	@$(BIN)/python -m tests.get_started

# An environment of the kinds' libraries, which has those of .venv below its own. FIXTURE="vision or scikit" chooses;
# the adapter needs the language_model beside it.
KINDS := .kinds/.ready
$(KINDS): tests/kinds/requirements.lock $(READY)
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .kinds
	@$(BIN)/uv pip install --quiet --python .kinds/bin/python --require-hashes --no-deps -r $<
	@$(BIN)/python -c "from site import getsitepackages as at; print(at()[0])" > .kinds/below.pth
	@mv .kinds/below.pth $$(.kinds/bin/python -c "from site import getsitepackages as at; print(at()[0])")
	@touch $@

kinds: $(KINDS)
	@$(BIN)/python -m pytest -m kinds tests/kinds -k "$(FIXTURE)"

# Tools that others lock with: each in the newest version, for that is what their users have. PDM's own pins are too loose.
environments: setup
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .environments
	@$(BIN)/uv pip install --quiet --python .environments/bin/python poetry pdm "hishel<2"
	@$(BIN)/python -m pytest -m environments tests/e2e/test_environments.py

# What lies in .team has its own needs met by .venv already.
DRIVERS := .team/.ready
$(DRIVERS): $(READY)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --target .team --no-deps dvc-s3 dvc-ssh sshfs bcrypt \
		flatten-dict psycopg psycopg-binary
	@touch $@

team: $(DRIVERS)
	@$(BIN)/python -m pytest -m team tests/e2e/test_team.py

hosts: setup
	@$(BIN)/python -m pytest -m hosts tests/e2e/test_several_servers.py

remotes: $(DRIVERS)
	@$(BIN)/python -m pytest -m remotes tests/e2e/test_remotes.py

nodes: setup
	@$(BIN)/python -m pytest -m nodes tests/e2e/test_nodes.py

# SkyPilot's packages are not those of .venv: it reads the recipes from an environment of its own.
recipes: setup
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .recipes
	@$(BIN)/uv pip install --quiet --python .recipes/bin/python skypilot kubernetes-validate
	@$(BIN)/python -m pytest -m recipes tests/e2e/test_recipes.py

# PEERS holds the suites' checkouts; SUITES and ARGUMENTS choose among them.
PEERS ?= ../peers
peers: setup
	@$(BIN)/uv pip install --quiet --target .peers jsonschema referencing openapi-spec-validator prometheus_client
	@$(BIN)/python -m tests.peers $(PEERS) $(SUITES) $(ARGUMENTS)

npm: setup
	@mkdir -p .npm && cp tests/npm/package.json .npm && npm install --silent --no-fund --no-audit --prefix .npm
	@$(BIN)/python -m pytest -m npm tests/npm

deps: setup
	$(BIN)/python -m pipelines.deps

docs: setup
	$(BIN)/python -m tests.reference --write
	$(BIN)/zensical build --strict --clean --config-file docs/zensical.toml
	@echo "Open docs/site/index.html"

axe: setup
	@rm -rf .axe && cp -r tests/axe .axe && cd .axe && npm ci --no-audit --no-fund --silent
	@$(BIN)/python -m pytest -m axe tests/registry/server/pages/test_accessible.py

# What a page runs to check a release in the browser. It is committed, so nobody else needs npm; the lock names no host.
STATIC := registry/server/pages/static
browser: setup
	@rm -rf .browser && cp -r registry/server/pages/browser .browser
	@cp "$$(find .venv/lib -path '*sigstore/_store*sigstore.dev/trusted_root.json')" .browser/trusted_root.json
	@cd .browser && npm ci --no-audit --no-fund --silent && npx --no-install esbuild check.js --bundle --minify \
		--format=iife --target=es2022 --charset=utf8 --legal-comments=none --log-level=warning \
		--alias:@freedomofpress/tuf-browser=./no_tuf.js --outfile=check.js.out
	@cp .browser/check.js.out $(STATIC)/check.js
	@cd .browser/node_modules && for each in @freedomofpress/crypto-browser @freedomofpress/sigstore-browser \
		@noble/curves @noble/hashes; do printf '%s %s\n\n' "$$each" "$$(sed -n 's/^ *"version": "\(.*\)",$$/\1/p' \
		$$each/package.json | head -1)"; cat $$each/LICENSE; echo; done > $(CURDIR)/$(STATIC)/check.LICENSES.txt
	@sha256sum $(STATIC)/check.js

# Who builds the same commit gets the same bytes: the date is the commit's, the tools that build are the lock's.
wheel: $(BIN)/uv
	@rm -rf dist
	@SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/uv build --quiet --wheel --require-hashes \
		--build-constraints requirements.lock --out-dir dist
	@cd dist && sha256sum *.whl

UNIVERSAL := uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --quiet \
	--find-links ""
EXTRAS := --extra data --extra languages --extra pipelines --extra gguf --extra serve --extra s3 --extra dev
CUDA := ^(nvidia-|cuda-|triton)

# Pins that stand are kept; `make lock UPGRADE=--upgrade` takes the newest of everything.
lock: setup
	@cat requirements.lock requirements-cuda.lock | sed '/^torch==.*+cpu/,/[^\\]$$/d' > .venv/all.lock
	UV_EXTRA_INDEX_URL= $(BIN)/$(UNIVERSAL) pyproject.toml $(EXTRAS) $(UPGRADE) --output-file .venv/all.lock
	@cp tests/kinds/requirements.lock .venv/kinds.lock
	@cp requirements-evaluate.lock .venv/evaluate.lock
	@cp requirements-ray.lock .venv/ray.lock
	UV_EXTRA_INDEX_URL= $(BIN)/$(UNIVERSAL) tests/kinds/requirements.in --constraint .venv/all.lock $(UPGRADE) \
		--output-file .venv/kinds.lock
	UV_EXTRA_INDEX_URL= $(BIN)/$(UNIVERSAL) pyproject.toml --extra evaluate --constraint .venv/all.lock $(UPGRADE) \
		--output-file .venv/evaluate.lock
	UV_EXTRA_INDEX_URL= $(BIN)/$(UNIVERSAL) pyproject.toml --extra ray --constraint .venv/all.lock $(UPGRADE) \
		--output-file .venv/ray.lock
	$(BIN)/python -m tests.split_lock .venv/all.lock --torch-cpu $(TORCH_CPU_SHA256) \
		--beside .venv/kinds.lock tests/kinds/requirements.lock --beside .venv/evaluate.lock requirements-evaluate.lock \
		--beside .venv/ray.lock requirements-ray.lock

clean:
	rm -rf .venv .demo .bench .environments .evaluate .fuzz .kinds .npm .peers .ray .team .axe .browser build dist docs/site docs/.cache releases mlflow.db \
		mlartifacts
