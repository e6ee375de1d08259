"""Environments of tools: made once, whole or not at all, and removed."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bessemer.core.errors import EnvironmentFault
from bessemer.core.lock import exclusive
from bessemer.environments import place, work
from bessemer.environments.errors import ToolEnded, ToolError
from bessemer.environments.place import Environment
from bessemer.environments.tools import run_tool
from patience import PATIENCE


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """A real one, with no package in it."""
    monkeypatch.setenv(place.VARIABLE, str(tmp_path / "environments"))
    monkeypatch.setattr(place, "_content", lambda environment: ["# nothing\n"])
    return Environment("empty", "python", "nothing", 10, "empty.txt")


def test_it_is_made_once(environment: Environment) -> None:
    said: list[str] = []
    first = environment.ensure(said.append)
    assert environment.ready
    assert environment.program.is_file()
    assert any("installing the environment empty" in line for line in said)
    said.clear()
    assert environment.ensure(said.append) == first
    assert said == []
    assert environment.remove()
    assert not environment.ready
    assert not environment.remove()


def test_one_that_was_not_finished_is_made_anew(environment: Environment) -> None:
    environment.folder.mkdir(parents=True)
    (environment.folder / "half").write_text("")
    environment.ensure(lambda line: None)
    assert environment.ready
    assert not (environment.folder / "half").exists()


def test_torch_is_installed_apart() -> None:
    torch, others = place._apart("numpy==2.4.6\ntorch==2.13.0\ntorchserve==0.12.0\n")
    assert torch == "torch==2.13.0"
    assert others == "numpy==2.4.6\ntorchserve==0.12.0\n"


def test_another_list_is_another_environment(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = environment.folder
    monkeypatch.setattr(place, "_content", lambda environment: ["numpy==1.0\n"])
    assert environment.folder != before


def test_what_cannot_be_installed_says_why(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "_content", lambda environment: ["/no/such/folder/it-1.0-py3-none-any.whl\n"])
    with pytest.raises(ToolError) as told:
        environment.ensure(lambda line: None)
    assert "no/such" in told.value.why
    assert not environment.ready


@pytest.mark.slow
def test_a_worker_is_given_and_gives(
    environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = tmp_path / "workers"
    workers.mkdir()
    (workers / "double.py").write_text(
        "import json, pathlib, shutil, sys\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "said = json.loads((folder / 'question.json').read_text())\n"
        "print('progress: half', flush=True)\n"
        "shutil.copy(folder / 'x.npy', folder / 'out_x.npy')\n"
        "(folder / 'answer.json').write_text(json.dumps({'twice': said['n'] * 2, 'python': sys.version}))\n"
    )
    names = ("KERAS_BACKEND", "KERAS_HOME", "TF_USE_LEGACY_KERAS")
    (workers / "keras.py").write_text(
        "import json, os, pathlib, sys\n"
        f"said = {{name: os.environ[name] for name in {names}}}\n"
        "(pathlib.Path(sys.argv[1]) / 'answer.json').write_text(json.dumps(said))\n"
    )
    (workers / "falls.py").write_text("raise SystemExit('the tool has no wings')\n")
    monkeypatch.setattr(work, "files", lambda name: workers)
    said: list[str] = []
    done = work.work(environment, "double.py", {"n": 4}, {"x": np.arange(3)}, tell=said.append)
    assert done.said == {"twice": 8, "python": sys.version}
    assert done.arrays["x"].tolist() == [0, 1, 2]
    assert "half" in said
    for name in names:
        monkeypatch.setenv(name, "torch")
    settled = work.work(environment, "keras.py", {}).said
    assert settled == {
        "KERAS_BACKEND": "tensorflow",
        "KERAS_HOME": str(environment.folder / "keras"),
        "TF_USE_LEGACY_KERAS": "0",
    }
    with pytest.raises(ToolError) as told:
        work.work(environment, "falls.py", {})
    assert "no wings" in told.value.why


def test_tools_that_are_not_there_or_fail() -> None:
    with pytest.raises(ToolError, match="cannot start"):
        run_tool(["no-such-program-anywhere"])
    with pytest.raises(ToolError) as told:
        run_tool([sys.executable, "-c", "print('the last word'); raise SystemExit(3)"])
    assert "ended with 3" in told.value.what
    assert "the last word" in told.value.why
    assert not isinstance(told.value, ToolEnded)
    assert json.loads(run_tool([sys.executable, "-c", "print('{}')"])) == {}


@pytest.mark.parametrize(
    "script", ["import os; os.kill(os.getpid(), 9)", "raise MemoryError"], ids=["signal", "memory"]
)
def test_what_was_ended_is_told_apart_from_what_failed(script: str) -> None:
    with pytest.raises(ToolEnded, match="ended with"):
        run_tool([sys.executable, "-I", "-S", "-c", script])


def test_one_that_never_ends_is_ended() -> None:
    with pytest.raises(ToolEnded, match=r"did not end within 0\.5 seconds"):
        run_tool([sys.executable, "-c", "import time; time.sleep(10000)"], seconds=0.5)


@pytest.mark.slow
def test_what_it_started_is_ended_too(tmp_path: Path) -> None:
    """A grandchild holds the output after its parent went: nobody waits for it for ever."""
    script = (
        "import os, pathlib, time\n"
        "one = os.fork()\n"
        "if one:\n"
        "    pathlib.Path('pid').write_text(str(one))\n"
        "    print('it sleeps', flush=True)\n"
        "else:\n"
        "    time.sleep(10000)\n"
    )
    with pytest.raises(ToolError, match="did not end within 5 seconds") as told:
        run_tool([sys.executable, "-I", "-S", "-c", script], folder=tmp_path, seconds=5)
    assert "it sleeps" in told.value.why
    _await_end(int((tmp_path / "pid").read_text()))


def _await_end(process: int) -> None:
    """Until it is gone, or what its parent left of it."""
    state = Path(f"/proc/{process}/stat")
    deadline = time.monotonic() + PATIENCE
    while state.exists() and state.read_text().rsplit(") ", 1)[1][0] not in "ZX":
        assert time.monotonic() < deadline, "it still runs"
        time.sleep(0.05)


def test_one_that_is_left_by_its_caller_is_ended(tmp_path: Path) -> None:
    """By Ctrl-C, or by what is told of its lines."""

    def tell(line: str) -> None:
        raise KeyboardInterrupt

    script = (
        "import os, pathlib, time\n"
        "pathlib.Path('pid').write_text(str(os.getpid()))\n"
        "print(1, flush=True)\n"
        "time.sleep(10000)"
    )
    with pytest.raises(KeyboardInterrupt):
        run_tool([sys.executable, "-c", script], folder=tmp_path, tell=tell)
    _await_end(int((tmp_path / "pid").read_text()))


def test_a_relative_place_is_taken_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers run in folders of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(place.VARIABLE, "environments")
    monkeypatch.setattr(place, "_content", lambda environment: ["# nothing\n"])
    made = Environment("empty", "python", "nothing", 10, "empty.txt")
    assert made.folder.parent == tmp_path / "environments"
    made.ensure(lambda line: None)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert run_tool([str(made.program), "-c", "print('here')"], folder=elsewhere) == "here"


def test_none_is_removed_while_it_is_installed(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment.ensure(lambda line: None)
    monkeypatch.setattr(place, "_WAIT", 0.0)
    with exclusive(environment._lock), pytest.raises(EnvironmentFault, match="installing"):
        environment.remove()
    assert environment.ready
    assert environment.remove()
