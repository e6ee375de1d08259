"""Where pretrained weights are, by the parameters of a learner: files that lie outside the store. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_ONE, _SEVERAL, _WEIGHTS = "_encoder", "encoders", "weights"


def weights_of(params: Mapping[str, Any]) -> list[str]:
    """The files that the encoders among the parameters start from, each once.

    >>> weights_of({"image_encoder": {"resnet": {"weights": "resnet18.safetensors"}}, "table_encoder": "mlp"})
    ['resnet18.safetensors']
    """
    found = (settings.get(_WEIGHTS) for named in _encoders(params) for settings in _settings(named))
    return list(dict.fromkeys(path for path in found if isinstance(path, str)))


def located(params: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The same parameters with whole paths for those that are relative to the project's folder.

    >>> located({"encoders": {"photo": {"vit": {"weights": "v.safetensors"}}}}, Path("/here"))["encoders"]
    {'photo': {'vit': {'weights': '/here/v.safetensors'}}}
    """
    return {name: _located(name, value, folder) for name, value in params.items()}


def _located(name: str, value: Any, folder: Path) -> Any:
    if name == _SEVERAL and isinstance(value, Mapping):
        return {column: _with_paths(named, folder) for column, named in value.items()}
    return _with_paths(value, folder) if name.endswith(_ONE) else value


def _with_paths(named: Any, folder: Path) -> Any:
    if not isinstance(named, Mapping):
        return named
    return {
        encoder: {**settings, _WEIGHTS: str(folder / settings[_WEIGHTS])}
        if isinstance(settings, Mapping) and isinstance(settings.get(_WEIGHTS), str)
        else settings
        for encoder, settings in named.items()
    }


def _encoders(params: Mapping[str, Any]) -> Iterator[Any]:
    for name, value in params.items():
        if name == _SEVERAL and isinstance(value, Mapping):
            yield from value.values()
        elif name.endswith(_ONE):
            yield value


def _settings(named: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(named, Mapping):
        yield from (settings for settings in named.values() if isinstance(settings, Mapping))
