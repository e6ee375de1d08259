"""The example `digits` at small size: PNG files in, a served answer to a PNG file out."""

from __future__ import annotations

import base64
import io
import json
import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image
from tests_support import write_project

from bessemer.monitor.monitor import Monitor
from bessemer.package.image_measures import measure_names
from bessemer.serve.app import App
from bessemer.serve.repository import Repository, make_lane
from bessemer.serve.spec import ServeSpec
from bessemer.serve.wire import Request

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "digits"
#: As long as the larger photos are, and no small picture of them.
LONG = re.compile(r"[A-Za-z0-9+/]{16000}")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory, bessemer: Any) -> dict[str, Any]:
    """A finished run on 400 digits, some of them as larger photos; with a quick learner in the network's place."""
    folder = tmp_path_factory.mktemp("digits")
    runpy.run_path(str(EXAMPLE / "write.py"))["write"](folder / "digits", 400)
    for file in sorted(folder.glob("digits/*/*.png"))[::20]:
        with Image.open(file) as image:
            noise = np.random.default_rng(1).integers(0, 25, (96, 96, 3))
            large = np.asarray(image.convert("RGB").resize((96, 96))).astype(int) + noise
        Image.fromarray(np.clip(large, 0, 255).astype(np.uint8)).save(file)
    keys = yaml.safe_load((EXAMPLE / "bessemer.yaml").read_text())
    assert keys["train"].pop("learner") == "network"
    keys["prepare"] = {"image": {"size": [8, 8], "channels": 1}}
    write_project(folder, **{**keys, "train": {**keys["train"], "learner": "linear"}})
    done = bessemer("run", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return {"folder": folder, **json.loads(done.stdout)}


def opened(digits: dict[str, Any]) -> Any:
    import bessemer as module

    return module.load(digits["package"])


def photo(digits: dict[str, Any], number: int = 0) -> tuple[str, str]:
    file = sorted(digits["folder"].glob("digits/*/*.png"))[number]
    return base64.b64encode(file.read_bytes()).decode(), file.parent.name


def test_pixels_are_learnt_from(digits: dict[str, Any]) -> None:
    assert digits["metrics"]["accuracy"]["value"] > 0.75
    model = opened(digits)
    assert [field.is_image for field in model.signature.inputs] == [True]
    assert len(model.info["features"]) == 64


def test_a_png_file_is_answered_and_a_broken_one_is_refused_alone(digits: dict[str, Any]) -> None:
    spec = ServeSpec(explain="on_request")
    app = App(Repository(spec, [make_lane(opened(digits), spec)]))
    asked = [photo(digits, number) for number in range(0, 400, 40)]

    def answer(*texts: str | None) -> tuple[int, dict[str, Any]]:
        body = json.dumps({"rows": [{"image": text} for text in texts]}).encode()
        found = app.handle(Request("POST", "/predict", body=body))
        return found.status, json.loads(found.body)

    status, whole = answer(*(text for text, _ in asked))
    right = [one["prediction"] == label for one, (_, label) in zip(whole["predictions"], asked, strict=True)]
    assert status == 200
    assert sum(right) >= 7
    for broken, why in (
        ("/9j/4AAQ", "damaged JPEG"),
        (asked[0][0][:90], "damaged image"),
        ("hello", "no base64"),
    ):
        status, refused = answer(asked[0][0], broken)
        assert status == 400
        assert why in json.dumps(refused)
        assert "row 1" in json.dumps(refused) or '"row": 1' in json.dumps(refused)
    assert answer(asked[0][0])[0] == 200
    assert answer(None)[0] in (200, 400)


def test_no_file_of_a_run_holds_images_as_they_came(digits: dict[str, Any]) -> None:
    model = opened(digits)
    for name in (
        "reference.json",
        "explanations.json",
        "evaluation.json",
        "sample.json",
        "signature.json",
        "card.md",
    ):
        assert not LONG.search(model.contents.text(name).replace("\\/", "/")), name
    page = Path(digits["report"]).read_text("utf-8")
    data = json.loads(page.split('id="bessemer-data">')[1].split("</script>")[0])
    assert not LONG.search(json.dumps(data))
    assert "iVBORw0KGgo" not in (digits["folder"] / "contract.yaml").read_text()
    column = next(column for column in data["data"]["columns"] if column["name"] == "image")
    assert column["found"]["kind"] == "image"
    assert {label for _, label in column["found"]["images"]} <= set("0123456789")


def test_the_reference_measures_images_and_sees_dark_ones(digits: dict[str, Any]) -> None:
    assert set(opened(digits).reference["columns"]) == set(measure_names("image"))
    rows = [photo(digits, number)[0] for number in range(0, 400, 2)]
    watch = Monitor(opened(digits))
    same, dark = (
        watch.check(pa.table({"image": [_scaled(text, change) for text in rows]})) for change in (1.0, 0.4)
    )
    assert not same.findings
    assert "image: brightness" in {finding.column for finding in dark.findings}


def _scaled(text: str, factor: float) -> str:
    with Image.open(io.BytesIO(base64.b64decode(text))) as image:
        pixels = (np.asarray(image).astype(float) * factor).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def test_contributions_are_those_of_the_whole_image(digits: dict[str, Any]) -> None:
    text, _ = photo(digits)
    (answer,) = opened(digits).predict_rows([{"image": text}], explain=True)
    assert answer["base"] + answer["contribution_image"] == pytest.approx(answer["score"], abs=1e-4)


def test_predict_names_the_row_that_is_broken(digits: dict[str, Any], bessemer: Any) -> None:
    rows = [photo(digits, number)[0] for number in range(5)]
    rows[3] = rows[3][:90]
    pq.write_table(pa.table({"image": rows}), digits["folder"] / "broken.parquet")
    done = bessemer("predict", digits["package"], "broken.parquet", "-o", "out.parquet", cwd=digits["folder"])
    assert done.returncode != 0
    assert "column 'image', row 3: a damaged image file" in done.stderr
    assert "Traceback" not in done.stderr
