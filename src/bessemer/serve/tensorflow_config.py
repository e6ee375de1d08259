"""Carrying out TensorFlow Serving's ReloadConfigRequest: serve these models, and no others."""

from __future__ import annotations

from typing import Any

from bessemer.serve.dialect import Models
from bessemer.serve.errors import RequestError


def reload(models: Models, asked: Any) -> None:
    """Load what the configuration names and is not loaded, then unload what it does not name.

    `base_path` is a package; without it a model that was unloaded comes back. A version policy `specific` with one
    version makes that version the one that answers.

    Raises:
        RequestError: 400 for a configuration without names, 501 for what it may ask there and a server of packages
            does not do; and what `Models.load` raises: then nothing is unloaded.
    """
    if asked.config.WhichOneof("config") != "model_config_list":
        raise RequestError(501, "only a model_config_list is taken")
    wanted = list(asked.config.model_config_list.config)
    names = [each.name for each in wanted]
    if not all(names) or len(set(names)) < len(names):
        raise RequestError(400, "a model of the configuration has no name, or another's")
    for each in wanted:
        _check(each)
    for each in wanted:
        if each.name not in models.names():
            models.load(each.base_path or None, each.name)
        for version in each.model_version_policy.specific.versions:
            models.set_default(each.name, models.get(each.name, str(version)).version)
    for name in models.names():
        if name not in names:
            models.unload(name)


def _check(config: Any) -> None:
    if config.version_labels:
        raise RequestError(
            501, f"labels of '{config.name}' are not set here", fix="set them in the deployment"
        )
    if len(config.model_version_policy.specific.versions) > 1:
        what = f"several specific versions of '{config.name}' are not taken"
        raise RequestError(501, what, fix="name the one that answers")
