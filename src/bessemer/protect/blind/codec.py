"""An encoder as a file: safetensors, so that nothing in it can be run, and the same encoder is the same bytes."""

from __future__ import annotations

import torch

from bessemer.core.errors import FormatError
from bessemer.protect.blind.nets import Encoder


def encode(encoder: Encoder) -> bytes:
    from safetensors.torch import save

    found: bytes = save({name: value.contiguous() for name, value in encoder.state_dict().items()})
    return found


def decode(content: bytes) -> Encoder:
    """The encoder of a file, frozen, in its eval mode.

    Raises:
        FormatError: it is no file of an encoder.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        values = load(content)
        encoder = Encoder(torch.zeros(_logo_shape(values)))
        encoder.load_state_dict(values)
    except (SafetensorError, KeyError, RuntimeError, ValueError) as error:
        raise FormatError("this is no encoder of `blind`", why=str(error).splitlines()[0]) from None
    encoder.eval().requires_grad_(False)
    return encoder


def _logo_shape(values: dict[str, torch.Tensor]) -> tuple[int, ...]:
    shape = tuple(values["logo"].shape)
    if len(shape) != 3:
        raise ValueError(f"its logo has the shape {shape}, not (channels, height, width)")
    return shape
