"""What TorchServe calls: `handle(data, context)`, a list of requests to a list of answers."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from peers.serving.scorer import scorer
from peers.serving.servers.arguments import MODEL

_score: Any = None


def handle(data: list[dict[str, Any]] | None, context: Any) -> list[dict[str, Any]] | None:
    global _score  # the protocol of a module handler: the first call has no data
    if _score is None:
        _score = scorer(os.environ[MODEL])
    if data is None:
        return None
    return [
        {"predictions": _score(np.array(item["body"]["rows"], dtype=np.float32)).tolist()} for item in data
    ]
