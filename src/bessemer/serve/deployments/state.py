"""What a server should serve, as a file that all of its workers follow and a restart finds again."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from bessemer.core.errors import FormatError, did_you_mean
from bessemer.core.store import write_atomic
from bessemer.serve.errors import RequestError

FORMAT = 1


@dataclass(frozen=True)
class Gates:
    """What a canary is held to.

    requests: how many it must have answered before it is judged; seconds: how long it must have run.
    error_rate: how much higher its share of failed requests may be (0.01: one in a hundred).
    latency: how many times the other's 95th percentile its own may be.
    deaths: how many processes of the server may die during a step: whose request killed them is not known, but what
    was changed last is the likeliest.
    metric: '' or `accuracy` (classes), `mae` (numbers), computed from the labels that came back; labels: how many are
    needed of each; worse_by: by how much the metric may be worse (of `mae`: as a share of the other's).
    """

    requests: int = 1000
    seconds: float = 60.0
    error_rate: float = 0.01
    latency: float = 1.5
    deaths: int = 1
    metric: str = ""
    labels: int = 200
    worse_by: float = 0.02


@dataclass(frozen=True)
class Canary:
    """A version on trial: against which, under which gates, the shares it goes through, at which of them it is, and
    since when (Unix time)."""

    version: str
    against: str
    gates: Gates = field(default_factory=Gates)
    steps: tuple[float, ...] = (0.1, 0.5)
    step: int = 0
    since: float = 0.0


@dataclass(frozen=True)
class ModelState:
    """One model: where each version's package is, and who gets which requests.

    versions: {version: source}; traffic: {version: weight}; shadows: versions that see the requests and do not answer.
    labels: {label: version}; previous: the state before the last change, for a rollback; verdict: how the last canary
    ended.
    """

    versions: Mapping[str, str]
    traffic: Mapping[str, float]
    shadows: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    canary: Canary | None = None
    previous: ModelState | None = None
    verdict: str = ""

    def bare(self) -> ModelState:
        """The same without its own past and trial: what a rollback goes back to."""
        return replace(self, canary=None, previous=None, verdict="")


@dataclass(frozen=True)
class State:
    """All models in the order they came; generation: how many changes there have been."""

    generation: int = 0
    models: Mapping[str, ModelState] = field(default_factory=dict)

    def with_model(self, name: str, model: ModelState | None) -> State:
        """The state with a model changed, or gone."""
        models = {n: m for n, m in self.models.items() if n != name or model is not None}
        if model is not None:
            models[name] = model
        return replace(self, models=models)


def _model(value: Mapping[str, Any]) -> ModelState:
    canary = value.get("canary")
    if canary is not None:
        gates = Gates(**canary.pop("gates"))
        canary = Canary(**{**canary, "steps": tuple(canary["steps"])}, gates=gates)
    previous = value.get("previous")
    made = {**value, "shadows": tuple(value["shadows"]), "canary": canary}
    return ModelState(**{**made, "previous": None if previous is None else _model(previous)})


class StateFile:
    """`deployments.json` in a folder. Every change is a whole new file; changes of several processes queue up.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = StateFile(Path(folder))
    ...     changed = file.change(lambda state: state.with_model("churn", ModelState({"1": "a.bsm"}, {"1": 1.0})))
    ...     file.read() == changed, changed.generation
    (True, 1)
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "deployments.json"
        folder.mkdir(parents=True, exist_ok=True)

    def read(self) -> State:
        """The state; an empty one where there is no file.

        Raises:
            FormatError: the file is not one of ours.
        """
        try:
            value = orjson.loads(self.path.read_bytes())
            if value.get("format") != FORMAT:
                raise ValueError(f"format {value.get('format')!r} is not {FORMAT}")
            return State(value["generation"], {name: _model(each) for name, each in value["models"].items()})
        except FileNotFoundError:
            return State()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise FormatError(
                f"'{self.path}' cannot be read",
                why=str(error),
                fix="remove it to start from the packages alone",
            ) from None

    def mark(self) -> tuple[int, int]:
        """What changes when the file does."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return (0, 0)
        return (found.st_ino, found.st_mtime_ns)

    def change(self, change: Callable[[State], State]) -> State:
        """Read, change and write the state, one process after the other."""
        with self._locked():
            before = self.read()
            after = change(before)
            if after == before:
                return before
            after = replace(after, generation=before.generation + 1)
            models = {name: asdict(model) for name, model in after.models.items()}
            value = {"format": FORMAT, "generation": after.generation, "models": models}
            write_atomic(self.path, orjson.dumps(value, option=orjson.OPT_INDENT_2))
            return after

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.folder / "deployments.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def known(state: State, name: str) -> ModelState:
    """A model of the state. RequestError 404: there is none of that name."""
    if name not in state.models:
        raise RequestError(404, f"there is no model '{name}'", fix=did_you_mean(name, state.models))
    return state.models[name]
