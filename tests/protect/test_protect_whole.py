"""From the project file to a dispute, as its owner, a judge and a thief go about it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from protect_support import OTHER, OWNER, write_project

from bessemer.api import Project
from bessemer.protect.survive import survived
from ports import free_port

pytestmark = pytest.mark.slow

Call = Callable[..., "subprocess.CompletedProcess[str]"]
QUICK = {"find_slices": None, "find_duplicates": False, "find_label_errors": False, "replicates": 20}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("owner")


@pytest.fixture(scope="module")
def bessemer(config: Path) -> Call:
    def call(*args: object, cwd: Path, owner: str = OWNER) -> Any:
        env = {**os.environ, "BESSEMER_CONFIG_DIR": str(config), "BESSEMER_OWNER_KEY": owner}
        command = [sys.executable, "-m", "bessemer", *map(str, args)]
        return subprocess.run(
            command, cwd=cwd, env=env, capture_output=True, text=True, timeout=900, check=False
        )

    return call


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory, shared: Path, bessemer: Call) -> dict[str, Any]:
    """A marked model of who leaves, and what `embed` said."""
    folder = write_project(
        tmp_path_factory.mktemp("marked"),
        shared / "telco" / "train.csv",
        "Churn",
        3000,
        protect={"mark": "crossover", "keys": 160},
        train={"learner": "lightgbm", "calibrate": "none"},
        evaluate=QUICK,
        explain={"explainers": []},
    )
    done = bessemer("watermark", "embed", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    return {"folder": folder, **json.loads(done.stdout)}


def said(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_mark_took_and_the_package_commits_to_it(marked: dict[str, Any], bessemer: Call) -> None:
    from bessemer.package.certificate import Certificate
    from bessemer.package.container import unpack

    assert marked["ownership"]["owned"]
    assert marked["ownership"]["keys"] == 320
    members = unpack(Path(marked["package"]).read_bytes())
    certificate = Certificate.from_json(json.loads(bytes(members["certificate.json"])))
    assert certificate.keys == 320
    assert "keys.parquet" not in " ".join(members)
    assert OWNER.encode() not in Path(marked["package"]).read_bytes()
    assert said(bessemer("verify", marked["package"], "--json", cwd=marked["folder"]))["checks"]


def test_the_owners_key_is_nowhere_in_the_project(marked: dict[str, Any]) -> None:
    key = bytes.fromhex(OWNER)
    for path in (p for p in marked["folder"].rglob("*") if p.is_file()):
        content = path.read_bytes()
        assert OWNER.encode() not in content, path
        assert key not in content, path


def test_a_copy_is_owned_and_another_model_is_not(
    marked: dict[str, Any], bessemer: Call, shared: Path, tmp_path: Path
) -> None:
    package = marked["package"]
    copy = said(bessemer("watermark", "verify", package, "--package", package, "--json", cwd=tmp_path))
    assert copy["owned"]
    assert copy["hits"] == marked["ownership"]["hits"]
    folder = write_project(
        tmp_path / "innocent",
        shared / "telco" / "train.csv",
        "Churn",
        3000,
        train={"learner": "lightgbm"},
        evaluate=QUICK,
        explain={"explainers": []},
    )
    other = said(bessemer("run", "--json", cwd=folder))["package"]
    innocent = said(bessemer("watermark", "verify", other, "--package", package, "--json", cwd=tmp_path))
    assert not innocent["owned"]
    assert innocent["p"] > 1e-4
    refused = bessemer("watermark", "verify", other, "--package", other, cwd=tmp_path)
    assert refused.returncode == 5
    assert "no certificate" in refused.stderr


def test_another_owner_can_claim_nothing(marked: dict[str, Any], bessemer: Call, tmp_path: Path) -> None:
    package = marked["package"]
    done = bessemer("watermark", "verify", package, "--package", package, cwd=tmp_path, owner=OTHER)
    assert done.returncode == 2
    assert "the certificate is of owner" in done.stderr


def test_a_server_is_asked_in_each_dialect(
    marked: dict[str, Any], config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server of the copy runs as a process of its own, and is stopped by its id."""
    import time
    import urllib.request
    from contextlib import suppress

    from bessemer.protect.verify import open_release, verify_by_owner

    port = free_port()
    monkeypatch.setenv("BESSEMER_CONFIG_DIR", str(config))
    monkeypatch.setenv("BESSEMER_OWNER_KEY", OWNER)
    release = open_release(marked["package"])
    command = [sys.executable, "-m", "bessemer", "serve", str(marked["package"]), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            for _ in range(3000):
                with suppress(OSError):
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=60).close()
                    break
                time.sleep(0.1)
            for path in ("predict", "v1/models/marked:predict", "invocations", "v2/models/marked/infer"):
                verdict, _ = verify_by_owner(release, f"http://127.0.0.1:{port}/{path}")
                assert verdict.hits == marked["ownership"]["hits"], path
        finally:
            server.terminate()


def test_a_thiefs_half_of_the_trees_is_still_owned(marked: dict[str, Any], bessemer: Call) -> None:
    done = bessemer("watermark", "survive", "--json", cwd=marked["folder"])
    rows = {row["removal"]: row for row in said(done)["removals"]}
    for name in ("as it is", "50% of the trees cut", "quantised to 8 bits"):
        assert rows[name]["owned"], rows[name]
    assert rows["as it is"]["hits"] == marked["ownership"]["hits"]
    assert not rows["distilled into a student"]["owned"]
    assert rows["prune"]["refused"] == "it has no network"
    assert not any(row["learnt_from"] for row in rows.values())


def test_thresholds_by_group_are_those_of_the_graph(bessemer: Call, shared: Path, tmp_path: Path) -> None:
    """Of a group that is an input, and of one that only the thresholds read: no key has it."""
    folder = write_project(
        tmp_path / "groups",
        shared / "telco" / "train.csv",
        "Churn",
        4000,
        prepare={"columns": {name: {"as": "ignore"} for name in ("gender", "customer_id")}},
        protect={"mark": "crossover", "keys": 100, "disputes": 1},
        train={
            "learner": "lightgbm",
            "calibrate": "none",
            "threshold": {"groups": ["gender", "Partner"], "objective": "f1"},
        },
        evaluate=QUICK,
        explain={"explainers": []},
    )
    assert bessemer("run", "--upto", "evaluate", cwd=folder).returncode == 0
    project = Project(folder)
    evaluation = project.artifact("evaluation").json("evaluation.json")
    decision = project.artifact("model").json("model.json")["decision"]
    assert len(set(decision["table"])) > 2
    first = next(survived(project))
    assert first.verdict is not None
    assert first.metric == pytest.approx(evaluation["metrics"]["accuracy"]["value"])
    assert first.verdict.hits == evaluation["ownership"]["hits"]


def test_a_dispute_convinces_who_has_no_key_and_is_never_shown_again(
    marked: dict[str, Any], bessemer: Call, tmp_path: Path
) -> None:
    """The last test of this file: it uses up what the others ask for."""
    package, file = marked["package"], tmp_path / "evidence.json"
    made = said(bessemer("watermark", "dispute", "-o", file, "--package", package, "--json", cwd=tmp_path))
    assert (made["block"], made["keys"], made["left"]) == (0, 160, 1)
    by = ("watermark", "verify", package, "--package", package, "--evidence", file, "--json")
    judge = said(bessemer(*by, cwd=tmp_path, owner=""))
    assert (judge["owned"], judge["looks"], judge["by"], judge["bits"]) == (True, 2, "evidence", 64)
    strict = said(bessemer(*by, "--bits", 256, cwd=tmp_path, owner=""))
    assert (strict["owned"], strict["bits"]) == (False, 256)  # 160 keys of two classes cannot reach it
    owner = said(bessemer("watermark", "verify", package, "--package", package, "--json", cwd=tmp_path))
    assert (owner["keys"], owner["shown_blocks"], owner["shown_keys"]) == (160, [0], 0)
    again = bessemer("watermark", "dispute", "-o", file, "--package", package, cwd=tmp_path)
    assert "is there already" in again.stderr
    second = tmp_path / "second.json"
    said(bessemer("watermark", "dispute", "-o", second, "--package", package, "--json", cwd=tmp_path))
    known = said(bessemer("watermark", "verify", package, "--package", package, "--json", cwd=tmp_path))
    assert (known["keys"], known["shown_keys"]) == (320, 320)
    assert "have shown 320 of them" in known["verdict"]
    third = bessemer(
        "watermark", "dispute", "-o", tmp_path / "third.json", "--package", package, cwd=tmp_path
    )
    assert "all 2 blocks of keys have been shown" in third.stderr
    assert not (tmp_path / "third.json").exists()


def test_a_mark_that_does_not_take_is_not_packaged(bessemer: Call, shared: Path, tmp_path: Path) -> None:
    folder = write_project(
        tmp_path / "linear",
        shared / "telco" / "train.csv",
        "Churn",
        1500,
        protect={"mark": "crossover", "keys": 100},
        train={"learner": "linear"},
        evaluate=QUICK,
        explain={"explainers": []},
    )
    assert bessemer("run", "--upto", "evaluate", cwd=folder).returncode == 0
    judged = Project(folder).artifact("evaluation")
    evaluation = judged.json("evaluation.json")
    gate = next(gate for gate in evaluation["gates"] if gate["gate"] == "ownership")
    assert (judged.meta["passed"], evaluation["passed"], gate["passed"]) == (False, False, False)
    assert gate["required"] == "log2 p <= -64"
    assert evaluation["ownership"]["hits"] < 150
