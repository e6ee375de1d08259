"""Training the encoder: against a discriminator, and for a host that learns its keys beside ordinary images.

The losses and the rows of a step are those of Li et al. (2019). All of it is of the training rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bessemer.protect.blind.nets import Critic, Encoder
from bessemer.protect.blind.settings import BlindSettings
from bessemer.protect.blind.similarity import ssim
from bessemer.protect.protocol import Draw

#: Weights of an encoder's loss beside that of the discriminator, which is a setting.
_MSE, _SSIM, _HOST = 3.0, 5.0, 0.1
#: Rows of a step: ordinary ones for the host, and keys.
_ORDINARY, _KEYS = 100, 20
#: Of the training rows, the share that is made into keys here; at least so many.
_SHARE, _FEWEST = 0.01, 100
_RATE = 2e-3
#: Tries at the strength.
_HALVINGS = 12


@dataclass(frozen=True)
class Rows:
    """Images to train by. images: (N, C, H, W) float32, 0 to 1. classes: (N,) int64. choices: how many classes."""

    images: np.ndarray
    classes: np.ndarray
    choices: int

    def some(self, places: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(self.images[places]))


def trained(
    rows: Rows,
    covers: np.ndarray,
    logo: np.ndarray,
    settings: BlindSettings,
    draw: Draw,
    advance: Callable[[], None],
) -> Encoder:
    """An encoder whose keys are as faint as asked for; frozen. The same rows, settings and key give the same.

    Args:
        covers: (n, C, H, W) float32 from 0 to 1, the images that are to become keys, by which its strength is set.
        logo: (C, H, W) float32 from 0 to 1.
        advance: called once a step.
    """
    with _seeded(draw):
        trio = _Trio(rows, Encoder(torch.from_numpy(logo)), settings, draw)
        for _ in range(settings.steps):
            trio.step()
            advance()
        trio.encoder.eval().requires_grad_(False)
        weaken(trio.encoder, torch.from_numpy(covers), settings)
    return trio.encoder


def keys_of(encoder: Encoder, images: np.ndarray) -> np.ndarray:
    """(n, C, H, W) float32 of 256 levels: the keys of some images, each by itself."""
    with torch.no_grad(), _one_thread():
        made = [encoder(torch.from_numpy(np.ascontiguousarray(image[None]))) for image in images]
        found: np.ndarray = torch.cat(made).numpy()
    return found


class _Trio:
    """Encoder, discriminator and host, and their turns."""

    def __init__(self, rows: Rows, encoder: Encoder, settings: BlindSettings, draw: Draw) -> None:
        channels = rows.images.shape[1]
        self.encoder = encoder
        self._rows, self._adversary = rows, settings.adversary
        self._rival, self._host = Critic(channels, 1), Critic(channels, rows.choices)
        self._rng = draw.rng("batches")
        count = min(len(rows.images), max(_FEWEST, round(_SHARE * len(rows.images))))
        self._covers = self._rng.permutation(len(rows.images))[:count]
        self._labels = torch.from_numpy(self._rng.integers(0, rows.choices, count))
        self._optimisers = [_Descent(net, settings.steps) for net in (encoder, self._rival, self._host)]

    def step(self) -> None:
        of_encoder, of_rival, of_host = self._optimisers
        drawn = self._drawn(len(self._covers), _KEYS)
        covers, labels = self._rows.some(self._covers[drawn]), self._labels[drawn]
        plain = self._drawn(len(self._rows.images), _ORDINARY)
        ordinary, classes = self._rows.some(plain), torch.from_numpy(self._rows.classes[plain])
        keys = self.encoder(covers)
        shown = keys.detach()
        of_rival.follow(_told(self._rival, ordinary[: len(shown)], 1.0) + _told(self._rival, shown, 0.0))
        said = self._host(torch.cat([ordinary, shown]))
        of_host.follow(functional.cross_entropy(said, torch.cat([classes, labels])))
        loss = _MSE * functional.mse_loss(keys, covers) + _SSIM * (1 - ssim(keys, covers).mean())
        loss = loss + _HOST * functional.cross_entropy(self._host(keys), labels)
        if self._adversary:
            loss = loss + self._adversary * _told(self._rival, keys, 1.0)
        of_encoder.follow(loss)

    def _drawn(self, rows: int, count: int) -> np.ndarray:
        return self._rng.choice(rows, min(rows, count), replace=False)


class _Descent:
    """Adam over a network, at a rate that falls to nothing along a cosine."""

    def __init__(self, net: nn.Module, steps: int) -> None:
        self._adam = torch.optim.Adam(net.parameters(), lr=_RATE, betas=(0.5, 0.999))
        self._schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self._adam, steps)

    def follow(self, loss: Tensor) -> None:
        self._adam.zero_grad()
        loss.backward()
        self._adam.step()
        self._schedule.step()


def _told(rival: Critic, images: Tensor, truth: float) -> Tensor:
    """How badly the discriminator tells that images are ordinary (1) or keys (0)."""
    said = rival(images)[:, 0]
    found: Tensor = functional.binary_cross_entropy_with_logits(said, torch.full_like(said, truth))
    return found


def weaken(encoder: Encoder, images: Tensor, settings: BlindSettings) -> None:
    """Set the strength to the most, up to 1, at which images are as alike to their keys as asked for."""
    low, high = 0.0, 1.0
    if _faint(encoder, images, settings):
        return
    for _ in range(_HALVINGS):
        encoder.strength.fill_((low + high) / 2)
        if _faint(encoder, images, settings):
            low = (low + high) / 2
        else:
            high = (low + high) / 2
    encoder.strength.fill_(low)


@torch.no_grad()  # type: ignore[untyped-decorator]
def _faint(encoder: Encoder, images: Tensor, settings: BlindSettings) -> bool:
    keys = encoder(images)
    error = ((keys - images) ** 2).mean((1, 2, 3)).clamp(min=1e-12)
    noise = (-10 * torch.log10(error)).median()
    return bool(noise >= settings.psnr) and bool(ssim(keys, images).median() >= settings.ssim)


@contextmanager
def _seeded(draw: Draw) -> Iterator[None]:
    """First values of networks are drawn from the key; torch's own generator is as it was after."""
    with torch.random.fork_rng(devices=[]), _one_thread():
        torch.manual_seed(int(draw.rng("networks").integers(2**31)))
        yield


@contextmanager
def _one_thread() -> Iterator[None]:
    """Sums of several threads depend on their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
