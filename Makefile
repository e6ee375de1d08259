# make demo   the flights example end to end, then a served prediction
# make loop   flights month after month: served, watched, trained again, deployed on trial
# make test   everything CI runs
# make check  lint, types, layers and unit tests, for while you work

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
C := $(wildcard src/bessemer/*/*/_*.c src/bessemer/*/*/*/_*.c)

# Python keeps what it has compiled, also where it is told not to, as in many containers: most of the start of a process, of
# which the tests start thousands, would be compiling.
export PYTHONDONTWRITEBYTECODE :=
# Threads that wait for each other sleep: where several processes share the cores, spinning takes more than half of them.
export OMP_WAIT_POLICY := passive

.PHONY: install demo loop test check lint types layers unit slow bench lock clean browser node java hdfs postgres prometheus cortex

install: $(STAMP)

$(STAMP): requirements.lock pyproject.toml hatch_build.py $(C)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(STAMP)

demo: install
	$(BIN)/python examples/flights/demo.py

# the closed loop on a year of flights: served, watched, trained again
loop: install
	$(BIN)/python examples/closed-loop/loop.py

# Tests with servers, browsers and whole runs mostly wait for other processes: so many files go side by side, and not those
# with one long test last, of which a worker would be given several. Those that are about time itself have the machine
# for themselves.
BESIDE ?= 4
QUICK = $(BIN)/python -m pytest -m "not slow" -n auto --dist loadfile
SLOW = $(BIN)/python -m pytest -m "slow and not alone" -n $(BESIDE) --dist loadfile --no-loadscope-reorder
ALONE = $(BIN)/python -m pytest -m "slow and alone"

test: install browser node java hdfs postgres prometheus cortex lint types layers
	$(QUICK)
	$(SLOW)
	$(ALONE)

check: install lint types layers unit

lint: install
	$(BIN)/ruff check --quiet src tests benchmarks examples
	$(BIN)/ruff format --check --quiet src tests benchmarks examples

types: install
	$(BIN)/mypy

layers: install
	$(BIN)/lint-imports

unit: install
	$(QUICK)

slow: install
	$(SLOW)
	$(ALONE)

# The report and the API page are tested in a real browser.
browser:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || \
	  { command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || \
	  echo "no Chromium here: the tests that look at pages will fail; install it with your package manager"

# The page's scripts are checked by Node, and its accessibility by axe, which npm brings.
node:
	@command -v npm >/dev/null || \
	  { command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq nodejs npm >/dev/null; } || \
	  echo "no npm here: the tests of the page's scripts will fail; install it with your package manager"

# H2O, which AutoML is compared with, is a Java server.
java:
	@java -version >/dev/null 2>&1 || \
	  { command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq default-jre-headless >/dev/null; } || \
	  echo "no Java here: the tests that compare with H2O will fail; install it with your package manager"

# Predictions are read from and written to a real PostgreSQL.
postgres:
	@command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || \
	  { command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq postgresql >/dev/null; } || \
	  echo "no PostgreSQL here: the tests that use one will fail; install it with your package manager"

# The rules are run by a real Prometheus and Alertmanager.
prometheus:
	@command -v prometheus >/dev/null && command -v prometheus-alertmanager >/dev/null || \
	  { command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && apt-get update -qq && \
	    apt-get install -y -qq --no-install-recommends prometheus prometheus-alertmanager >/dev/null; } || \
	  echo "no Prometheus or Alertmanager here: the tests of rules will fail; install them with your package manager"

# Files are read from and written to a real HDFS, which needs Java and, beside its own jars, Jersey 1.
hdfs: java
	@test -e /usr/share/java/jersey1-servlet.jar || \
	  { command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && apt-get update -qq && \
	    apt-get install -y -qq --no-install-recommends libjersey1-core-java libjersey1-server-java libjersey1-servlet-java >/dev/null; } || \
	  echo "no Jersey 1 here: the tests of HDFS will fail; install libjersey1-{core,server,servlet}-java with your package manager"

# Models in C run on an emulated Cortex-M.
cortex:
	@command -v arm-none-eabi-gcc >/dev/null && command -v qemu-system-arm >/dev/null || \
	  { command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && apt-get update -qq && \
	    apt-get install -y -qq --no-install-recommends gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm >/dev/null; } || \
	  echo "no compiler or emulator of Cortex-M here: the tests of models in C will fail; install gcc-arm-none-eabi and qemu-system-arm with your package manager"

lock: install
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --all-extras --group dev --output-file requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) build dist $(C:.c=*.so) .mypy_cache .ruff_cache .hypothesis examples/*/.bessemer examples/*/build
