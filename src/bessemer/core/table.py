"""Rows of the stage table, and what follows from them: order, what is upstream, what is missing."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bessemer.core.errors import UsageError, did_you_mean


@dataclass(frozen=True)
class StageRow:
    """One row of the flow.

    takes, gives: names of artifacts.
    volatile: those of `gives` that differ from run to run; provenance is silent about them.
    run: "module:function" of the stage. spec: "module:Class" of its section in the project file.
    shared: project-wide settings the stage reads; they are part of its cache key.
    reads: "module:function" that fingerprints what the stage reads from outside the store: files, keys, code of
        the user. Called as `function(spec, project_dir, memo) -> {what: fingerprint}`; `memo` is a dict of texts that
        is kept between runs.
    columns: "module:function" that checks the columns the section names, as soon as the data is there and before any
        work is done with it. Called as `function(spec, columns, shared) -> faults`, with columns name -> type.
    """

    name: str
    takes: tuple[str, ...]
    gives: tuple[str, ...]
    does: str
    run: str
    spec: str
    shared: tuple[str, ...] = ()
    reads: str = ""
    columns: str = ""
    volatile: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        return self.run.partition(":")[0]


def resolve(target: str) -> Any:
    """The object a "module:name" text names."""
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def in_order(rows: Sequence[StageRow]) -> list[StageRow]:
    """The rows so that each comes after those whose artifacts it takes; as written where that leaves a choice.

    >>> a = StageRow("a", (), ("x",), "", "", ""); b = StageRow("b", ("x",), ("y",), "", "", "")
    >>> [row.name for row in in_order([b, a])]
    ['a', 'b']
    """
    makers = {gives: row.name for row in rows for gives in row.gives}
    unmade = [(row.name, t) for row in rows for t in row.takes if t not in makers]
    if unmade:
        raise UsageError(f"stage '{unmade[0][0]}' takes '{unmade[0][1]}', which no stage gives")
    done: dict[str, StageRow] = {}
    waiting = list(rows)
    while waiting:
        ready = [row for row in waiting if all(makers[t] in done for t in row.takes)]
        if not ready:
            raise UsageError(f"the stages {', '.join(row.name for row in waiting)} wait for each other")
        done[ready[0].name] = ready[0]
        waiting.remove(ready[0])
    return list(done.values())


def upstream(rows: Sequence[StageRow], stage: str) -> list[StageRow]:
    """A stage and all it needs, in order.

    Raises:
        UsageError: no stage has that name.
    """
    by_name = {row.name: row for row in rows}
    if stage not in by_name:
        raise UsageError(f"no stage '{stage}'", fix=did_you_mean(stage, by_name))
    makers = {gives: row.name for row in rows for gives in row.gives}
    needed, todo = set(), [stage]
    while todo:
        name = todo.pop()
        if name not in needed:
            needed.add(name)
            todo.extend(makers[t] for t in by_name[name].takes)
    return [row for row in in_order(rows) if row.name in needed]
