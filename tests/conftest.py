"""What all tests share: keys and settings of their own, never the user's."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bessemer.core import redaction


@pytest.fixture(scope="session", autouse=True)
def _own_config(tmp_path_factory: pytest.TempPathFactory) -> object:
    """A configuration folder for the whole session: tests make and trust keys there."""
    patch = pytest.MonkeyPatch()
    patch.setenv("BESSEMER_CONFIG_DIR", str(tmp_path_factory.mktemp("config")))
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def _own_secrets() -> Iterator[None]:
    """What one test remembers as a secret is no secret in the texts of the next one."""
    kept = dict(redaction._secrets), redaction._pattern
    yield
    redaction._secrets, redaction._pattern = kept


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real tables that stands beside the project."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    assert folder.is_dir(), f"the tests read real tables from {folder}"
    return folder


@pytest.fixture
def read_only_folder() -> Iterator[Path]:
    """A folder nobody may write to. Root may write everywhere, so as root the test goes on as nobody."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)
        shutil.rmtree(folder)
