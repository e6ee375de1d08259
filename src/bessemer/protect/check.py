"""What the stage reads beside its inputs."""

from __future__ import annotations

from pathlib import Path

from bessemer.protect.owner import existing_owner_id
from bessemer.protect.spec import ProtectSpec


def fingerprint(spec: ProtectSpec, project_dir: Path, memo: dict[str, str] | None = None) -> dict[str, str]:
    """The id of the owner key: another key makes another mark."""
    return {"owner_key": existing_owner_id()} if spec.mark is not None else {}
