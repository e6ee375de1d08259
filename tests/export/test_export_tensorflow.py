"""The formats of TensorFlow, each in its own runtime."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packages_support import model
from readme_support import run_readme

from bessemer.environments.plugins import ENVIRONMENTS
from bessemer.export.plugins import TARGETS
from bessemer.export.proof import Proof
from bessemer.export.protocol import Source
from bessemer.export.sidecar import example_rows
from bessemer.export.web.browser import served
from bessemer.testing.targets import check_target

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))
from browser import chromium

pytestmark = pytest.mark.slow

INT8 = {"quantise": "int8"}


def proven(name: str, kind: str, folder: Path, *, same_bytes: bool = False, **settings: str) -> Proof:
    proof = check_target(
        name, TARGETS.load(name), model(kind), folder, settings=settings, same_bytes=same_bytes
    )
    assert isinstance(proof, Proof), proof
    assert not proof.not_run
    assert proof.rows > 60
    return proof


@pytest.mark.parametrize("kind", ["logistic", "forest", "regression", "table_net"])
def test_layers_of_every_kind_of_model(kind: str, tmp_path: Path) -> None:
    proof = proven("keras", kind, tmp_path)
    assert proof.difference < 5e-7
    assert proof.flips == 0


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("savedmodel", "lightgbm"),
        ("keras", "convnet"),
        ("h5", "lightgbm"),
        ("keras_json", "convnet"),
        ("keras_weights", "table_net"),
        ("tflite", "table_net"),
        ("tfjs", "lightgbm"),
    ],
)
def test_a_format_is_the_same_each_time(name: str, kind: str, tmp_path: Path) -> None:
    proof = proven(name, kind, tmp_path, same_bytes=True)
    assert proof.difference < 5e-7
    assert proof.flips == 0


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("savedmodel", "convnet"),
        ("tflite", "lightgbm"),
        ("tflite", "regression"),
        ("tfjs", "convnet"),
        ("tflite_micro", "table_net"),
    ],
)
def test_formats_with_other_models(name: str, kind: str, tmp_path: Path) -> None:
    proof = proven(name, kind, tmp_path)
    assert proof.difference < 5e-7
    assert proof.flips == 0


def test_large_trees_are_walked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those with more than so many branches, level by level: lookups of lookups."""
    monkeypatch.setattr("bessemer.export.numeric.trees.MOST_BRANCHES", 4)
    proof = proven("tflite", "lightgbm", tmp_path)
    assert proof.difference < 5e-7
    assert proof.flips == 0


def test_a_keras_file_holds_no_code(tmp_path: Path) -> None:
    TARGETS.load("keras")(None).export(Source(model("forest")), tmp_path)
    with zipfile.ZipFile(tmp_path / "model.keras") as kept:
        config = kept.read("config.json").decode()
    assert "Lambda" not in config
    modules = set(re.findall(r'"module": "([^"]+)"', config))
    assert modules
    assert all(name == "keras" or name.startswith("keras.") for name in modules)


def test_half_and_eight_bits_of_an_image_network(tmp_path: Path) -> None:
    whole = proven("tflite", "convnet", tmp_path / "none")
    half = proven("tflite", "convnet", tmp_path / "float16", quantise="float16")
    eight = proven("tflite", "convnet", tmp_path / "int8", same_bytes=True, **INT8)
    assert whole.difference < half.difference < 5e-4
    assert half.flips == 0
    assert half.difference < eight.difference < 0.02
    assert eight.flips <= 3
    size = {
        name: (tmp_path / name / "one/model.tflite").stat().st_size for name in ("none", "float16", "int8")
    }
    assert size["float16"] < 0.55 * size["none"]
    assert size["int8"] < 0.35 * size["none"]


def test_eight_bits_of_a_table_network_on_a_microcontroller(tmp_path: Path) -> None:
    proof = proven("tflite_micro", "table_net", tmp_path, same_bytes=True, **INT8)
    assert proof.difference < 0.03
    assert proof.flips == 0
    content = (tmp_path / "one/model.tflite").read_bytes()
    assert proof.beside["flash_bytes"] == len(content)
    assert 10_000 < proof.beside["arena_bytes"] < 40_000
    assert _as_c_has_it(tmp_path / "one") == content
    main = (tmp_path / "one/main.cc").read_text()
    (arena,) = re.findall(r"kArenaSize = (\d+);", main)
    assert int(arena) >= proof.beside["arena_bytes"]
    resolver = (tmp_path / "one/resolver.h").read_text()
    assert "AddFullyConnected()" in resolver
    assert f"MicroMutableOpResolver<{resolver.count('resolver.Add')}>" in resolver


def _as_c_has_it(folder: Path) -> bytes:
    """What a C compiler makes of the array."""
    dump = "int main(void) { return fwrite(model_data, 1, model_data_size, stdout) != model_data_size; }\n"
    (folder / "dump.c").write_text(f'#include <stdio.h>\n#include "model_data.h"\n{dump}')
    compiler = shutil.which("cc")
    assert compiler, "the array is compiled by cc"
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-o", "dump"]
    subprocess.run([compiler, *flags, "dump.c", "model_data.c"], cwd=folder, check=True)
    return subprocess.run(["./dump"], cwd=folder, check=True, capture_output=True).stdout


def predictions_of_the_example(kind: str) -> list[Any]:
    """What the package says of the row that READMEs show."""
    return [row["prediction"] for row in model(kind).predict_rows(example_rows(Source(model(kind))))]


@pytest.mark.parametrize("name", ["savedmodel", "h5", "tflite"])
def test_its_readme_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = ENVIRONMENTS["tensorflow"]
    place.ensure(lambda line: None)
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(place.folder / "pycache"))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "")
    said = run_readme(TARGETS.load(name), model("lightgbm"), tmp_path / "out", place.program)
    assert said.strip().endswith(str(predictions_of_the_example("lightgbm")))


def test_the_page_of_the_readme_answers_in_a_browser(tmp_path: Path) -> None:
    site, source = tmp_path / "site", Source(model("lightgbm"))
    site.mkdir()
    usage = TARGETS.load("tfjs")(None).export(source, site)
    (page,) = re.findall(r"```html\n(.*?)```", usage, re.DOTALL)
    page, changed = re.subn(r'src="https://[^"]+/tf\.min\.js"', 'src="tf.min.js"', page)
    assert changed == 1
    (site / "index.html").write_text(page, encoding="utf-8")
    modules = ENVIRONMENTS["tensorflow_js"].ensure(lambda line: None) / "node_modules"
    shutil.copy(modules / "@tensorflow/tfjs/dist/tf.min.js", site)
    with served(site) as address, chromium() as browser:
        opened = browser.new_page()
        opened.goto(f"{address}/index.html")
        opened.wait_for_function(
            "document.body && document.body.textContent.startsWith('[')", timeout=120_000
        )
        said = json.loads(opened.evaluate("document.body.textContent"))
    assert said == predictions_of_the_example("lightgbm")


@pytest.mark.parametrize(
    ("name", "kind", "settings", "why"),
    [
        ("tflite", "lightgbm", INT8, "quantising changes nothing in trees"),
        ("tflite", "logistic", INT8, "would get no smaller"),
        ("tflite", "table_net", {"quantise": "float16"}, "16 bits do not tell"),
        ("tflite_micro", "regression", {}, "export it to c"),
    ],
)
def test_what_is_not_carried_says_why(
    name: str, kind: str, settings: dict[str, Any], why: str, tmp_path: Path
) -> None:
    found = check_target(name, TARGETS.load(name), model(kind), tmp_path, settings=settings)
    assert isinstance(found, str)
    assert why in found
