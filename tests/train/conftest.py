"""The train stage on made rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from stage_support import NAMES, make_context, make_parts, put_inputs

from bessemer.train.learner import Part


@pytest.fixture
def train_stage(tmp_path: Path) -> Callable[..., Any]:
    """Run the stage on made rows: (task, spec settings...) -> (model, history, emitted)."""

    def run_stage(
        task: str,
        parts: dict[str, Part] | None = None,
        classes: list[Any] | None = None,
        folder: str = "run",
        features: list[dict[str, str]] | None = None,
        **settings: Any,
    ) -> tuple[Any, Any, list[tuple[str, Any]]]:
        from bessemer.train.spec import TrainSpec
        from bessemer.train.stage import run

        emitted: list[tuple[str, Any]] = []
        ctx = make_context(tmp_path / folder, emitted)
        names = NAMES[task] if classes is None else classes
        inputs = put_inputs(ctx.store, task, parts or make_parts(task), names, features)
        out = run(TrainSpec(**settings), inputs, ctx)
        return ctx.open(out["model"]), ctx.open(out["history"]), emitted

    return run_stage


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Of torch, as a fit of a network sets it; several on small batches wait for each other most of the time."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
