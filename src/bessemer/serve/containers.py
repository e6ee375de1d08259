"""What the environment of a managed container says: SageMaker's and Vertex AI's variables as settings and packages.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html, the variables of
https://github.com/aws/sagemaker-inference-toolkit, and
https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bessemer.core.errors import EnvironmentFault, UsageError

_EVERYWHERE = "0.0.0.0"  # noqa: S104 - a container's own network
_PORT = 8080
_TIMEOUT = 60
_PAYLOAD = 6
_MOST_LISTED = 1000


@dataclass(frozen=True)
class Container:
    """How a platform wants its container to serve.

    platform: `sagemaker` or `vertex`.
    sources: the packages to load, files or addresses; () where the platform loads them while the server runs.
    settings: what it says of `ServeSpec`.
    """

    platform: str
    sources: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)


def from_environment(environment: Mapping[str, str] | None = None) -> Container | None:
    """What the platform this runs on asks for; None where it is neither.

    SageMaker is told by a variable that begins with SAGEMAKER_, or by packages in /opt/ml/model; Vertex AI by AIP_MODE
    or AIP_HTTP_PORT.

    Raises:
        UsageError: a variable is not what it should be.
        EnvironmentFault: there is no package where the platform puts it.

    >>> from_environment({"PATH": "/bin"}) is None
    True
    """
    env = os.environ if environment is None else environment
    if "AIP_MODE" in env or "AIP_HTTP_PORT" in env:
        return _vertex(env)
    folder = Path(env.get("SAGEMAKER_BASE_DIR", "/opt/ml")) / "model"
    if any(name.startswith("SAGEMAKER_") for name in env) or any(folder.glob("*.bsm")):
        return _sagemaker(env, folder)
    return None


def _sagemaker(env: Mapping[str, str], folder: Path) -> Container:
    settings: dict[str, Any] = {
        "host": _EVERYWHERE,
        "port": _whole(env, "SAGEMAKER_BIND_TO_PORT", _PORT),
        "timeout": _whole(env, "SAGEMAKER_MODEL_SERVER_TIMEOUT", _TIMEOUT),
        # 0 stands for no limit there, and is the default here
        "max_body": f"{_whole(env, 'SAGEMAKER_MAX_PAYLOAD_IN_MB', _PAYLOAD) or _PAYLOAD}MB",
    }
    if "SAGEMAKER_MODEL_SERVER_WORKERS" in env:
        settings["workers"] = _whole(env, "SAGEMAKER_MODEL_SERVER_WORKERS", 1)
    if env.get("SAGEMAKER_MULTI_MODEL", "").lower() == "true":
        # the platform loads and unloads without a key, and nobody else reaches the container
        settings["access"] = {"anonymous": ["predict", "admin"]}
        return Container("sagemaker", (), settings)
    return Container("sagemaker", _packages(str(folder)), settings)


def _vertex(env: Mapping[str, str]) -> Container:
    settings = {"host": _EVERYWHERE, "port": _whole(env, "AIP_HTTP_PORT", _PORT)}
    folder = env.get("AIP_STORAGE_URI", "")
    if not folder:
        raise EnvironmentFault(
            "AIP_STORAGE_URI is empty: there is no package to serve",
            fix="upload the model with an artifact_uri, or name the package: bessemer serve PACKAGE",
        )
    return Container("vertex", _packages(folder), settings)


def _whole(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name, "").strip()
    if not text:
        return default
    if not (text.isascii() and text.isdigit()):
        raise UsageError(
            f"{name} is '{text}', not a whole number", fix=f"set {name} to a whole number, or unset it"
        )
    return int(text)


def package_at(place: str) -> str:
    """The package at a file, a folder or an address; SageMaker names the folder into which it unpacked an archive.

    Raises:
        EnvironmentFault: the folder has no package, or several.
    """
    if place.endswith(".bsm") or not Path(place).is_dir():
        return place
    found = _packages(place)
    if len(found) > 1:
        names = ", ".join(Path(source).name for source in found)
        raise EnvironmentFault(f"'{place}' has several packages: {names}", fix="put one into each archive")
    return found[0]


def _packages(folder: str) -> tuple[str, ...]:
    """The .bsm files in a folder, local or an address that fsspec reads, in the order of their names."""
    import fsspec

    try:
        files, root = fsspec.core.url_to_fs(folder)
        listed = files.ls(root, detail=False)[:_MOST_LISTED] if files.isdir(root) else []
    except (OSError, ValueError, ImportError) as error:
        raise EnvironmentFault(f"cannot read '{folder}'", why=str(error)) from error
    found = sorted(path for path in listed if path.endswith(".bsm"))
    if not found:
        raise EnvironmentFault(
            f"there is no package in '{folder}'",
            fix="put the .bsm file at the top of the model's archive or folder",
        )
    local = "file" in files.protocol
    return tuple(path if local else files.unstrip_protocol(path) for path in found)
