"""A network on images, marked by two families at once, from the command line: embed, verify, dispute, survive."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from protect_support import OTHER, OWNER

from bessemer.protect.pixels import write_image

pytestmark = pytest.mark.slow

QUICK = {"find_slices": None, "find_duplicates": False, "find_label_errors": False, "replicates": 20}


def write_digits(folder: Path) -> None:
    from sklearn.datasets import load_digits

    found = load_digits()
    images = [write_image(one[..., None] / 16) for one in found.images]
    pq.write_table(
        pa.table({"image": images, "digit": [f"{k}" for k in found.target]}), folder / "data.parquet"
    )
    own = {
        "name": "digits",
        "data": "data.parquet",
        "target": "digit",
        "protect": {
            "mark": [{"blind": {"steps": 60, "logo": "logo.png"}}, "pattern"],
            "keys": 40,
        },
        "train": {
            "learner": "network",
            "calibrate": "none",
            "params": {"image_encoder": {"convnet": {"width": 16}}, "epochs": 15, "dropout": 0.0},
        },
        "evaluate": QUICK,
        "explain": {"explainers": []},
        "track": {"mlflow": "off", "tensorboard": "off"},
    }
    (folder / "bessemer.yaml").write_text(json.dumps(own), "utf-8")


def test_both_families_make_one_claim(tmp_path: Path) -> None:
    import base64

    import numpy as np

    config = tmp_path / "config"
    folder = tmp_path / "digits"
    folder.mkdir()
    logo = np.linspace(0, 1, 20)[None, :, None].repeat(20, axis=0)
    (folder / "logo.png").write_bytes(base64.b64decode(write_image(logo)))
    write_digits(folder)

    def bessemer(*args: object, owner: str = OWNER) -> Any:
        env = {**os.environ, "BESSEMER_CONFIG_DIR": str(config), "BESSEMER_OWNER_KEY": owner}
        command = [sys.executable, "-m", "bessemer", *map(str, args), "--json"]
        done = subprocess.run(
            command, cwd=folder, env=env, capture_output=True, text=True, timeout=900, check=False
        )
        return json.loads(done.stdout) if done.returncode == 0 else done.stderr

    marked = bessemer("watermark", "embed")
    assert marked["ownership"]["owned"], marked
    (kept,) = (config / "owner" / "marks").iterdir()
    assert {path.name for path in kept.iterdir()} >= {"keys.parquet", "mark.json", "encoder.safetensors"}
    content = Path(marked["package"]).read_bytes()
    assert b"encoder.safetensors" not in content
    assert (kept / "encoder.safetensors").read_bytes()[-64:] not in content

    package = marked["package"]
    copy = bessemer("watermark", "verify", package)
    assert (copy["owned"], copy["keys"]) == (True, 80)
    assert copy["hits"] == marked["ownership"]["hits"]
    shown = bessemer("watermark", "dispute", "-o", tmp_path / "evidence.json")
    assert shown["keys"] == 40
    judged = bessemer("watermark", "verify", package, "--evidence", tmp_path / "evidence.json", owner=OTHER)
    assert (judged["by"], judged["owned"], judged["keys"]) == ("evidence", True, 40)

    rows = {row["removal"]: row for row in bessemer("watermark", "survive")["removals"]}
    for name in ("as it is", "quantised to 8 bits"):
        assert rows[name]["owned"], rows[name]
    assert not rows["distilled into a student"]["owned"]

    # Another encoder is not the one that was committed to.
    kept_encoder = kept / "encoder.safetensors"
    kept_encoder.write_bytes(kept_encoder.read_bytes()[:-4] + b"\0\0\0\1")
    refused = bessemer("watermark", "verify", package)
    assert "encoder.safetensors is not what mark.json has the hash of" in refused
    facts = json.loads((kept / "mark.json").read_text())
    del facts["material"]
    (kept / "mark.json").write_text(json.dumps(facts))
    assert "the certificate does not commit to these keys" in bessemer("watermark", "verify", package)
