"""The public surface, and what importing it costs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

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


def test_a_project_of_defaults_imports_no_plug_in(tmp_path: Path) -> None:
    """Every command reads the project file: what watches and explains is not imported for that."""
    (tmp_path / "bessemer.yaml").write_text("data: a.csv\ntarget: y\n")
    code = "import sys, json, bessemer; bessemer.Project('.'); print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    found = set(json.loads(done.stdout))
    assert "bessemer.monitor.plugins" in found
    assert "bessemer.explain.plugins" in found
    assert {"duckdb", "onnxruntime", "pandas", "scipy", "sklearn"} & found == set()
    assert [
        m for m in found if m.startswith(("bessemer.monitor.watchers.", "bessemer.explain.explainers."))
    ] == []


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
