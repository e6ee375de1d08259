"""A project whose data is on a web server: run again and again, only what changed comes."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests_support import write_project

import bessemer
from systems.faulty_http import Files, serving


@pytest.mark.slow
def test_runs_over_files_that_are_elsewhere(tmp_path: Path) -> None:
    files = Files()
    for month in range(1, 4):
        rows = "\n".join(f"{month * 100 + i},{i % 2}" for i in range(50))
        files.content[f"/visits/2026-{month:02d}.csv"] = f"id,bought\n{rows}\n".encode()
    with serving(files) as site:
        write_project(
            tmp_path, acquire={"sources": {"visits": {"csv": f"{site.url}/visits/"}}}, target="bought"
        )

        def run() -> tuple[str, list[str]]:
            """What became of the stage, and the files that came."""
            site.requests.clear()
            (stage,) = bessemer.Project(tmp_path).run(upto="acquire", track=False).stages
            return stage.status, sorted(path for path in site.asked() if path.endswith(".csv"))

        assert run() == ("ran", [f"/visits/2026-0{month}.csv" for month in (1, 2, 3)])
        assert run() == ("cached", [])
        files.content["/visits/2026-04.csv"] = b"id,bought\n400,1\n"
        del files.content["/visits/2026-01.csv"]
        assert run() == ("ran", ["/visits/2026-04.csv"])
        raw = bessemer.Project(tmp_path).artifact("raw")
        assert raw.meta["rows"] == 101
        kept = [file.name for file in (tmp_path / ".bessemer/cache/acquire/files").rglob("*.csv")]
        assert sorted(kept) == ["2026-02.csv", "2026-03.csv", "2026-04.csv"]
