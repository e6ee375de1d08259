"""Folders of Hugging Face's datasets: what `save_to_disk` wrote, and repositories as they lie on the Hub.

Nothing comes from the network, and no code of a dataset runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from bessemer.acquire.files import digest_of, shown
from bessemer.acquire.options import PathText
from bessemer.acquire.protocol import Place, Relation
from bessemer.acquire.reading import Columns, chosen, nearest, told
from bessemer.acquire.remote import is_remote
from bessemer.core.errors import DataError, did_you_mean
from bessemer.core.spec import Spec

if TYPE_CHECKING:
    import pyarrow as pa

    from bessemer.core.stage import Context

_ROWS = 10_000
_FIX = "load the folder with `datasets` itself to see what is wrong with it"
#: Features whose values are media: bytes, and the path they came from.
_MEDIA = ("Image", "Audio", "Video", "Pdf", "Nifti")


class DatasetsSource(Spec):
    datasets: PathText = Field(
        description="The folder of a dataset: of `save_to_disk`, or a clone of a repository of the Hub."
    )
    split: str | None = Field(
        default=None, min_length=1, description="The split to read; needed where there are several."
    )
    config: str | None = Field(
        default=None,
        min_length=1,
        description="The configuration of a repository's README; needed where there are several.",
    )
    columns: Columns = ()


class Datasets:
    """One split. Labels become their names; of images, sounds and videos the path stays, their bytes are left out."""

    def __init__(self, name: str, options: DatasetsSource) -> None:
        self.name, self.options = name, options

    def uri(self) -> str:
        return shown(self.options.datasets)

    def fingerprint(self, place: Place) -> str:
        folder = self._folder(place.project_dir)
        files = [f for f in sorted(folder.rglob("*")) if f.is_file() and not _hidden(f, folder)]
        rows = [f"{f.relative_to(folder).as_posix()} {digest_of(f, place)}" for f in files]
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()

    def open(self, connection: Any, ctx: Context) -> Relation:
        return Relation(batches=self._batches(ctx))

    def _batches(self, ctx: Context) -> Iterator[pa.RecordBatch]:
        folder = self._folder(ctx.project_dir)
        with told(self.uri(), _FIX), _offline():
            found = self._saved(folder) if _is_saved(folder) else self._repository(folder, ctx)
            names = chosen(self.options.columns, list(found.features), self.uri())
            features = {name: found.features[name] for name in names}
            if media := [name for name, feature in features.items() if _is_media(feature)]:
                ctx.warn(f"left out the bytes of {', '.join(media)}: the paths stay")
            # Arrow's own values: nothing is decoded.
            for table in found.select_columns(names).with_format("arrow").iter(batch_size=_ROWS):
                for batch in table.to_batches():
                    yield _plain(batch, features, folder)

    def _folder(self, project_dir: Path) -> Path:
        path = self.options.datasets
        if is_remote(path):
            raise DataError(f"'{path}' is not on this machine", fix="copy the folder here, and give its path")
        folder = (project_dir / Path(path.removeprefix("file://")).expanduser()).absolute()
        if not folder.is_dir():
            raise DataError(f"no folder '{path}'", why=f"looked for {folder}", fix=nearest(folder))
        return folder

    def _saved(self, folder: Path) -> Any:
        from datasets import DatasetDict, load_from_disk

        if self.options.config is not None:
            raise DataError(
                f"'{self.uri()}' has no configurations",
                why="it is of `save_to_disk`",
                fix="leave `config` out",
            )
        found = load_from_disk(str(folder))
        if isinstance(found, DatasetDict):
            return found[self._one("split", self.options.split, list(found))]
        if self.options.split not in (None, str(found.split)):
            raise DataError(
                f"'{self.uri()}' has no splits", why="it is a single dataset", fix="leave `split` out"
            )
        return found

    def _repository(self, folder: Path, ctx: Context) -> Any:
        """A split as a stream: its files are read where they are."""
        from datasets import get_dataset_config_names, load_dataset, load_dataset_builder

        config = self._one("config", self.options.config, get_dataset_config_names(str(folder)))
        cache = str(ctx.workdir / "datasets")
        builder = load_dataset_builder(str(folder), config, cache_dir=cache)
        listed = {str(split): files for split, files in (builder.config.data_files or {}).items()}
        for file in (file for files in listed.values() for file in files):
            if "://" in file.replace("file://", "") or not Path(file).resolve().is_relative_to(
                folder.resolve()
            ):
                raise DataError(
                    f"'{self.uri()}' names a file that is not in it: {file}",
                    fix="copy it into the folder, and name it there",
                )
        split = self._one("split", self.options.split, list(listed))
        found = load_dataset(str(folder), config, split=split, streaming=True, cache_dir=cache)
        return found if found.features else found._resolve_features()

    def _one(self, what: str, wanted: str | None, there: Sequence[str]) -> str:
        """The one that is asked for, or the only one."""
        if wanted in there or (wanted is None and len(there) == 1):
            return wanted or there[0]
        if wanted is None:
            raise DataError(
                f"'{self.uri()}' has {len(there)} {what}s, and none is named",
                fix=f"`{what}:` one of {', '.join(there)}",
            )
        raise DataError(f"'{self.uri()}' has no {what} '{wanted}'", fix=did_you_mean(wanted, there))


def _is_saved(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("dataset_dict.json", "state.json"))


def _hidden(file: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in file.relative_to(folder).parts)


@contextmanager
def _offline() -> Iterator[None]:
    """The library asks nobody meanwhile, and draws no bars."""
    import datasets
    import huggingface_hub.constants as hub

    before, bars = (datasets.config.HF_HUB_OFFLINE, hub.HF_HUB_OFFLINE), datasets.are_progress_bars_disabled()
    datasets.config.HF_HUB_OFFLINE = hub.HF_HUB_OFFLINE = True
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE, hub.HF_HUB_OFFLINE = before
        if not bars:
            datasets.enable_progress_bars()


def _is_media(feature: Any) -> bool:
    return type(feature).__name__ in _MEDIA


def _plain(batch: pa.RecordBatch, features: dict[str, Any], folder: Path) -> pa.RecordBatch:
    import pyarrow as pa

    columns = [_column(batch.column(name), feature, folder) for name, feature in features.items()]
    return pa.record_batch(columns, names=list(features))


def _column(values: pa.Array, feature: Any, folder: Path) -> pa.Array:
    """A label by its name, of media the path, relative where it is in the folder."""
    import pyarrow as pa

    if _is_media(feature):
        paths = values.field("path").to_pylist() if pa.types.is_struct(values.type) else values.to_pylist()
        return pa.array([path and _relative(path, folder) for path in paths], pa.string())
    if type(feature).__name__ == "ClassLabel":
        names = feature.names
        labels = [names[i] if i is not None and 0 <= i < len(names) else None for i in values.to_pylist()]
        return pa.array(labels, pa.string())
    return values


def _relative(path: str, folder: Path) -> str:
    return path.removeprefix(f"{folder}/")
