"""Folders of images: rows of facts, classes by folder, tables beside them, broken files set aside with the reason."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pydantic import ValidationError

from bessemer.acquire.imagefiles import files_in
from bessemer.acquire.sources import images as images_module
from bessemer.acquire.sources.images import ImagesSource
from bessemer.acquire.spec import AcquireSpec
from bessemer.acquire.stage import fingerprint, run
from bessemer.core.errors import DataError, ProjectError
from bessemer.core.stage import Context
from bessemer.core.store import Store


def image(file: Path, size: tuple[int, int] = (4, 3), mode: str = "RGB", colour: int = 0) -> bytes:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(file)
    return file.read_bytes()


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    for i, name in enumerate(
        ("cat/1.png", "cat/2.jpg", "dog/1.gif", "dog/deep/2.webp", "dog/3.BMP", "dog/4.tiff")
    ):
        image(tmp_path / "pets" / name, (4 + i, 3), "L" if name.endswith("gif") else "RGB")
    image(tmp_path / "pets" / ".hidden" / "1.png")
    (tmp_path / "pets" / "notes.txt").write_text("not an image")
    return tmp_path


def landed(options: dict[str, Any], folder: Path) -> tuple[pa.Table, list[str]]:
    """What lands of a source, and what the user is warned of."""
    warnings: list[str] = []
    (folder / "w").mkdir(exist_ok=True)
    told = lambda kind, data: warnings.append(data["text"]) if kind == "warning" else None  # noqa: E731
    ctx = Context(Store(folder / "store"), "acquire", {}, 7, folder, folder / "w", emit=told)
    spec = AcquireSpec.model_validate({"sources": {"data": options}})
    return pq.read_table(ctx.open(run(spec, {}, ctx)["raw"]).path("data.parquet")), warnings


def test_a_row_an_image_with_its_class_and_facts(pets: Path) -> None:
    found, warnings = landed({"images": "pets"}, pets)
    assert found["path"].to_pylist() == [
        "cat/1.png", "cat/2.jpg", "dog/1.gif", "dog/3.BMP", "dog/4.tiff", "dog/deep/2.webp"
    ]  # fmt: skip
    assert found["label"].to_pylist() == ["cat", "cat", "dog", "dog", "dog", "deep"]
    assert found["format"].to_pylist() == ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]
    assert found["width"].to_pylist() == [4, 5, 6, 8, 9, 7]
    assert set(found["height"].to_pylist()) == {3}
    for row in found.to_pylist():
        content = (pets / "pets" / row["path"]).read_bytes()
        assert (row["size"], row["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert not warnings


def test_many_images_keep_their_order(tmp_path: Path) -> None:
    content = image(tmp_path / "flat" / "0000.png")
    for i in range(700):
        (tmp_path / "flat" / f"{i:04d}.png").write_bytes(content)
    found, _ = landed({"images": "flat"}, tmp_path)
    assert found["path"].to_pylist() == [f"{i:04d}.png" for i in range(700)]
    assert "label" not in found.column_names


def test_content_is_written_before_there_is_much_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(20):
        image(tmp_path / "many" / f"{i:03}.png")
    size = (tmp_path / "many" / "000.png").stat().st_size
    monkeypatch.setattr(images_module, "_BYTES", 4 * len(base64.b64encode(bytes(size))))
    options = ImagesSource.model_validate({"images": str(tmp_path / "many"), "bytes": True})
    files, _ = files_in(str(tmp_path / "many"), tmp_path)
    ctx = Context(Store(tmp_path / "store"), "acquire", {}, 7, tmp_path, tmp_path)
    reader = images_module._Reader(options, "images", ctx, False)
    assert [batch.num_rows for batch in reader.batches(files)] == [0, 4, 4, 4, 4, 4, 0]


def test_more_pixels_than_pillow_decodes_cannot_be_asked_for() -> None:
    with pytest.raises(ValidationError, match="178956970"):
        ImagesSource.model_validate({"images": "many", "max_pixels": 2 * Image.MAX_IMAGE_PIXELS + 1})
    assert ImagesSource.model_validate({"images": "many", "max_pixels": 2 * Image.MAX_IMAGE_PIXELS})


def break_some(folder: Path) -> None:
    whole = image(folder / "cat" / "cut.png", (200, 200), colour=7)
    (folder / "cat" / "cut.png").write_bytes(whole[: len(whole) // 2])
    photo = image(folder / "cat" / "cut.jpg", (300, 300))
    (folder / "cat" / "cut.jpg").write_bytes(photo[:-400])
    (folder / "cat" / "text.png").write_text("no image at all")
    (folder / "cat" / "empty.png").write_bytes(b"")
    (folder / "cat" / "script.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")
    image(folder / "cat" / "huge.png", (2000, 1000), "1")
    (folder / "cat" / "long.bmp").write_bytes(image(folder / "cat" / "long.bmp", (400, 400)))


BROKEN = {
    "cat/cut.png": "cut",
    "cat/cut.jpg": "cut",
    "cat/text.png": "no image of a known format",
    "cat/empty.png": "empty",
    "cat/script.png": "no image of a known format",
    "cat/huge.png": "more than 1,000,000 pixels",
    "cat/long.bmp": "more than 0 MB",
}


def test_broken_files_are_left_out_and_told_of(pets: Path) -> None:
    break_some(pets / "pets")
    options = {"images": "pets", "max_pixels": 1_000_000, "max_size": "300KB"}
    found, warnings = landed(options, pets)
    assert found.num_rows == 6
    (said,) = warnings
    assert "7 of 13 images are broken and left out" in said
    assert "2 cut" in said
    assert "2 no image of a known format" in said


def test_broken_files_are_kept_with_the_reason_where_that_is_asked_for(pets: Path) -> None:
    break_some(pets / "pets")
    options = {"images": "pets", "max_pixels": 1_000_000, "max_size": "300KB", "broken": "keep"}
    found, _ = landed(options, pets)
    faults = {row["path"]: row["fault"] for row in found.to_pylist() if row["fault"]}
    assert faults == BROKEN
    assert all((row["width"] is None) == (row["fault"] is not None) for row in found.to_pylist())


def test_broken_files_are_an_error_where_that_is_asked_for_or_none_is_whole(
    pets: Path, tmp_path: Path
) -> None:
    (pets / "pets" / "cat" / "1.png").write_text("x")
    with pytest.raises(DataError, match=r"'cat/1\.png' in 'pets' is broken"):
        landed({"images": "pets", "broken": "refuse"}, pets)
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "a.png").write_text("x")
    with pytest.raises(DataError, match="none of the 1 images"):
        landed({"images": "none"}, tmp_path)


@pytest.mark.slow
def test_a_decompression_bomb_is_not_decoded(tmp_path: Path) -> None:
    bomb = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(bomb, "PNG")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "bomb.png").write_bytes(bomb.getvalue())
    image(tmp_path / "b" / "ok.png")
    found, (said,) = landed({"images": "b"}, tmp_path)
    assert found["path"].to_pylist() == ["ok.png"]
    assert "more than 100,000,000 pixels" in said


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_tables_beside_the_images_add_their_columns(ending: str, tmp_path: Path) -> None:
    for name in ("1.png", "2.png", "3.png"):
        image(tmp_path / "x" / "train" / name)
    file = tmp_path / "x" / "train" / f"metadata.{ending}"
    table = pa.table({"file_name": ["2.png", "1.png", "9.png"], "label": ["b", "a", "c"], "age": [7, 8, 9]})
    if ending == "csv":
        file.write_text("file_name,label,age\n2.png,b,7\n1.png,a,8\n9.png,c,9\n")
    elif ending == "jsonl":
        file.write_text(
            "".join(
                f'{{"file_name": "{n}.png", "label": "{v}", "age": {a}}}\n'
                for n, v, a in ((2, "b", 7), (1, "a", 8), (9, "c", 9))
            )
        )
    else:
        pq.write_table(table, file)
    found, (said,) = landed({"images": "x"}, tmp_path)
    assert found["path"].to_pylist() == ["train/1.png", "train/2.png", "train/3.png"]
    assert found["label"].to_pylist() == ["a", "b", None]
    assert found["age"].to_pylist() == [8, 7, None]
    assert "1 rows of the tables beside the images have no image, such as 'train/9.png'" in said


def test_a_table_without_file_name_is_an_error(tmp_path: Path) -> None:
    image(tmp_path / "x" / "1.png")
    (tmp_path / "x" / "metadata.csv").write_text("filename,age\n1.png,7\n")
    with pytest.raises(DataError, match="no column 'file_name'") as caught:
        landed({"images": "x"}, tmp_path)
    assert "filename" in str(caught.value)


def test_an_archive_and_a_bucket_give_what_the_folder_gives(pets: Path) -> None:
    expected = landed({"images": "pets"}, pets)[0]
    files = [f for f in (pets / "pets").rglob("*") if f.is_file()]
    with zipfile.ZipFile(pets / "pets.zip", "w") as packed:
        for file in files:
            packed.write(file, file.relative_to(pets / "pets").as_posix())
    assert landed({"images": "pets.zip"}, pets)[0].equals(expected)
    memory = fsspec.filesystem("memory")
    for file in files:
        memory.pipe_file(f"/zoo/{file.relative_to(pets / 'pets').as_posix()}", file.read_bytes())
    try:
        assert landed({"images": "memory://zoo"}, pets)[0].equals(expected)
    finally:
        memory.rm("/zoo", recursive=True)


def test_the_fingerprint_is_of_names_and_content(pets: Path) -> None:
    for where in ("pets", "pets.zip"):
        spec = AcquireSpec.model_validate({"sources": {"data": {"images": where}}})
        seen = []
        for step in range(3):
            if step == 1:
                image(pets / "pets" / "cat" / "1.png", (9, 9))
            if step == 2:
                (pets / "pets" / "cat" / "1.png").rename(pets / "pets" / "cat" / f"{where}.png")
            with zipfile.ZipFile(pets / "pets.zip", "w") as packed:
                for file in sorted((pets / "pets").rglob("*.png")):
                    packed.write(file, file.relative_to(pets / "pets").as_posix())
            seen.append(fingerprint(spec, pets)["source data"])
            assert fingerprint(spec, pets)["source data"] == seen[-1]
        assert len(set(seen)) == 3
        image(pets / "pets" / "cat" / "1.png")


def test_the_files_themselves_land_as_base64_of_png_or_jpeg(pets: Path) -> None:
    found, _ = landed({"images": "pets", "bytes": True}, pets)
    assert found.schema.field("image").type == pa.string()
    for row in found.to_pylist():
        content = base64.b64decode(row["image"])
        with Image.open(io.BytesIO(content), formats=["PNG", "JPEG"]) as shown:
            assert shown.size == (row["width"], row["height"])
        if row["format"] == "PNG" or (row["format"], row["mode"]) == ("JPEG", "RGB"):
            assert content == (pets / "pets" / row["path"]).read_bytes()
    assert {"GIF", "PNG"} <= set(found["format"].to_pylist())


def test_a_jpeg_that_models_do_not_decode_lands_as_png(tmp_path: Path) -> None:
    image(tmp_path / "x" / "1.jpg", mode="CMYK")
    image(tmp_path / "x" / "2.jpg", mode="L")
    image(tmp_path / "x" / "3.jpg", mode="RGB")
    found, _ = landed({"images": "x", "bytes": True}, tmp_path)
    assert [text[:4] for text in found["image"].to_pylist()] == ["iVBO", "iVBO", "/9j/"]


def test_grey_of_sixteen_bits_lands_as_it_is_and_other_numbers_are_broken(tmp_path: Path) -> None:
    """Pillow's conversion to colours would clip all of them at 255: white images."""
    (tmp_path / "x").mkdir()
    deep = (np.arange(64) * 1000).reshape(8, 8)
    Image.fromarray(deep.astype(np.uint16)).save(tmp_path / "x" / "1.tiff")
    Image.fromarray(deep.astype(np.int32)).save(tmp_path / "x" / "2.tiff")
    Image.fromarray(deep.astype(np.float32)).save(tmp_path / "x" / "3.tiff")
    Image.fromarray(deep.astype(">u2")).save(tmp_path / "x" / "4.tiff")
    found, _ = landed({"images": "x", "bytes": True, "broken": "keep"}, tmp_path)
    for row in (0, 3):
        with Image.open(io.BytesIO(base64.b64decode(found["image"][row].as_py()))) as shown:
            assert shown.format == "PNG"
            assert np.array_equal(np.asarray(shown), deep)
    whole, real = (found["fault"][row].as_py() for row in (1, 2))
    assert whole.startswith("pixels that are 32-bit whole numbers")
    assert real.startswith("pixels that are float numbers")
    assert found["image"][1].as_py() is None


def test_what_is_not_there_is_named(pets: Path) -> None:
    (pets / "none").mkdir()
    for where, said in (("pest", "pets"), ("none", "no images"), ("pest.zip", "no file 'pest.zip'")):
        with pytest.raises(DataError) as caught:
            landed({"images": where}, pets)
        assert said in str(caught.value)


def parquet_of_bytes(folder: Path) -> bytes:
    content = image(folder / "one.png")
    table = pa.table({"photo": pa.array([content, None], pa.binary()), "kind": ["cat", "dog"]})
    pq.write_table(table, folder / "rows.parquet")
    return content


def acquired(folder: Path, **keys: Any) -> tuple[pa.Table, list[str]]:
    said: list[str] = []
    ctx = Context(
        Store(folder / "store"), "acquire", {}, 7, folder, folder,
        emit=lambda kind, data: said.append(data["text"]) if kind == "warning" else None,
    )  # fmt: skip
    spec = AcquireSpec.model_validate({"sources": {"rows": {"parquet": "rows.parquet"}}, **keys})
    return pq.read_table(ctx.open(run(spec, {}, ctx)["raw"]).path("data.parquet")), said


def test_a_binary_column_lands_as_base64_where_it_is_named(tmp_path: Path) -> None:
    content = parquet_of_bytes(tmp_path)
    found, said = acquired(tmp_path, images=["photo"])
    assert found["photo"].to_pylist() == [base64.b64encode(content).decode(), None]
    assert not said
    again, _ = acquired(tmp_path, images=["photo"], sql="select kind, 1 as one, photo from rows")
    assert again["photo"].to_pylist() == found["photo"].to_pylist()


def test_other_binary_columns_are_left_out_with_a_hint(tmp_path: Path) -> None:
    parquet_of_bytes(tmp_path)
    found, said = acquired(tmp_path, sql="select *, 1 as one from rows")
    assert found.column_names == ["kind", "one"]
    assert said == ["left out binary column: photo; if they are images: `acquire: {images: [photo]}`"]


@pytest.mark.parametrize(
    ("name", "why"), [("foto", "no column 'foto'"), ("kinds", "no column 'kinds'"), ("one", "is a INTEGER")]
)
def test_a_column_that_holds_no_images_is_named(tmp_path: Path, name: str, why: str) -> None:
    parquet_of_bytes(tmp_path)
    with pytest.raises(ProjectError, match=why) as caught:
        acquired(tmp_path, images=[name], sql="select *, 1 as one from rows")
    assert caught.value.faults[0].path == "acquire.images.0"


def test_images_of_columns_need_the_embedded_engine() -> None:
    with pytest.raises(ValidationError, match="needs the engine duckdb"):
        AcquireSpec.model_validate(
            {"sources": {"a": {"csv": "a.csv"}}, "engine": "spark", "images": ["photo"]}
        )
