"""What all tests share: keys and settings of their own, never the user's."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from bessemer.core import redaction

#: What an expression of marks is made of that `pytest_ignore_collect` understands.
_MARKS = {"slow", "alone", "and", "not"}

#: How long an example takes, and how long to draw one, says nothing but how fast the machine is.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out files that cannot have a test of the marks asked for: to import all files takes a minute.

    Of `-m "slow and not alone"` these are files that nowhere say `mark.slow`, and those that are `alone` as a whole.
    """
    words = re.findall(r"(not )?(\w+)", config.option.markexpr.replace("and", ""))
    if not collection_path.name.startswith("test_") or not set(config.option.markexpr.split()) <= _MARKS:
        return None
    text = collection_path.read_text("utf-8")
    whole = "".join(re.findall(r"^pytestmark = .*$", text, re.MULTILINE))
    left = any(f"mark.{word}" in whole if no else f"mark.{word}" not in text for no, word in words)
    return True if left else None


@pytest.fixture(scope="session", autouse=True)
def _own_config(tmp_path_factory: pytest.TempPathFactory) -> object:
    """A configuration folder for the whole session: tests make and trust keys there."""
    patch = pytest.MonkeyPatch()
    patch.setenv("BESSEMER_CONFIG_DIR", str(tmp_path_factory.mktemp("config")))
    # to import MLflow takes as long as a small run: only tests of trackers have them
    patch.setenv("BESSEMER_TRACK", "off")
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
