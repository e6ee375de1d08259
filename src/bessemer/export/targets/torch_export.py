"""torch.export: the core as a graph of ATen operators, for compilers and runtimes that start from torch."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from bessemer.export.protocol import Source, UncarriedError
from bessemer.export.torch_core import check_general, module_of, recorded_with, recording
from bessemer.export.torch_format import TorchFormat

#: What a node remembers of where our source made it, with paths of this machine.
_SOURCE = ("stack_trace", "nn_module_stack", "source_fn_stack", "from_node", "torch_fn")


class TorchExport(TorchFormat):
    """`core.pt2`, with any number of rows, and `encoder.json`."""

    FILE = "core.pt2"
    RUNTIME = "torch.export"
    LOADED = 'torch.export.load("core.pt2").module()'

    def write(self, source: Source, file: Path) -> None:
        file.write_bytes(save(source))

    def load(self, file: Path) -> Any:
        import torch

        return torch.export.load(file).module()


def save(source: Source, most: int | None = None) -> bytes:
    """The content of a `.pt2` file.

    Args:
        most: rows that it takes at once; None for any number.

    Raises:
        UncarriedError: there is no core, or it depends on how many rows there are.
    """
    import torch

    rows = {0: torch.export.Dim("rows", max=most)}
    with recording():
        found = _exported(module_of(source), recorded_with(source), rows)
        check_general(source, found.module())
    for node in found.graph.nodes:
        for name in _SOURCE:
            node.meta.pop(name, None)
    kept = io.BytesIO()
    torch.export.save(found, kept)
    return kept.getvalue()


def _exported(module: Any, example: Any, rows: Any) -> Any:
    import torch

    try:
        return torch.export.export(module, (example,), dynamic_shapes=(rows,))
    except (torch._dynamo.exc.UserError, RuntimeError, ValueError) as error:
        first = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
        raise UncarriedError(f"torch.export cannot record it: {first}") from None
