# Every target installs what it needs into .venv; nothing outside the clone is touched but by `make interop`,
# which installs Debian packages.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DONE   := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest
TOOLS_VENV := .venv-tools
TOOLS_BIN  := $(TOOLS_VENV)/bin
TOOLS      := $(TOOLS_VENV)/.installed
AT_ONCE ?= 2
DEMO_FLAGS := $(if $(ONCE),--once --json) $(if $(IMAGES),--images "$(IMAGES)")

.PHONY: demo test check interop browser viewer pictures deidentification crash link soak fuzz throughput load supply vulnerabilities bench lab format clean help

help:             ## this list
	@grep -E '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: $(DONE)     ## the whole product on loopback (ONCE=1: end by itself; IMAGES=DIR: your own images)
	@$(BIN)/scanside demo $(DEMO_FLAGS)

test: $(DONE)     ## unit, property and end-to-end tests (AT_ONCE=n files of them at once, 0: one test after the other)
	$(PYTEST) --numprocesses $(AT_ONCE) --dist loadfile -m "not interop and not browser and not soak and not link and not throughput and not load" tests

check: $(DONE)    ## format, lint, types, import arrows
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

interop: $(DONE) .debian-peers .browser ## against Debian's DCMTK, Orthanc, dicom3tools, Tesseract, strace and Chromium
	$(PYTEST) -m "interop or browser" tests

browser: $(DONE) .browser ## the page alone, in Debian's Chromium
	$(PYTEST) -m browser tests

viewer:           ## build the study page's viewer anew from appliance/web/viewer (needs Node.js and npm)
	cd appliance/web/viewer && npm ci --ignore-scripts --no-audit --no-fund && node build.mjs

pictures: $(DONE) .browser ## the pictures of the page that the documents show, anew into docs/pictures
	SCANSIDE_PICTURES=docs/pictures $(PYTEST) tests/browser/test_pictures.py

deidentification: $(DONE) .debian-peers ## patients planted in 600 instances, words in 130 pictures, read by Tesseract (IMAGES=n)
	PATIENTS=40 IMAGES=$(or $(IMAGES),130) $(PYTEST) -s --timeout=0 tests/interop/test_burned_in.py tests/interop/test_planted.py

crash: $(DONE) .debian-peers ## hurt every process at system calls and at random times (POINTS=n, POINTS=all)
	POINTS=$(or $(POINTS),1000) $(PYTEST) -m crash tests

link: $(DONE) .link-tools ## uploads over a line with rate, loss, delay and cuts, between two network namespaces; needs root
	@[ "$$(id -u)" = 0 ] || { echo 'make link needs root: it makes network namespaces' >&2; exit 1; }
	$(PYTEST) -s -m link tests

soak: $(DONE)     ## a box under mixed traffic, its memory, files and threads watched (MINUTES=n)
	MINUTES=$(or $(MINUTES),60) $(PYTEST) -m soak tests

fuzz: $(DONE)     ## spoiled files through the readers, spoiled PDUs against a receiver (N=n, FROM=number)
	N=$(or $(N),100000) FROM=$(or $(FROM),0) $(PYTEST) -s --timeout=0 tests/fuzz

throughput: $(DONE) .debian-peers ## images taken in a second, beside DCMTK's and Orthanc's receivers (ROUNDS=n)
	$(PYTEST) -s -m throughput tests

load: $(DONE) .debian-peers ## what 50 open pages and 20 requests a second cost reception (ROUNDS=n)
	$(PYTEST) -s -m load tests

supply: $(TOOLS)  ## search our code for weaknesses, make wheel and bill of materials (dist/); needs no network
	$(TOOLS_BIN)/bandit --quiet --configfile pyproject.toml --recursive appliance hardware models store_forward
	$(TOOLS_BIN)/python -m tests.supply.wheel
	PYTHONWARNINGS=ignore $(TOOLS_BIN)/cyclonedx-py requirements requirements/edge.txt --pyproject pyproject.toml \
	  --mc-type application --output-reproducible --of JSON -o dist/scanside.cdx.json
	$(TOOLS_BIN)/python -m tests.supply.bill

vulnerabilities: $(TOOLS) ## ask PyPI for known vulnerabilities of every locked package; needs the network
	for file in edge dev audit; do $(TOOLS_BIN)/pip-audit --disable-pip --strict -r requirements/$$file.txt || exit 1; done

bench: $(DONE)    ## ingest, triage and uplink figures of this machine
	$(BIN)/scanside bench

lab: $(DONE)      ## what training and quantising packs needs, on top
	$(BIN)/python -m pip install --quiet -e '.[lab]'

format: $(DONE)   ## rewrite in the house's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:            ## remove the environment and the state
	rm -rf $(VENV) $(TOOLS_VENV) dist build var .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(DONE): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'Scanside needs Python 3.11 or newer; set PYTHON=python3.11' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || $(MAKE) --no-print-directory .venv-module
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	@touch $@

$(TOOLS): requirements/audit.txt
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || $(MAKE) --no-print-directory .venv-module
	$(PYTHON) -m venv $(TOOLS_VENV)
	$(TOOLS_BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/audit.txt
	@touch $@

# Debian keeps the venv module in a package of its own.
.PHONY: .venv-module
.venv-module:
	@echo 'Python has no venv module here; installing python3-venv' >&2
	@$(call as_root,sh -c 'apt-get install -y -qq python3-venv || { apt-get update -qq && apt-get install -y -qq python3-venv; }') \
	  || { echo 'Please install it: apt-get install python3-venv' >&2; exit 1; }

.PHONY: .debian-peers
.debian-peers:
	@command -v storescu >/dev/null && command -v Orthanc >/dev/null && command -v strace >/dev/null \
	  && command -v systemd-analyze >/dev/null && command -v dciodvfy >/dev/null && command -v gdcmconv >/dev/null && command -v tesseract >/dev/null \
	  && test -e /usr/share/orthanc/plugins/libOrthancDicomWeb.so \
	  || { $(call as_root,apt-get update -qq) && \
	       $(call as_root,env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq dcmtk orthanc orthanc-dicomweb dicom3tools libgdcm-tools strace systemd tesseract-ocr); }

.PHONY: .browser
.browser:
	@command -v chromium >/dev/null \
	  || { $(call as_root,apt-get update -qq) && \
	       $(call as_root,env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium); }

.PHONY: .link-tools
.link-tools:
	@command -v ip >/dev/null && command -v tc >/dev/null && command -v nft >/dev/null \
	  || { $(call as_root,apt-get update -qq) && \
	       $(call as_root,env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq iproute2 nftables); }

as_root = if [ "$$(id -u)" = 0 ]; then $(1); else sudo -n $(1); fi
