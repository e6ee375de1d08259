"""What a target is: a format of another runtime, and how to run what was written in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from bessemer.core.spec import Spec
from bessemer.export.numeric import Core, core_of
from bessemer.export.numeric.refusal import UncarriedError
from bessemer.package.onnx_format import parse

if TYPE_CHECKING:
    import numpy as np

    from bessemer.export.samples import Samples
    from bessemer.package.model import Model

#: Is told what is being done, as one line.
Tell = Callable[[str], None]

__all__ = ["Answers", "NoSettings", "NotRunError", "Source", "Target", "Tell", "UncarriedError"]


class NotRunError(Exception):
    """What was exported cannot be run on this machine, or nowhere by us: why, as a clause without a full stop."""


class NoSettings(Spec):
    """Nothing can be set."""


@dataclass(frozen=True)
class Source:
    """What is exported: a package, verified. tell: is told of progress."""

    model: Model
    tell: Tell = lambda line: None

    @cached_property
    def graph(self) -> bytes:
        """The whole graph: raw columns in, predictions out."""
        return self.model.contents.bytes("model.onnx")

    @cached_property
    def core(self) -> Core:
        """The numeric core.

        Raises:
            UncarriedError: the package has none.
        """
        return core_of(self.model)

    @cached_property
    def has_trees(self) -> bool:
        """Whether there are trees in the graph."""
        return any(node.op_type.startswith("TreeEnsemble") for node in parse(self.graph).graph.node)

    @property
    def slug(self) -> str:
        """The package's name for file names and identifiers: letters, digits and underscores, a letter first."""
        kept = "".join(c if c.isascii() and c.isalnum() else "_" for c in self.model.name.lower()).strip("_")
        return kept if kept[:1].isalpha() else f"model_{kept}".strip("_")


@dataclass(frozen=True)
class Answers:
    """What an exported artefact said of samples, in its own runtime.

    values: (N, C) float32 probabilities in the order of the classes, or the values (N, 1) of a regression.
    labels: the class of each row as the artefact itself says it, where it does; else None.
    runtime: its name and version. beside: what was measured there, e.g. {"flash_bytes": 12000}.
    """

    values: np.ndarray
    runtime: str
    labels: list[Any] | None = None
    beside: Mapping[str, Any] = field(default_factory=dict)


class Target(Protocol):
    """One format.

    takes: what it is made of: `graph`, the whole graph with texts; `core`, the numeric core, beside which the encoder
        goes; `network`, a torch module of the core; `native`, the trees or coefficients themselves.
    environment: the name of one in `environments.plugins.ENVIRONMENTS` that its tools are in, '' where this process has
        them.
    limit: the greatest difference to the package's answers (probabilities; values, relative to their size or spread)
        that is no fault, where the caller names none.
    """

    takes: ClassVar[Literal["graph", "core", "network", "native"]]
    environment: ClassVar[str]
    limit: float
    Settings: ClassVar[type[Spec]]

    def __init__(self, settings: Any) -> None: ...

    def refuses(self, source: Source) -> str:
        """Why this model cannot be carried, as a clause; '' where it can, as far as can be seen without trying.

        Raises:
            UncarriedError: likewise.
        """
        ...

    def export(self, source: Source, out: Path) -> str:
        """Write the artefact into an empty folder.

        Returns:
            how it is used, as Markdown for its README: a runnable example.

        Raises:
            UncarriedError: the model cannot be carried.
            ToolError: a tool failed.
        """
        ...

    def check(self, source: Source, out: Path, samples: Samples) -> Answers:
        """Run what is in the folder in its own runtime.

        Raises:
            NotRunError: it cannot be run here.
            ToolError: the runtime failed.
        """
        ...
