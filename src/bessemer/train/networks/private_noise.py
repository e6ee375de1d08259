"""Chance from a stream cipher: who does not know the secret cannot tell it from chance, nor compute it again."""

from __future__ import annotations

import hmac

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: Draws that are added up for each value of noise.
_SUMMED = 4


def step_key(secret: int, use: str, step: int) -> bytes:
    """The key of a step, 32 bytes; another for every use and in every step. secret: below 2**256.

    >>> len(step_key(7, "noise", 0)), step_key(7, "noise", 0) == step_key(7, "noise", 1)
    (32, False)
    """
    return hmac.digest(secret.to_bytes(32), f"bessemer/private/{use}/{step}".encode(), "sha256")


def uniforms(key: bytes, count: int) -> Floats:
    """Values (count,) between 0 and 1, neither of them among these, each of 53 bits of a ChaCha20 stream.

    >>> bool((uniforms(bytes(32), 3) == uniforms(bytes(32), 4)[:3]).all())
    True
    """
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

    cipher = Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None).encryptor()
    words = np.frombuffer(cipher.update(bytes(8 * count)), dtype="<u8")
    return ((words >> 11).astype(np.float64) + 0.5) * 2.0**-53


def normals(key: bytes, count: int) -> Floats:
    """Standard normal values (count,), each the sum of four by inversion, so that fewer roundings of floats show
    through (Holohan and Braghin 2021); within 16.6 of 0.
    """
    from scipy.special import ndtri

    drawn = ndtri(uniforms(key, _SUMMED * count)).reshape(_SUMMED, count)
    values: Floats = drawn.sum(axis=0) / np.sqrt(_SUMMED)
    return values
