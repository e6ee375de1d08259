"""The runner: order, cache, reasons, resume, forced stages, damaged blobs, external reads."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bessemer.core.artifact import ArtifactRef
from bessemer.core.errors import DataError, UsageError
from bessemer.core.runner import Plan, Runner
from bessemer.core.stage import Context
from bessemer.core.store import Store
from bessemer.core.table import StageRow, in_order, upstream

HERE = Path(__file__).stem
CALLS: list[str] = []
SHARED: dict[str, Any] = {}
FAIL: set[str] = set()
OUTSIDE = {"file": "1"}


def _made(name: str, spec: Mapping[str, Any], inputs: Mapping[str, ArtifactRef], ctx: Context) -> ArtifactRef:
    CALLS.append(ctx.stage)
    SHARED[ctx.stage] = dict(ctx.shared)
    ctx.note(f"{name} was made")
    if ctx.stage in FAIL:
        (ctx.workdir / "checkpoint").write_text("here")
        raise DataError(f"{ctx.stage} broke")
    text = "+".join([str(spec), *(ctx.open(ref).text("x") for ref in inputs.values())])
    return ctx.store.put(name, {"x": text.encode()}, {})


def read(spec: Any, inputs: Mapping[str, ArtifactRef], ctx: Context) -> dict[str, ArtifactRef]:
    return {"raw": _made("raw", spec, inputs, ctx)}


def fit(spec: Any, inputs: Mapping[str, ArtifactRef], ctx: Context) -> dict[str, ArtifactRef]:
    if (ctx.workdir / "checkpoint").exists():
        CALLS.append("resumed")
    return {"model": _made("model", spec, inputs, ctx)}


def constant(spec: Any, inputs: Mapping[str, ArtifactRef], ctx: Context) -> dict[str, ArtifactRef]:
    CALLS.append(ctx.stage)
    return {"data": ctx.store.put("data", {"x": b"always the same"}, {})}


def outside(spec: Any, project_dir: Path, memo: dict[str, str]) -> dict[str, str]:
    return dict(OUTSIDE)


ROWS = (
    StageRow("acquire", (), ("raw",), "reads", f"{HERE}:read", "x:y", reads=f"{HERE}:outside"),
    StageRow("validate", ("raw",), ("data",), "checks", f"{HERE}:constant", "x:y"),
    StageRow("train", ("data",), ("model",), "fits", f"{HERE}:fit", "x:y", shared=("target",)),
)


@pytest.fixture(autouse=True)
def _fresh() -> None:
    CALLS.clear()
    SHARED.clear()
    FAIL.clear()
    OUTSIDE["file"] = "1"


def run(tmp_path: Path, sinks: Any = (), store: Store | None = None, **changes: Any) -> Runner:
    specs = {"acquire": {"a": 1}, "validate": {}, "train": {"rounds": 5}, **changes.pop("specs", {})}
    plan = Plan(
        rows=ROWS, specs=specs, shared={"target": changes.pop("target", "y")}, seed=7, project_dir=tmp_path,
        state_dir=tmp_path / "state", threads=1, memory=2**28, **changes,
    )  # fmt: skip
    runner = Runner(plan, store or Store(tmp_path / "store"), sinks)
    runner.run()
    return runner


def why(runner: Runner) -> dict[str, str]:
    return {r.stage: r.why for r in runner.results if r.status == "ran"}


def test_a_second_run_takes_everything_from_the_cache(tmp_path: Path) -> None:
    first = run(tmp_path)
    assert why(first) == dict.fromkeys(("acquire", "validate", "train"), "first run")
    CALLS.clear()
    second = run(tmp_path)
    assert CALLS == []
    assert {r.status for r in second.results} == {"cached"}
    assert second.artifacts == first.artifacts
    assert second.results[0].notes == [{"kind": "note", "text": "raw was made"}], "notes outlive the cache"


def test_it_says_why_it_ran(tmp_path: Path) -> None:
    run(tmp_path)
    assert why(run(tmp_path, specs={"train": {"rounds": 6}})) == {"train": "spec: rounds 5 -> 6"}
    assert why(run(tmp_path, target="z", specs={"train": {"rounds": 6}})) == {
        "train": "project: target y -> z"
    }
    assert why(run(tmp_path, force=frozenset({"validate"}))) == {"validate": "forced"}


def test_equal_output_stops_the_wave(tmp_path: Path) -> None:
    """acquire runs again and gives other bytes; validate gives the same as before; train is not run."""
    run(tmp_path)
    OUTSIDE["file"] = "2"
    assert why(run(tmp_path, specs={"acquire": {"a": 2}})) == {
        "acquire": "outside: file changed; spec: a 1 -> 2",
        "validate": "input: raw changed",
    }


def test_going_back_is_free(tmp_path: Path) -> None:
    run(tmp_path)
    run(tmp_path, specs={"train": {"rounds": 6}})
    CALLS.clear()
    run(tmp_path)
    assert CALLS == []


def test_a_failed_stage_is_not_remembered_and_resumes_in_its_workdir(tmp_path: Path) -> None:
    FAIL.add("train")
    with pytest.raises(DataError):
        run(tmp_path)
    FAIL.clear()
    CALLS.clear()
    run(tmp_path)
    assert CALLS == ["resumed", "train"]
    assert list((tmp_path / "state" / "work").iterdir()) == [], "the workdir goes when the stage is done"


def test_a_lost_or_damaged_blob_is_made_again(tmp_path: Path) -> None:
    first = run(tmp_path)
    store = Store(tmp_path / "store")
    blob = store.get(first.artifacts["raw"]).path("x")
    blob.unlink()
    assert why(run(tmp_path)) == {"acquire": "lost from the store: raw"}
    data = Store(tmp_path / "store").get(first.artifacts["data"]).path("x")
    data.write_bytes(b"ALWAYS THE SAME")
    events: list[str] = []
    sink = lambda stage, kind, data: events.append(kind)  # noqa: E731
    again = run(tmp_path, sinks=[sink], specs={"train": {"rounds": 9}})
    assert "warning" in events
    assert again.artifacts["model"] != first.artifacts["model"]
    assert store.get(again.artifacts["data"]).text("x") == "always the same"


def test_a_stage_that_writes_what_it_reads_is_cached_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def writes(spec: Any, inputs: Mapping[str, ArtifactRef], ctx: Context) -> dict[str, ArtifactRef]:
        OUTSIDE["file"] = "written"
        ctx.wrote("file", "written")
        return read(spec, inputs, ctx)

    _acquire(monkeypatch, writes)
    run(tmp_path)
    CALLS.clear()
    run(tmp_path)
    assert CALLS == []


def _acquire(monkeypatch: pytest.MonkeyPatch, stage: Any) -> None:
    monkeypatch.setitem(globals(), "acquires", stage)
    row = StageRow("acquire", (), ("raw",), "", f"{HERE}:acquires", "x:y", reads=f"{HERE}:outside")
    monkeypatch.setitem(globals(), "ROWS", (row, *ROWS[1:]))


@pytest.mark.parametrize("wrote", ["", "other"])
def test_what_changed_while_it_was_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrote: str
) -> None:
    """Neither the state before nor the one after stands for what was read."""

    def changes(spec: Any, inputs: Mapping[str, ArtifactRef], ctx: Context) -> dict[str, ArtifactRef]:
        OUTSIDE["file"] = "2"
        if wrote:
            ctx.wrote("file", wrote)
        return read(spec, inputs, ctx)

    with monkeypatch.context() as patch:
        _acquire(patch, changes)
        first = run(tmp_path)
        assert first.results[0].notes[-1]["text"].startswith("file changed while it was read")
        assert first.store.record("keys", first.results[0].key), "lineage finds it"
    _acquire(monkeypatch, read)
    for state in ("1", "2"):
        CALLS.clear()
        OUTSIDE["file"] = state
        again = run(tmp_path)
        assert CALLS == ["acquire"]
        assert again.results[0].status == "ran"
        assert len(again.results[0].notes) == 1
    CALLS.clear()
    run(tmp_path)
    assert CALLS == []


def test_a_source_that_cannot_tell_has_one_record_a_run_and_no_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = itertools.count()
    always = lambda spec, project_dir, memo: {"file": f"always:{next(numbers)}"}  # noqa: E731
    monkeypatch.setitem(globals(), "outside", always)
    for count in (1, 2):
        made = run(tmp_path)
        assert made.results[0].status == "ran"
        assert len(made.results[0].notes) == 1
        assert len(made.store.records("keys")) == 2 + count


def test_a_stage_sees_only_the_project_settings_it_declares(tmp_path: Path) -> None:
    run(tmp_path)
    assert SHARED == {"acquire": {}, "train": {"target": "y"}}


@pytest.mark.parametrize("rows", list(itertools.permutations(ROWS)))
def test_the_order_follows_from_the_table(rows: tuple[StageRow, ...]) -> None:
    assert [row.name for row in in_order(rows)] == ["acquire", "validate", "train"]
    assert [row.name for row in upstream(rows, "validate")] == ["acquire", "validate"]


def test_impossible_tables_and_names() -> None:
    with pytest.raises(UsageError, match="did you mean 'train'"):
        upstream(ROWS, "trian")
    with pytest.raises(UsageError, match="which no stage gives"):
        in_order(ROWS[1:])
    loop = (StageRow("a", ("y",), ("x",), "", "", ""), StageRow("b", ("x",), ("y",), "", "", ""))
    with pytest.raises(UsageError, match="wait for each other"):
        in_order(loop)
