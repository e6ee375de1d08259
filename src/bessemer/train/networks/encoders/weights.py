"""Pretrained weights of an encoder, from a safetensors file.

The file's names are those of the module's state dict, so a trained module is kept with

    safetensors.torch.save_file(module.state_dict(), "encoder.safetensors")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn

from bessemer.core.errors import MissingExtra, UsageError, did_you_mean
from bessemer.core.spec import Spec

M = TypeVar("M", bound=nn.Module)
#: Names of an error's list.
_SHOWN = 5


class Pretrained(Spec):
    """The settings that every encoder has."""

    weights: str | None = Field(
        None, description="a .safetensors file of pretrained weights to start from, with the encoder's names"
    )


def fill(module: M, path: str | None, unused: Sequence[str] = ()) -> M:
    """The module with the weights of a file in place of its own; without a path as it is.

    Args:
        unused: what names in the file may begin or end with that the module has no place for.

    Raises:
        UsageError: no such file, or it does not fit; all that does not is named.
        MissingExtra: safetensors is not installed.
    """
    if path is None:
        return module
    given = {
        name: value
        for name, value in _read(Path(path)).items()
        if not any(name.startswith(u) or name.endswith(u) for u in unused)
    }
    own = module.state_dict()
    if faults := _faults(own, given):
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise UsageError(
            f"the weights in '{path}' do not fit the encoder",
            why="; ".join(faults[:_SHOWN]) + more,
            fix="give the encoder the settings that the weights were trained with (depth, width, channels...)",
        )
    module.load_state_dict({name: value.to(own[name].dtype) for name, value in given.items()})
    return module


def _read(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ModuleNotFoundError:
        raise MissingExtra("pretrained weights", "safetensors", "torch") from None
    try:
        found: dict[str, Tensor] = load_file(path, device="cpu")
    except FileNotFoundError:
        beside = [p.name for p in path.parent.glob("*.safetensors")] if path.parent.is_dir() else []
        raise UsageError(
            f"there is no file '{path}'",
            fix=did_you_mean(path.name, beside) or "give the path from the project's folder, or a whole one",
        ) from None
    except (SafetensorError, OSError) as error:
        raise UsageError(
            f"'{path}' is no safetensors file",
            why=str(error),
            fix="pickled weights (.pt, .pth, .bin) are not read, they may hold code: load them where you trust them "
            "and write `safetensors.torch.save_file(state_dict, path)`",
        ) from None
    return found


def _faults(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    found = [f"'{name}' is missing" for name in own if name not in given]
    found += [f"'{name}' has no place" for name in given if name not in own]
    for name, value in given.items():
        if name in own and value.shape != own[name].shape:
            found.append(f"'{name}' is {tuple(value.shape)}, not {tuple(own[name].shape)}")
        elif name in own and not torch.isfinite(value).all():
            found.append(f"'{name}' has values that are no numbers")
    return found
