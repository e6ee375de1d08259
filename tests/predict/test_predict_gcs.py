"""Objects of Google Cloud Storage, spoken to by gcsfs, answered by a server that speaks its API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gcsfs
import pytest
from killed_support import check_killed_on_the_way, parts

from bessemer.predict.plugins import SINKS
from bessemer.predict.protocol import Target
from bessemer.testing.sinks import CHECKS
from systems.fake_gcs import fake_gcs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with fake_gcs(tmp_path_factory.mktemp("gcs")) as port:
        yield port


@pytest.fixture
def fs(server: int, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Any]:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{server}")
    monkeypatch.setenv(
        "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false"
    )  # else it asks a service that is not there
    gcsfs.GCSFileSystem.clear_instance_cache()
    found = gcsfs.GCSFileSystem()
    if not found.exists("lake"):
        found.mkdir("lake")
    yield found
    gcsfs.GCSFileSystem.clear_instance_cache()


def read(target: Target) -> list[dict[str, Any]]:
    fs = gcsfs.GCSFileSystem(skip_instance_cache=True)
    return list(parts(fs, target.where.removeprefix("gs://")).to_pylist())


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_sinks_keep_each_promise(check: Any, fs: Any) -> None:
    options = {"ending": ".parquet", "part_rows": 4}
    target = Target("parquet", f"gs://lake/{check.__name__}", True, options)
    check(SINKS.ref("parquet").target, target, read)
    fs.invalidate_cache()
    assert not [name for name in fs.find("lake") if "/." in name]


def test_killed_on_the_way(fs: Any, model: Any, package: Path, make_rows: Any) -> None:
    def write(path: str, content: bytes) -> None:
        fs.pipe_file(f"lake/killed/{path}", content)

    check_killed_on_the_way("gs://lake/killed", write, fs, "lake/killed", model, package, make_rows(4000))
