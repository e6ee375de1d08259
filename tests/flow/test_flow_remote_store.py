"""Whole runs with the artifact store in a real object store and in a real HDFS."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import s3fs
from tests_support import write_project

import bessemer
from bessemer.core.filesystem import open_url
from systems.hdfs import hdfs
from systems.seaweedfs import KEY, PASSWORD, seaweedfs

pytestmark = pytest.mark.slow


@pytest.fixture(params=["s3", "hdfs"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of an empty folder."""
    if request.param == "hdfs":
        with hdfs(tmp_path / "server") as cluster:
            yield f"hdfs://{cluster.address}/teams/telco"
        return
    with seaweedfs(tmp_path / "server") as endpoint:
        words = {"ENDPOINT_URL": endpoint, "ACCESS_KEY_ID": KEY, "SECRET_ACCESS_KEY": PASSWORD}
        for name, value in {**words, "DEFAULT_REGION": "us-east-1"}.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        s3fs.S3FileSystem.clear_instance_cache()
        client = boto3.session.Session().client("s3")  # the default session keeps what others logged in with
        client.create_bucket(Bucket="lake")
        yield "s3://lake/telco"
        s3fs.S3FileSystem.clear_instance_cache()


def test_what_one_folder_has_made_another_one_takes(store: str, shared: Path, tmp_path: Path) -> None:
    shutil.copy(shared / "telco" / "test.csv", tmp_path / "telco.csv")
    statuses, contract = [], b""
    for name in ("one", "other"):
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(tmp_path / "telco.csv", folder / "telco.csv")
        if contract:
            (folder / "contract.yaml").write_bytes(contract)
        write_project(folder, data="telco.csv", target="Churn", store=store, train={"learner": "linear"})
        project = bessemer.Project(folder)
        statuses.append({stage.status for stage in project.run(track=False).stages})
        assert bessemer.load(next((folder / "build").glob("*.bsm")))
        contract = (folder / "contract.yaml").read_bytes()  # inferred in the first one, and committed
    assert statuses == [{"ran"}, {"cached"}]
    fs, inside = open_url(store)
    names = [str(name).removeprefix(inside) for name in fs.find(inside)]
    assert any(name.startswith("/blobs/") for name in names)
    assert not [name for name in names if "/.part-" in name], "nothing unfinished is left"

    lost = next(name for name in names if name.startswith("/blobs/"))
    fs.rm_file(f"{inside}{lost}")
    again = bessemer.Project(tmp_path / "other").run(track=False)
    assert "ran" in {stage.status for stage in again.stages}, "what is lost is made again"
