"""What the project file may say of `blind`."""

from __future__ import annotations

from pydantic import Field

from bessemer.core.spec import Spec


class BlindSettings(Spec):
    logo: str | None = Field(
        None, description="an image file of yours, by its path in the project; left out, the key makes one"
    )
    steps: int = Field(300, ge=1, le=100_000, description="steps of training the encoder")
    psnr: float = Field(
        33.0,
        ge=15,
        le=60,
        description="how faint the change is at least: median peak signal-to-noise ratio of keys, in dB",
    )
    ssim: float = Field(
        0.98, ge=0.5, lt=1, description="how alike key and cover are at least: median structural similarity"
    )
    adversary: float = Field(
        1.0,
        ge=0,
        le=100,
        description="how much it counts in training that a discriminator cannot tell keys from ordinary images; the "
        "authors' 1",
    )
