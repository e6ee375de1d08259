"""The public surface, and what importing it costs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import bessemer

NAMES = [
    "BessemerError", "ContractError", "DataError", "EnvironmentFault", "FormatError", "GateError", "IntegrityError",
    "MissingExtra", "Model", "Monitor", "PackageError", "Project", "ProjectError", "Run", "SignatureError",
    "StoreError", "UsageError", "__version__", "load", "schema", "verify",
]  # fmt: skip

HEAVY = {
    "numpy", "pyarrow", "duckdb", "pandas", "polars", "onnx", "onnxruntime", "lightgbm", "sklearn", "scipy", "mlflow",
    "pydantic", "sqlglot", "rich", "fsspec", "cryptography", "uvicorn", "yaml",
}  # fmt: skip


def test_public_names() -> None:
    assert sorted(bessemer.__all__) == sorted(NAMES)
    assert dir(bessemer) == bessemer.__all__
    for name in NAMES:
        assert getattr(bessemer, name) is not None
    with pytest.raises(AttributeError, match="nosuch"):
        bessemer.nosuch  # noqa: B018


@pytest.mark.parametrize("program", ["import bessemer", "from bessemer.cli import main; main(['--help'])"])
def test_importing_and_help_load_nothing_heavy(program: str) -> None:
    """What takes the time is the import of others; none of them may be there."""
    code = (
        "import sys, json, contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        f"    {program}\n"
        "print(json.dumps(sorted({m.split('.')[0] for m in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(json.loads(done.stdout))
