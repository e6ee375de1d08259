"""Covers for images: as faint as asked for, outliving a resize, and known to the key alone."""

from __future__ import annotations

import numpy as np
import pytest

from bessemer.protect.markers.pattern import Pattern, PatternSettings
from bessemer.protect.pixels import psnr, read_image, ssim, write_image
from bessemer.protect.protocol import Draw

RNG = np.random.default_rng(0)


def smooth(side: int, channels: int) -> np.ndarray:
    """A grey slope with a bright disc, as photos have few edges."""
    y, x = np.mgrid[0:side, 0:side] / side
    disc = ((x - 0.5) ** 2 + (y - 0.4) ** 2 < 0.06) * 0.3
    return np.repeat((0.2 + 0.4 * x + disc)[..., None], channels, axis=2)


def marked(image: np.ndarray, key: int = 1, **settings: float) -> np.ndarray:
    return Pattern(PatternSettings(**settings)).marked(image, Draw(bytes([key] * 32)))


@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_is_written_and_read_without_loss(channels: int) -> None:
    image = RNG.integers(0, 256, (9, 7, channels)) / 255
    again = read_image(write_image(image))
    assert np.array_equal(np.rint(again * 255), np.rint(image * 255))
    assert np.array_equal(read_image("data:image/png;base64," + write_image(image)), again)


@pytest.mark.parametrize("wanted", [28.0, 33.0, 40.0])
@pytest.mark.parametrize("side", [8, 28, 64])
def test_the_pattern_is_as_faint_as_asked_for(wanted: float, side: int) -> None:
    image = smooth(side, 1)
    after = read_image(write_image(marked(image, psnr=wanted)))
    assert wanted - 1e-9 <= psnr(image, after) <= wanted + 0.5


def test_black_and_white_make_up_for_what_is_cut_off() -> None:
    image = (RNG.random((28, 28, 1)) > 0.7).astype(float)
    assert psnr(image, marked(image)) == pytest.approx(33.0, abs=1.0)


@pytest.mark.slow
def test_it_can_hardly_be_seen() -> None:
    image = smooth(128, 3)
    assert ssim(image, marked(image, psnr=40.0)) > 0.95
    assert ssim(image, marked(image, psnr=20.0)) < ssim(image, marked(image, psnr=40.0))


def test_another_key_or_image_has_another_pattern() -> None:
    image = smooth(28, 1)
    one, same, other = (marked(image, key) - image for key in (1, 1, 2))
    assert np.array_equal(one, same)
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.3
    moved = np.roll(image, 1, axis=0)
    assert abs(np.corrcoef(one.ravel(), (marked(moved) - moved).ravel())[0, 1]) < 0.3


def test_it_hides_in_edges_and_leaves_an_even_ground() -> None:
    image = np.zeros((28, 28, 1))
    image[:, 14:] = RNG.random((28, 14, 1))
    change = np.abs(marked(image) - image)
    assert change[:, :13].max() == 0
    assert change[:, 14:].mean() > 0
    even = np.full((28, 28, 1), 0.5)
    assert psnr(even, marked(even)) == pytest.approx(33.0, abs=0.5)


def test_it_outlives_resizing() -> None:
    """Halved, the change is still the pattern."""
    image = smooth(56, 1)
    change = (marked(image) - image)[..., 0]
    halved = change.reshape(28, 2, 28, 2).mean(axis=(1, 3))
    again = np.repeat(np.repeat(halved, 2, axis=0), 2, axis=1)
    assert np.corrcoef(change.ravel(), again.ravel())[0, 1] > 0.9


def test_ssim_is_what_its_authors_define() -> None:
    """Against the formula by hand on one window (Wang et al. 2004, equation 13)."""
    a, b = RNG.random((7, 7, 1)), RNG.random((7, 7, 1))
    covariance = np.mean((a - a.mean()) * (b - b.mean()))
    top = (2 * a.mean() * b.mean() + 1e-4) * (2 * covariance + 9e-4)
    low = (a.mean() ** 2 + b.mean() ** 2 + 1e-4) * (a.var() + b.var() + 9e-4)
    assert ssim(a, b) == pytest.approx(top / low)
