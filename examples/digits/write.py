"""Write scikit-learn's 1,797 digits as PNG files, a folder a class: `python write.py`."""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits


def write(folder: Path, most: int | None = None) -> int:
    """The digits 0 to 9, handwritten by 43 people, 8 x 8 pixels with 17 levels of grey; gives how many were written.

    Args:
        most: the first so many; all of them where nothing is said.
    """
    digits = load_digits()
    chosen = list(zip(digits.images, digits.target, strict=True))[:most]
    for number, (pixels, label) in enumerate(chosen):
        file = folder / str(label) / f"{number:04}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 255 / 16).round().astype("uint8")).save(file)
    return len(chosen)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, help="write the first so many")
    print(f"{write(Path(__file__).parent / 'digits', parser.parse_args().most):,} digits in digits/")
