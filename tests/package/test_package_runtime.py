"""`pip install bessemer[runtime]`: little is installed, and a model loads, predicts and explains as anywhere."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
import urllib.request
import venv
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import bessemer
from bessemer.package import keys
from ports import free_port

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).parent / "golden"

#: The distributions of the small installation, besides bessemer.
ALLOWED = (
    *("cffi", "cryptography", "flatbuffers", "numpy", "onnxruntime", "packaging", "platformdirs"),
    *("protobuf", "pycparser"),
)
#: What it may take on disk, in bytes; most of it is onnxruntime and numpy.
MOST_BYTES = 260 << 20
#: What loading a small model and predicting with it may take in memory, in bytes.
MOST_MEMORY = 200 << 20

#: Whether there is a C compiler: then the wheel must have the extension.
COMPILES = shutil.which((sysconfig.get_config_var("CC") or "cc").split()[0]) is not None

#: Loads a package, predicts and explains rows, and says what it saw.
PROGRAM = """
import json, pathlib, sys, time
start = time.perf_counter()
import bessemer
imported = time.perf_counter() - start
asked = json.load(sys.stdin)
model = bessemer.load(asked["package"], key=asked["key"])
found = {"rows": model.predict_rows(asked["rows"])}
try:
    found["explained"] = model.predict_rows(asked["rows"], explain=True)
except bessemer.MissingExtra as error:
    found["refused"] = str(error)
if model.session.takes_matrix:
    matrix = [[row[field.name] for field in model.signature.inputs] for row in asked["rows"]]
    import numpy as np
    made = model.predict_matrix(np.array(matrix, dtype=np.float64))
    found["matrix"] = {name: values.tolist() for name, values in made.items()}
halves = model.session._two
found["walked"] = type(halves._head).__name__ if halves else ""
found["checks"] = [check["check"] for check in bessemer.verify(asked["package"], key=asked["key"])["checks"]]
# The most that was resident; `getrusage` would begin with that of the process that started this one.
status = pathlib.Path("/proc/self/status")
lines = status.read_text().splitlines() if status.exists() else []
found["memory"] = sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
found["seconds"] = imported
found["modules"] = sorted({name.split(".")[0] for name in sys.modules})
json.dump(found, sys.stdout)
"""

#: What each part says that is not there.
REFUSALS = """
import json, sys
import bessemer
said = {}
def refuse(name, call):
    try:
        call()
    except bessemer.MissingExtra as error:
        said[name] = str(error)
model = bessemer.load(sys.argv[1])
refuse("predict", lambda: model.predict([{}]))
refuse("Project", lambda: bessemer.Project)
refuse("s3", lambda: bessemer.load("s3://bucket/a.bsm"))
json.dump(said, sys.stdout)
"""


def asked(path: Path, rows: list[dict[str, Any]], key: Path | None = None) -> str:
    return json.dumps({"package": str(path), "rows": rows, "key": None if key is None else str(key)})


def run(python: list[str], program: str, *arguments: str, given: str = "", **more: str) -> Any:
    done = subprocess.run(
        [*python, "-c", program, *arguments],
        input=given,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **more},
        cwd="/",
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def rows_of(table: pa.Table, names: list[str]) -> list[dict[str, Any]]:
    """Rows as JSON has them."""
    return json.loads(json.dumps(table.select(names).to_pylist(), default=lambda moment: moment.isoformat()))


def check(found: dict[str, Any], model: bessemer.Model, rows: list[dict[str, Any]]) -> None:
    """What the small installation found is what this one, which has everything, finds."""
    assert found["rows"] == model.predict_rows(rows) == model.predict(rows).to_pylist()
    assert found["checks"] == ["container", "signature", "format", "digests", "graph"]
    expected = model.predict(rows, explain=True).to_pylist()
    for mine, theirs in zip(found["explained"], expected, strict=True):
        assert mine.keys() == theirs.keys()
        for name, value in theirs.items():
            assert mine[name] == (pytest.approx(value, abs=1e-9) if isinstance(value, float) else value)


@pytest.fixture
def small(tmp_path: Path) -> list[str]:
    """A Python that can import the allowed distributions and bessemer, and nothing else."""
    site = tmp_path / "site"
    site.mkdir()
    for name in ALLOWED:
        for file in importlib.metadata.files(name) or ():
            place = site / file.parts[0]
            if file.parts[0] not in ("..", "__pycache__") and not place.exists():
                place.symlink_to(Path(str(file.locate())).parents[len(file.parts) - 1] / file.parts[0])
    (site / "bessemer").symlink_to(ROOT / "src" / "bessemer")
    start = f"import sys; sys.path.insert(0, {str(site)!r})"
    launcher = tmp_path / "python.py"
    launcher.write_text(f"{start}\ndel sys.argv[1]\nexec(sys.argv.pop(1))\n")
    return [sys.executable, "-S", "-P", str(launcher)]


@pytest.mark.slow
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_trees_and_linear_models_without_the_flows_packages(
    task: str, small: list[str], write: Any, make_trained: Any, make_rows: Any, as_trees: Any
) -> None:
    for made in (as_trees(make_trained(task, "lightgbm")), make_trained(task, "linear")):
        path = write(made)
        model = bessemer.load(path)
        rows = rows_of(make_rows(40, 3), [field.name for field in model.signature.inputs])
        found = run(small, PROGRAM, given=asked(path, rows))
        check(found, model, rows)
        if (
            made.model_json["native"]["kind"] == "trees"
            and os.environ.get("BESSEMER_TREES", "auto") == "auto"
        ):
            assert found["walked"] == "TreesHead"


@pytest.mark.slow
def test_what_is_not_there_says_what_to_install(small: list[str], write: Any, make_trained: Any) -> None:
    path = write(make_trained("binary", "lightgbm"))
    said = run(small, REFUSALS, str(path))
    assert "needs the Python package 'pyarrow'" in said["predict"]
    assert "pip install 'bessemer[arrow]'" in said["predict"]
    assert "'bessemer.Project' needs the Python package 'duckdb'" in said["Project"]
    assert "pip install 'bessemer[flow]'" in said["Project"]
    assert "pip install 'bessemer[s3]'" in said["s3"]
    rows = [{}]
    found = run(small, PROGRAM, given=asked(path, rows))
    assert "needs the Python package 'lightgbm'" in found["refused"], "the text of LightGBM needs LightGBM"


def test_the_command_says_what_to_install(small: list[str]) -> None:
    program = (
        "import runpy; sys.argv[1:] = ['run', '--json']; runpy.run_module('bessemer', run_name='__main__')"
    )
    done = subprocess.run([*small, "-c", program], capture_output=True, text=True, timeout=300)
    assert done.returncode == 6, done.stderr
    assert done.stderr.splitlines() == [
        "error: 'bessemer run' needs the Python package 'duckdb', which is not installed",
        "  fix: pip install 'bessemer[flow]'",
    ]


@pytest.mark.slow
def test_the_golden_package_predicts(small: list[str]) -> None:
    golden = json.loads((GOLDEN / "format-1.json").read_text("utf-8"))
    model = bessemer.load(GOLDEN / "format-1.bsm", key=GOLDEN / "signer.pub")
    found = run(small, PROGRAM, given=asked(GOLDEN / "format-1.bsm", model.sample, GOLDEN / "signer.pub"))
    assert [row["prediction"] for row in found["rows"]] == golden["prediction"]
    assert [row["probability"] for row in found["rows"]] == pytest.approx(golden["probability"], abs=1e-6)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree."""
    folder = tmp_path_factory.mktemp("wheel")
    build = f"import hatchling.build; hatchling.build.build_wheel({str(folder)!r})"
    environ = {**os.environ, **({"BESSEMER_BUILD": "required"} if COMPILES else {})}
    subprocess.run([sys.executable, "-c", build], cwd=ROOT, check=True, capture_output=True, env=environ)
    return next(folder.glob("*.whl"))


def install(wheel: Path, extra: str, folder: Path) -> Path:
    """The Python of a new environment with the wheel and an extra, made as a user makes it."""
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    made = subprocess.run([*command, f"{wheel}[{extra}]"], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return python


def site_of(python: Path) -> Path:
    return next((python.parents[1] / "lib").glob("python*/site-packages"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(wheel, "runtime", tmp_path_factory.mktemp("runtime") / "venv")


LEARNERS = {"lightgbm": {}, "catboost": {}, "linear": {}, "random_forest": {}, "constant": {}}


@pytest.fixture
def projects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a project for each learner; each test signs with a key of its own."""
    folder = tmp_path_factory.mktemp("projects")
    rng = np.random.default_rng(1)
    hours, plan = rng.integers(0, 60, 900), rng.choice(["basic", "pro", "team"], 900)
    left = (hours + rng.normal(0, 10, 900) < 25) & (plan == "basic")
    table = pa.table({"hours": hours, "plan": plan, "spent": rng.lognormal(3, 1, 900), "left": left})
    for name in LEARNERS:
        (folder / name).mkdir()
        pq.write_table(table, folder / name / "data.parquet")
        (folder / name / "bessemer.yaml").write_text(
            f"name: churn\ndata: data.parquet\ntarget: left\ntrain: {{learner: {name}}}\n"
            "package: {ignore_gates: true}\n"
            'track: {mlflow: "off", tensorboard: "off"}\n'
        )
    return folder


@pytest.mark.slow
def test_the_installation_is_small(installed: Path) -> None:
    site = site_of(installed)
    names = sorted(
        found.metadata["Name"].lower() for found in importlib.metadata.distributions(path=[str(site)])
    )
    size = sum(file.stat().st_size for file in site.rglob("*") if file.is_file() and file.suffix != ".pyc")
    print(f"bessemer[runtime] takes {size / 2**20:.0f} MiB: {', '.join(names)}")
    assert names == ["bessemer", *ALLOWED]
    assert size < MOST_BYTES
    if COMPILES:
        assert list((site / "bessemer" / "package" / "trees").glob("_walker*")), (
            "the wheel has no C extension"
        )


@pytest.mark.slow
@pytest.mark.parametrize("learner", LEARNERS)
def test_it_predicts_and_explains_as_the_full_one(learner: str, installed: Path, projects: Path) -> None:
    package = bessemer.Project(projects / learner).run().package
    assert package is not None
    model = bessemer.load(package)
    table = pq.read_table(projects / learner / "data.parquet").slice(0, 60)
    rows = rows_of(table, ["hours", "plan", "spent"])
    environ = {"BESSEMER_CONFIG_DIR": str(keys.config_folder())}
    found = run([str(installed)], PROGRAM, given=asked(Path(package), rows), **environ)
    check(found, model, rows)
    print(f"{learner}: import {found['seconds'] * 1000:.0f} ms, peak {found['memory'] / 2**20:.0f} MiB")
    assert found["memory"] < MOST_MEMORY
    assert not {"pyarrow", "onnx", "lightgbm", "sklearn", "pandas", "duckdb"} & set(found["modules"])


@pytest.mark.slow
def test_the_installed_command_says_what_to_install(installed: Path) -> None:
    done = subprocess.run(
        [installed.with_name("bessemer"), "run"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 6
    assert "'bessemer run' needs the Python package 'duckdb'" in done.stderr
    assert "pip install 'bessemer[flow]'" in done.stderr


def _answer(url: str, body: bytes | None = None) -> bytes:
    """What a server that is starting answers, when it does."""
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    until = time.monotonic() + 300
    while True:
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                return bytes(answer.read())
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


@pytest.mark.slow
def test_serving_needs_its_own_extra_only(wheel: Path, projects: Path, tmp_path: Path) -> None:
    python = install(wheel, "serve", tmp_path / "venv")
    names = {
        found.metadata["Name"].lower()
        for found in importlib.metadata.distributions(path=[str(site_of(python))])
    }
    assert not {"duckdb", "lightgbm", "onnx", "pandas", "scikit-learn", "scipy", "sqlglot"} & names
    package = bessemer.Project(projects / "lightgbm").run().package
    assert package is not None
    rows = [{"hours": 3, "plan": "basic", "spent": 20.5}, {"hours": 50, "plan": None, "spent": 1.0}]
    expected = bessemer.load(package).predict_rows(rows, explain=True)
    port = free_port()
    command = [str(python.with_name("bessemer")), "serve", str(package), "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=tmp_path)
    try:
        _answer(f"http://127.0.0.1:{port}/v2/health/ready")
        body = json.dumps({"rows": rows, "explain": True}).encode()
        found = json.loads(_answer(f"http://127.0.0.1:{port}/predict", body))["predictions"]
    finally:
        server.terminate()
        assert server.wait(300) == 0
    for mine, theirs in zip(found, expected, strict=True):
        assert mine["prediction"] == theirs["prediction"]
        assert mine["explanation"]["score"] == pytest.approx(theirs["score"], abs=1e-6)
        for group, value in mine["explanation"]["contributions"].items():
            assert value == pytest.approx(theirs[f"contribution_{group}"], abs=1e-6)
