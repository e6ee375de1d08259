"""Where an artifact came from: the stages, settings and inputs behind it, back to the sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bessemer.core.store import Store


@dataclass(frozen=True)
class Step:
    """One stage behind an artifact: its key, what it took and gave (name -> digest), settings and what it read.

    snapshot: of the data, as v3, where the step is the acquire of a run.
    """

    stage: str
    key: str
    inputs: dict[str, str]
    outputs: dict[str, str]
    spec: dict[str, Any]
    reads: dict[str, str]
    packages: dict[str, str]
    snapshot: str = ""


def lineage(store: Store, digest: str, keys: Sequence[str] = ()) -> list[Step]:
    """The steps that led to an artifact, the sources first and the one that made it last.

    Args:
        store: where it was made.
        digest: of the artifact.
        keys: of the run it was made in: where different inputs gave the same content, its own steps count.

    Returns:
        [] where no record of the store says who made it.
    """
    makers: dict[str, Step] = {}
    for key in dict.fromkeys([*keys, *store.records("keys")]):
        record = store.record("keys", key)
        if record is None:
            continue
        parts = record["parts"]
        step = Step(
            record["stage"],
            key,
            parts["inputs"],
            record["outputs"],
            parts["spec"],
            parts["reads"],
            parts["packages"],
        )
        for made in step.outputs.values():
            makers.setdefault(made, step)
    found: dict[str, Step] = {}
    _trace(digest, makers, found)
    return list(found.values())


def _trace(digest: str, makers: dict[str, Step], found: dict[str, Step]) -> None:
    step = makers.get(digest)
    if step is None or step.key in found:
        return
    for taken in step.inputs.values():
        _trace(taken, makers, found)
    found[step.key] = step
