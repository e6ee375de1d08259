"""Comparison with H2O: on the same rows, within its own time, and nothing of it left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

import bessemer
from bessemer.core.errors import EnvironmentFault, MissingExtra, ProjectError
from bessemer.core.plugins import PluginRef
from bessemer.testing.comparators import ROWS, check_comparator, contest, folds, raw_rows
from bessemer.testing.learners import problem
from bessemer.train.automl.folds import Fold
from bessemer.train.comparators.comparator import Answer, Contest, NoAnswer
from bessemer.train.comparators.h2o import H2O
from bessemer.train.comparators.plugins import COMPARATORS
from bessemer.train.comparators.rows import write_rows
from bessemer.train.spec import AutoMLSpec, TrainSpec
from patience import until

#: Seconds that a comparison does not take: who waits for their end has not noticed what happened.
LONG = 1800.0


def processes(*words: str) -> list[int]:
    """Of this machine, those with all of the words in their command line."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                line = (folder / "cmdline").read_bytes()
            except OSError:
                continue
            if all(word.encode() in line for word in words):
                found.append(int(folder.name))
    return found


def addresses(pid: int) -> set[str]:
    """What a process listens on, as the kernel has it: addresses of its TCP servers and of all its UDP sockets."""
    sockets = {
        fd.readlink().name[8:-1]
        for fd in Path(f"/proc/{pid}/fd").iterdir()
        if fd.readlink().name[:7] == "socket:"
    }
    found = set()
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{kind}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if inode in sockets and (state == "0A" or kind.startswith("udp")):
                found.add(local.partition(":")[0])
    return found


@pytest.fixture
def few_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(H2O, "MODELS", 1)


# without a server -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "settings",
    [{"learner": "h2o"}, {"automl": {"learners": ["lightgbm", "h2o"]}}, {"automl": {"distill": "h2o"}}],
)
def test_it_cannot_be_a_learner_and_what_to_write_instead_is_said(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        TrainSpec(**settings)
    text = str(caught.value)
    assert "free edition does not export models" in text
    assert "`train: {compare: {h2o: 2m}}`" in text


def test_the_setting_is_a_time_for_each_name() -> None:
    assert TrainSpec(compare={"h2o": "2m"}).compare == {"h2o": 120.0}
    for wrong, said in (
        ({"h2p": "2m"}, "did you mean 'h2o'"),
        ({"h2o": 0}, "greater than 0"),
        ({"h2o": "x"}, "90s"),
    ):
        with pytest.raises(ValidationError, match=said):
            TrainSpec(compare=wrong)


def project_of(folder: Path, train: str, n: int = ROWS, **sections: str) -> bessemer.Project:
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(2, n))
    word = rng.choice(["red", "green", "blue"], n)
    kind = np.where(x + (word == "red") > 0.8, "high", np.where(z > 0, "mid", "low"))
    lines = [f"{x[i]:.4f},{z[i]:.4f},{word[i]},g{i % 40},{1 + i % 3},{kind[i]}" for i in range(n)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data.csv").write_text("\n".join(["x,z,word,who,counts,kind", *lines]))
    more = "".join(f"{name}: {text}\n" for name, text in sections.items())
    (folder / "bessemer.yaml").write_text(f"data: data.csv\ntarget: kind\ntrain: {train}\n{more}")
    return bessemer.Project(folder)


@pytest.mark.slow
def test_without_java_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = project_of(tmp_path, "{learner: linear, compare: {h2o: 2m}}")
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(EnvironmentFault, match="needs Java") as caught:
        project.run()
    assert "apt-get install default-jre-headless" in str(caught.value)
    assert [stage.stage for stage in project.show().stages] == ["acquire"]


def test_a_java_that_does_not_run_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "java").write_text("#!/bin/sh\necho 'No runtime present' >&2\nexit 1\n")
    (tmp_path / "java").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentFault, match="does not run: No runtime present"):
        H2O().check()


def test_a_missing_package_says_what_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = project_of(tmp_path, "{learner: linear, compare: {h2o: 2m}}")
    monkeypatch.setattr(PluginRef, "missing", lambda self: "h2o" if self.extra == "h2o" else "")
    with pytest.raises(MissingExtra, match="'h2o' needs the Python package 'h2o'") as caught:
        project.run()
    assert "pip install 'bessemer[h2o]'" in str(caught.value)


def test_a_project_file_with_it_as_learner_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProjectError) as caught:
        project_of(tmp_path, "{learner: h2o}")
    assert "compare: {h2o: 2m}" in str(caught.value)


@pytest.mark.slow
def test_the_free_edition_really_exports_nothing() -> None:
    """What the documentation says; a version that exports again would make this fail, and H2O a learner."""
    from h2o.estimators import H2OGradientBoostingEstimator
    from h2o.exceptions import H2OValueError

    for method in ("download_mojo", "save_mojo"):
        with pytest.raises(H2OValueError, match="MOJO export requires H2O-3 Secure"):
            getattr(H2OGradientBoostingEstimator(), method)()
    with pytest.raises(H2OValueError, match="POJO download requires H2O-3 Secure"):
        H2OGradientBoostingEstimator().download_pojo()


def test_the_rows_are_the_raw_ones(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table, y, number = raw_rows(), rng.integers(0, 2, ROWS).astype(float), rng.integers(0, 3, ROWS)
    made = contest(tmp_path, table, y, folds(number), problem=problem("binary"), weight=rng.random(ROWS))
    kinds = write_rows(made, tmp_path / "rows.parquet")
    assert list(kinds.values()) == ["number", "number", "category", "category", "time"]
    found = pq.read_table(tmp_path / "rows.parquet")
    assert found["row"].to_pylist() == list(range(ROWS))
    np.testing.assert_array_equal(found["fold"], number)
    np.testing.assert_array_equal(found["target"], y)
    np.testing.assert_array_equal(found["weight"], made.weight)
    assert found["x2"].to_pylist() == table["word"].to_pylist()
    assert found["x3"].to_pylist() == table["flag"].to_pylist()
    numbers = found["x0"].to_pylist()
    assert numbers[0] is None  # missing
    assert numbers[3] is None  # infinite
    assert found["x4"].type == pa.timestamp("ms")


def test_one_cut_has_its_rows_only_and_groups_stay_together(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cut, groups = (Fold(np.arange(0, 100), np.arange(200, ROWS)),), np.arange(ROWS) // 10
    made = contest(tmp_path, raw_rows(), rng.normal(size=ROWS), cut, groups=groups)
    write_rows(made, tmp_path / "rows.parquet")
    found = pq.read_table(tmp_path / "rows.parquet").to_pandas()
    assert found["row"][found["learn"] == 1].tolist() == list(range(100))
    assert found["row"][found["judge"] == 1].tolist() == list(range(200, ROWS))
    assert (found.groupby(groups[found["row"]])["fold"].nunique() == 1).all()
    assert found["fold"].nunique() == 5


def test_what_does_not_fit_into_memory_is_known_by_its_rows(tmp_path: Path) -> None:
    """AutoML's pool is a sample then; the numbers say which rows are in it."""
    from stage_support import make_context, make_parts, put_inputs

    from bessemer.train.automl.stage import _folds

    ctx = make_context(tmp_path)
    parts = make_parts("regression", 900)
    splits = ctx.open(put_inputs(ctx.store, "regression", parts, [])["splits"])
    ctx.memory = 1
    cut, count, rows = _folds(
        AutoMLSpec(), problem("regression"), splits, parts["train"], parts["valid"], ctx
    )
    made = cut(count)
    assert 900 < len(rows) < 1100
    whole = np.concatenate([parts["train"].X, parts["valid"].X])
    np.testing.assert_array_equal(made.pool.X, whole[rows])


@pytest.mark.parametrize("name", list(COMPARATORS))
def test_every_comparator_is_documented(name: str) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "train.md"
    assert f"| `{name}` |" in page.read_text("utf-8")


class Oracle:
    """Knows everything, and remembers what it was asked."""

    NAME: ClassVar[str] = "h2o"
    MONOTONE: ClassVar[bool] = False
    QUANTILE: ClassVar[bool] = False
    asked: ClassVar[list[Contest]] = []

    def check(self) -> None: ...

    def compare(self, contest: Contest) -> Answer:
        self.asked.append(contest)
        share = np.full((len(contest.judged), 3), 1e-6)
        share[np.arange(len(share)), contest.y[contest.judged].astype(int)] = 1 - 2e-6
        return Answer(share, 1.0, 2.0, "knows", {"version": "1"})


@pytest.fixture
def oracle(monkeypatch: pytest.MonkeyPatch) -> type[Oracle]:
    monkeypatch.setattr(COMPARATORS, "load", lambda name: Oracle)
    monkeypatch.setattr(Oracle, "asked", [])
    return Oracle


@pytest.mark.slow
@pytest.mark.parametrize(
    ("train", "count"),
    [
        ("{learner: linear, calibrate: none, compare: {h2o: 9s}}", 1),
        (
            "{automl: {budget: 10m, learners: [linear], search: none, folds: 3}, rounds: 20, calibrate: none, "
            "compare: {h2o: 9s}}",
            3,
        ),
    ],
)
def test_it_is_judged_on_the_rows_that_ours_are_judged_on(
    tmp_path: Path, oracle: type[Oracle], train: str, count: int
) -> None:
    project = project_of(tmp_path, train)
    project.run(upto="train", track=False)
    (asked,) = oracle.asked
    assert (len(asked.folds), asked.seconds) == (count, 9.0)
    splits = project.artifact("splits")
    train_rows, valid_rows = (splits.meta["rows"][part] for part in ("train", "valid"))
    everything = np.arange(train_rows + valid_rows)
    if count == 1:
        np.testing.assert_array_equal(asked.folds[0].learn, everything[:train_rows])
        np.testing.assert_array_equal(asked.judged, everything[train_rows:])
    else:
        np.testing.assert_array_equal(asked.judged, everything)
        assert all(np.array_equal(np.union1d(f.learn, f.judge), everything) for f in asked.folds)
    words = [word for file in asked.files for word in pq.read_table(file)["kind"].to_pylist()]
    assert words == [splits.meta["classes"][int(k)] for k in asked.y]
    board = project.leaderboard()
    first = board["rows"][0]
    assert (first["learner"], first["chosen"], first["note"]) == ("h2o", False, "knows")
    assert first["value"] == pytest.approx(2e-6, rel=1e-3)
    assert (first["fit_seconds"], first["predict_microseconds"], first["bytes"]) == (1.0, 2.0, None)
    assert [row["learner"] for row in board["rows"] if row["chosen"]] == [
        project.artifact("model").meta["learner"]
    ]
    assert board["compared"] == [{"learner": "h2o", "budget": 9.0, "why": ""}]


@pytest.mark.slow
def test_the_model_is_the_same_with_and_without(tmp_path: Path, oracle: type[Oracle]) -> None:
    digests = []
    for name, more in (("with", ", compare: {h2o: 9s}"), ("without", "")):
        project = project_of(tmp_path / name, f"{{learner: linear{more}}}")
        project.run(upto="train", track=False)
        digests.append(project.artifact("model").ref.digest)
    assert digests[0] == digests[1]


@pytest.mark.slow
def test_what_it_cannot_do_and_what_fails_is_left_out_and_said(
    train_stage: Any, oracle: type[Oracle], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(self: Oracle, contest: Contest) -> Answer:
        raise NoAnswer("the sky fell")

    monkeypatch.setattr("bessemer.train.comparators.compare._contest", lambda outcome, *_: _bare(outcome))
    monkeypatch.setattr(Oracle, "compare", fails)
    for settings, why in (
        ({"quantile": 0.9}, "does not predict quantiles"),
        ({"monotone": {"column 0": "increasing"}}, "has no monotone constraints"),
        ({}, "the sky fell"),
    ):
        _, history, emitted = train_stage(
            "regression", learner="constant", compare={"h2o": 5}, folder=why, **settings
        )
        told = history.json("history.json")
        assert told["compared"] == [{"learner": "h2o", "budget": 5.0, "why": why}]
        assert "h2o" not in {row["learner"] for row in told["leaderboard"]}
        assert any(d["text"] == f"no comparison with h2o: {why}" for kind, d in emitted if kind == "warning")


def _bare(outcome: Any) -> Contest:
    nothing: Any = None
    return Contest(
        outcome.problem, (), (), outcome.y, None, outcome.folds, None, 1.0, 0, 1, 1, Path(), nothing
    )


# with H2O's own server ------------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.alone
def test_it_keeps_the_laws(tmp_path: Path, few_models: None, capfd: pytest.CaptureFixture[str]) -> None:
    check_comparator(H2O, tmp_path, seconds=LONG)
    assert capfd.readouterr() == ("", "")
    assert not processes(str(tmp_path), "compare-h2o")


@pytest.mark.slow
@pytest.mark.alone
def test_a_run_with_it(tmp_path: Path, few_models: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three classes, groups, weights; nothing is left in the home or among the temporary files."""
    for name in ("HOME", "TMPDIR"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    prepare = "{split: {group: who}, weight: counts}"
    project = project_of(tmp_path / "project", "{learner: linear, compare: {h2o: 30m}}", prepare=prepare)
    run = project.run(upto="train", track=False)
    board = project.leaderboard()
    (row,) = [row for row in board["rows"] if row["learner"] == "h2o"]
    assert board["compared"] == [{"learner": "h2o", "budget": LONG, "why": ""}]
    assert not row["chosen"]
    assert row["note"].startswith("compared only: H2O's free edition does not export models")
    constant = next(r for r in board["rows"] if r["learner"] == "constant")
    assert row["value"] < constant["value"]  # log loss
    assert row["low"] is None or row["low"] < row["value"] < row["high"]
    assert any("on top of the stage's own time" in n["text"] for stage in run.stages for n in stage.notes)
    assert not [p for p in (tmp_path / "HOME").rglob("*") if "h2o" in p.name.lower()]
    assert {p.name for p in (tmp_path / "TMPDIR").iterdir()} <= {".ses"}  # which is onnxruntime's
    assert not processes(str(tmp_path), "compare-h2o")
    shown = subprocess.run(
        [Path(sys.executable).with_name("bessemer"), "leaderboard"],
        cwd=project.folder, env={**os.environ, "COLUMNS": "200"}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "compared only: H2O's free edition does not export models" in shown


@pytest.mark.slow
@pytest.mark.alone
def test_its_time_is_kept_also_where_it_is_too_short(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(NoAnswer, match=r"its 0\.5 s were over, and was stopped"):
        H2O().compare(
            contest(tmp_path, raw_rows(), rng.normal(size=ROWS), folds(np.arange(ROWS) % 3), seconds=0.5)
        )
    assert not processes(str(tmp_path), "compare-h2o")


@pytest.mark.slow
@pytest.mark.alone
def test_a_server_that_fails_is_an_answer_too(tmp_path: Path) -> None:
    """A heap too small for H2O to start with."""
    rng = np.random.default_rng(0)
    made = contest(tmp_path, raw_rows(), rng.normal(size=ROWS), folds(np.arange(ROWS) % 3), seconds=LONG)
    with pytest.raises(NoAnswer, match="its server ended with code"):
        H2O().compare(replace(made, memory=2**22))
    assert not processes(str(tmp_path), "compare-h2o")


@pytest.mark.slow
@pytest.mark.alone
def test_a_server_that_dies_is_noticed_at_once(tmp_path: Path) -> None:
    def kill() -> None:
        (java,) = until(lambda: processes(f"{tmp_path}/compare-h2o/home"))
        until((tmp_path / "compare-h2o" / "up").exists)
        os.kill(java, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    rng, begin = np.random.default_rng(0), time.monotonic()
    with pytest.raises(NoAnswer, match="its server ended with code -9"):
        H2O().compare(
            contest(tmp_path, raw_rows(), rng.normal(size=ROWS), folds(np.arange(ROWS) % 3), seconds=LONG)
        )
    killer.join()
    assert time.monotonic() - begin < LONG / 2, "it has waited for the end of its time"
    assert not processes(str(tmp_path), "compare-h2o")


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("also_the_worker", [False, True])
def test_killed_it_leaves_no_java(tmp_path: Path, also_the_worker: bool) -> None:
    script = tmp_path / "child.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys
            from pathlib import Path
            import numpy as np
            from bessemer.testing.comparators import ROWS, contest, folds, raw_rows
            from bessemer.train.comparators.h2o import H2O
            rng = np.random.default_rng(0)
            given = raw_rows(), rng.normal(size=ROWS), folds(np.arange(ROWS) % 3)
            H2O().compare(contest(Path(sys.argv[1]), *given, seconds=float(sys.argv[2])))
            """
        )
    )
    folder = tmp_path / "contest"
    child = subprocess.Popen([sys.executable, str(script), str(folder), str(LONG)])
    (java,) = until(lambda: processes(f"{folder}/compare-h2o/home"))
    if not also_the_worker:
        until((folder / "compare-h2o" / "up").exists)
        assert addresses(java) == {"0000000000000000FFFF00000100007F"}  # 127.0.0.1
    workers = processes("h2o_worker", str(folder))
    assert len(workers) == 1
    for pid in (child.pid, *workers) if also_the_worker else (child.pid,):
        os.kill(pid, signal.SIGKILL)
    child.wait()
    until(lambda: not processes(f"{folder}/compare-h2o"))
