"""What a small installation lacks: the packages that running a project takes, and that loading a model does not."""

from __future__ import annotations

import importlib.util

from bessemer.core.errors import MissingExtra

#: The modules of the extra `flow`, those that say most about it first.
FLOW = (
    *("duckdb", "pyarrow", "sklearn", "lightgbm", "onnx", "sqlglot", "pydantic", "yaml", "fsspec", "orjson"),
    *("click", "rich"),
)


def missing_extra(name: str, error: ModuleNotFoundError) -> MissingExtra | None:
    """The error that says what to install; None where the module that was not found is no part of `flow`.

    Args:
        name: what was asked for.

    >>> missing_extra("run", ModuleNotFoundError("No module named 'x'", name="x")) is None
    True
    """
    module = (error.name or "").partition(".")[0]
    if module not in FLOW:
        return None
    first = next((known for known in FLOW if importlib.util.find_spec(known) is None), module)
    return MissingExtra(name, first, "flow")
