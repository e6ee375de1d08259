"""What the stage reads beside its inputs."""

from __future__ import annotations

from pathlib import Path

from bessemer.core.store import file_digest
from bessemer.protect.owner import existing_owner_id
from bessemer.protect.spec import ProtectSpec


def fingerprint(spec: ProtectSpec, project_dir: Path, memo: dict[str, str] | None = None) -> dict[str, str]:
    """The id of the owner key, and the digest of a logo: another one makes another mark."""
    if spec.mark is None:
        return {}
    logos = [name for given in spec.mark.values() if isinstance(name := given.get("logo"), str)]
    found = {name: project_dir / name for name in logos}
    digests = {
        f"logo {name}": file_digest(path)[0] if path.is_file() else "missing" for name, path in found.items()
    }
    return {"owner_key": existing_owner_id(), **digests}
