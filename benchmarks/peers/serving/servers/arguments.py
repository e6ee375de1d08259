"""What every server's program is told."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

#: Where a server's own processes find the graph.
MODEL = "BENCHMARK_MODEL"


@dataclass(frozen=True)
class Arguments:
    """model: the graph. port, grpc: two free ports of 127.0.0.1. folder: empty, for what the server writes."""

    model: Path
    port: int
    grpc: int
    folder: Path


def arguments() -> Arguments:
    """Of the command line."""
    model, port, grpc, folder = sys.argv[1:]
    os.environ[MODEL] = model
    return Arguments(Path(model), int(port), int(grpc), Path(folder))
