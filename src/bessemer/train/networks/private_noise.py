"""Normal noise from a stream cipher: who does not know the key cannot tell it from chance, nor compute it again."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

#: Draws that are added up where noise has to be secure.
_SUMMED = 4


def noise_key(seed: int, step: int) -> bytes:
    """The key of a step's noise, 32 bytes; another in every step.

    >>> len(noise_key(7, 0)), noise_key(7, 0) == noise_key(7, 1)
    (32, False)
    """
    return hashlib.sha256(f"bessemer/private/{seed}/{step}".encode()).digest()


def normals(key: bytes, count: int) -> npt.NDArray[np.float64]:
    """Standard normal values (count,) by inversion of a ChaCha20 stream: each from 53 bits, within 8.3 of 0.

    >>> bool((normals(bytes(32), 3) == normals(bytes(32), 4)[:3]).all())
    True
    """
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
    from scipy.special import ndtri

    cipher = Cipher(algorithms.ChaCha20(key, bytes(16)), mode=None).encryptor()
    words = np.frombuffer(cipher.update(bytes(8 * count)), dtype="<u8")
    values: npt.NDArray[np.float64] = ndtri(((words >> 11) + 0.5) * 2.0**-53)
    return values


def secure_normals(key: bytes, count: int) -> npt.NDArray[np.float64]:
    """The same, each the sum of four draws: which floats can come out gives away next to nothing of what noise was
    added to (Mironov 2012; Holohan and Braghin 2021).
    """
    drawn = normals(key, _SUMMED * count).reshape(_SUMMED, count)
    values: npt.NDArray[np.float64] = drawn.sum(axis=0) / np.sqrt(_SUMMED)
    return values
