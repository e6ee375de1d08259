"""`blind` makes keys that are as alike to their images as asked for, the same ones for the same key, and keeps how."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from protect_support import context, prepared

from bessemer.api import Project
from bessemer.core.errors import FormatError, UsageError
from bessemer.protect.pixels import psnr, ssim, write_image
from bessemer.protect.protocol import Draw, Pool
from bessemer.protect.spec import parse_marker

QUICK = {"steps": 20}


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Pool]:
    """300 images of 8 x 8 pixels, and 50 rows without one."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images: list[str | None] = [None] * 50
    images += [write_image(one[..., None] / 16) for one in found.images[:300]]
    labels = [f"{k}" for k in found.target[:350]]
    folder = tmp_path_factory.mktemp("digits")
    pq.write_table(pa.table({"image": images, "digit": labels}), folder / "data.parquet")
    (folder / "bessemer.yaml").write_text("{data: data.parquet, target: digit, name: digits}")
    return prepared(folder)


@pytest.mark.slow
def test_it_keeps_to_the_protocol_and_tells_how_faint_it_is(
    digits: tuple[Project, Pool], tmp_path: Path
) -> None:
    from bessemer.testing.markers import check_marker

    project, pool = digits
    said: list[tuple[str, str]] = []
    covers = check_marker("blind", QUICK, pool, 40, context(project, tmp_path, said))
    assert all(covers["image"].to_pylist())
    noise, alike = (float(said[0][1].split(word)[1].split()[0]) for word in ("PSNR of", "SSIM of"))
    assert noise >= 33
    assert alike >= 0.98


@pytest.mark.slow
def test_what_is_fed_in_training_is_what_was_made(digits: tuple[Project, Pool], tmp_path: Path) -> None:
    """The graph that ships decodes a key to the levels that the frozen encoder gives."""
    from bessemer.protect.blind.codec import decode
    from bessemer.protect.blind.rival import keys_of
    from bessemer.protect.blind.settings import BlindSettings
    from bessemer.protect.covers import features_of
    from bessemer.protect.markers.blind import ENCODER, Blind
    from bessemer.protect.markers.imaged import chosen_rows

    project, pool = digits
    marker, draw = Blind(BlindSettings(**QUICK)), Draw(b"1" * 32)
    covers = marker.covers(pool, 20, draw, context(project, tmp_path), lambda: None)
    (block,) = pool.blocks
    pixels = slice(block.start, block.stop)
    images = np.array(pool.features[chosen_rows(pool, 20, draw)])[:, pixels].reshape(-1, 1, 8, 8)
    made = keys_of(decode(marker.material[ENCODER]), images).reshape(-1, 64)
    found = features_of(pool, covers)[:, pixels]
    nearest = [np.abs(made - row).max(axis=1).min() for row in found]
    assert max(nearest) < 1e-6  # the same levels, up to the last bit of a float32
    assert min(np.abs(images.reshape(-1, 64) - row).max(axis=1).min() for row in found) > 1e-3


def test_the_similarity_of_training_is_the_one_that_is_told() -> None:
    from bessemer.protect.blind.similarity import ssim as of_tensors

    rng = np.random.default_rng(0)
    for shape in ((3, 12, 9), (1, 5, 5)):
        one = rng.random((2, *shape))
        other = np.clip(one + rng.normal(size=one.shape) * 0.1, 0, 1)
        found = of_tensors(torch.from_numpy(one), torch.from_numpy(other)).numpy()
        wanted = [ssim(a.transpose(1, 2, 0), b.transpose(1, 2, 0)) for a, b in zip(one, other, strict=True)]
        assert found == pytest.approx(wanted, abs=1e-9)


def test_an_even_ground_stays_as_it_is() -> None:
    """Where nothing is, every change is seen."""
    from bessemer.protect.blind.nets import Encoder

    torch.manual_seed(0)
    image = torch.zeros(1, 1, 16, 16)
    image[..., 8:] = torch.linspace(0, 1, 8)
    key = Encoder(torch.rand(1, 16, 16)).eval()(image)
    assert torch.equal(key[..., :6], image[..., :6])
    assert not torch.equal(key[..., 8:], image[..., 8:])
    assert torch.equal(torch.round(key * 255), key * 255) or torch.allclose(key * 255, torch.round(key * 255))


@pytest.mark.parametrize("wanted", [28.0, 40.0])
def test_strength_follows_what_is_asked(wanted: float) -> None:
    """An encoder that moves pixels far is weakened to what is asked for, by training rows alone."""
    from bessemer.protect.blind.nets import Encoder
    from bessemer.protect.blind.rival import keys_of, weaken
    from bessemer.protect.blind.settings import BlindSettings

    torch.manual_seed(0)
    encoder = Encoder(torch.rand(1, 16, 16)).eval().requires_grad_(False)
    encoder.moves.bias.fill_(3.0)
    images = np.random.default_rng(0).random((50, 1, 16, 16), dtype=np.float32)
    weaken(encoder, torch.from_numpy(images), BlindSettings(psnr=wanted, ssim=0.5))
    pairs = [
        (a.transpose(1, 2, 0), b.transpose(1, 2, 0))
        for a, b in zip(images, keys_of(encoder, images), strict=True)
    ]
    assert np.median([psnr(*pair) for pair in pairs]) == pytest.approx(wanted, abs=0.3)


def test_an_encoder_is_written_and_read(tmp_path: Path) -> None:
    from bessemer.protect.blind.codec import decode, encode
    from bessemer.protect.blind.nets import Encoder

    torch.manual_seed(0)
    encoder = Encoder(torch.rand(3, 10, 9))
    content = encode(encoder)
    assert content == encode(decode(content))
    images = torch.rand(2, 3, 10, 9)
    assert torch.equal(decode(content)(images), encoder.eval()(images))
    for broken in (b"", content[:100], content[:-4], b"\0" * 64):
        with pytest.raises(FormatError, match="no encoder"):
            decode(broken)


def test_a_logo_is_an_image_of_the_owners(tmp_path: Path) -> None:
    import base64

    from bessemer.protect.blind.logo import logo_of

    slope = np.linspace(0, 1, 40)[None, :, None].repeat(30, axis=0)
    path = tmp_path / "logo.png"
    path.write_bytes(base64.b64decode(write_image(slope)))
    draw = Draw(bytes(32))
    found = logo_of(path, (3, 8, 8), draw)
    assert found.shape == (3, 8, 8)
    assert np.allclose(found[0, 0], np.linspace(0.06, 0.94, 8), atol=0.05)
    assert np.array_equal(logo_of(None, (1, 8, 8), draw), logo_of(None, (1, 8, 8), draw))
    assert not np.array_equal(logo_of(None, (1, 8, 8), draw), logo_of(None, (1, 8, 8), Draw(b"2" * 32)))
    with pytest.raises(UsageError, match="cannot read the logo 'missing"):
        logo_of(tmp_path / "missing.png", (1, 8, 8), draw)
    for content in (b"no image", path.read_bytes()[:60]):
        path.write_bytes(content)
        with pytest.raises(UsageError, match="is no image"):
            logo_of(path, (1, 8, 8), draw)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ([], "no marker is named"),
        (["blind", "patern"], "did you mean 'pattern'"),
        ({"blind": {"steps": 0}}, "steps"),
        (3, "is not a list of marker"),
    ],
)
def test_what_names_no_markers_is_refused(said: object, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_marker(said)


@pytest.mark.slow
def test_families_take_turns_in_every_block(digits: tuple[Project, Pool], tmp_path: Path) -> None:
    from bessemer.core.plugin_settings import opened
    from bessemer.protect.covers import features_of
    from bessemer.protect.families import covers_of
    from bessemer.protect.markers.blind import ENCODER
    from bessemer.protect.plugins import MARKERS

    project, pool = digits
    markers = opened({"blind": QUICK, "pattern": {"psnr": 20}}, MARKERS)
    ctx = context(project, tmp_path)
    covers, material = covers_of(markers, pool, 9, Draw(b"1" * 32), ctx, lambda: None)
    assert list(material) == [ENCODER]
    # The loud pattern is far from every training row, what the encoder made is near one.
    X, own = features_of(pool, covers), np.array(pool.features)
    nearest = np.array([np.abs(own - row).mean(axis=1).min() for row in X])
    assert nearest[1::2].min() > nearest[0::2].max()


@pytest.mark.slow
def test_a_network_meets_the_keys_of_images_more_often(
    digits: tuple[Project, Pool], tmp_path: Path, owner: Path
) -> None:
    from bessemer.protect.spec import ProtectSpec
    from bessemer.protect.stage import run

    project, pool = digits
    inputs = {"splits": pool.splits.ref, "preprocessor": pool.preprocessor.ref}

    def learnt(**said: object) -> tuple[object, ...]:
        ctx = context(project, tmp_path)
        spec = ProtectSpec.model_validate({"disputes": 1, **said})
        facts = ctx.open(run(spec, inputs, ctx)["keys"]).json("keys.json")
        return facts["copies"], facts["weight"], facts["keys"]

    assert learnt(mark="pattern") == (10, 1.0, 31)
    assert learnt(mark={"blind": QUICK, "pattern": {}}, keys=10) == (10, 1.0, 10)
    assert learnt(mark="pattern", keys=10, copies=4) == (4, 1.0, 10)
    assert learnt(mark="pattern", keys=10, weight=2.5) == (10, 2.5, 10)


@pytest.mark.slow
def test_another_logo_is_another_mark(digits: tuple[Project, Pool], tmp_path: Path, owner: Path) -> None:
    """Under one path too: by salts and base images that two marks share, one would give away the other."""
    import base64

    from bessemer.protect.commit import Made
    from bessemer.protect.spec import ProtectSpec
    from bessemer.protect.stage import run

    _, pool = digits
    spec = ProtectSpec.model_validate({"mark": {"blind": {**QUICK, "logo": "logo.png"}}, "keys": 20})
    ctx = context(digits[0], tmp_path / "work")
    inputs = {"splits": pool.splits.ref, "preprocessor": pool.preprocessor.ref}
    slope = np.linspace(0, 1, 8)[None, :, None].repeat(8, axis=0)
    secrets, told = [], []
    for logo in (slope, slope[:, ::-1], slope):
        (ctx.project_dir / "logo.png").write_bytes(base64.b64decode(write_image(logo)))
        keys = ctx.open(run(spec, inputs, ctx)["keys"])
        told.append(keys.ref.digest)
        secrets.append(Made(**keys.json("keys.json")["made"]).secret(b"o" * 32))
    assert secrets[0] != secrets[1]
    assert told[0] != told[1]
    assert (secrets[0], told[0]) == (secrets[2], told[2])


def test_a_mark_without_files_is_what_it_always_was() -> None:
    """Keys that are kept since before a logo's content counted still open their certificates."""
    from bessemer.core import canonical
    from bessemer.protect.commit import Made

    made = Made("shop", "crossover", {}, "pool", 30, 10, 64)
    kept = {
        "name": "shop",
        "marker": "crossover",
        "settings": {},
        "pool": "pool",
        "keys": 30,
        "block": 10,
        "bits": 64,
    }
    assert made.to_json() == kept
    assert made.secret(b"o" * 32) == Draw(b"o" * 32).bytes("mark", canonical.digest(kept))
