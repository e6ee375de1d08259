"""What features learn where most of the rows stay at an engine, and what they must learn: found in plain Python."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bessemer.acquire.spec import AcquireSpec
from bessemer.acquire.stage import run as acquire
from bessemer.annotate.spec import AnnotateSpec
from bessemer.annotate.stage import run as annotate
from bessemer.core.artifact import Artifact, ArtifactRef
from bessemer.core.canonical import dump_bytes
from bessemer.core.stage import Context
from bessemer.core.store import Store
from bessemer.prepare.assemble import assemble
from bessemer.prepare.check import check
from bessemer.prepare.fit import fit_columns
from bessemer.prepare.labelled import open_labelled
from bessemer.prepare.spec import PrepareSpec
from bessemer.prepare.stage import run as prepare
from bessemer.prepare.train_table import Folds, PartRows
from bessemer.validate.spec import ValidateSpec
from bessemer.validate.stage import run as validate

Row = dict[str, Any]
ROWS, SAMPLE = 1_200, 240
START = dt.datetime(2020, 1, 1)
CITIES = ["", "Köln", "Zürich", "it's", "東京", None, "a\\b"]
PARTS = ["train", "train", " Train", "valid", "test"]


def rows() -> list[Row]:
    """Values with their oddities: missing, empty, infinite, beyond 2**53; half of the codes are rare."""
    return [
        {
            "row": i,
            "amount": None if i % 50 == 0 else math.inf if i % 90 == 0 else (i * 37 % 201 - 100) / 8,
            "city": CITIES[(i // 4 + i % 3) % len(CITIES)],
            "code": f"c{i % 60 if i % 2 else i:04d}",
            "size": None if i % 40 == 0 else [1, 2, 2**53 + 2, -5][i // 3 % 4],
            "paid": None if i % 97 == 0 else i % 3 == 0,
            "when": None if i % 45 == 0 else START + dt.timedelta(hours=i * 7 % ROWS),
            "shop": None if i % 80 == 0 else i % 150,
            "part": PARTS[i % 5],
            "note": f"Good news number {i % 300}, and more of it",
            "kind": ["yes", "no", "no", None][i // 2 % 4] if i % 100 else "",
            "price": None if i % 60 == 7 else (i * 13 % 997) / 4 - 50,
        }
        for i in range(ROWS)
    ]


@dataclass
class Travelled:
    """Rows that came from an engine as a stream, and values that came as answers; rows that went there."""

    streamed: int = 0
    answers: list[int] = field(default_factory=list)
    brought: list[int] = field(default_factory=list)


def counted(engine: type[Any], monkeypatch: pytest.MonkeyPatch) -> Travelled:
    """Count what travels from and to every engine of a class."""
    seen = Travelled()
    batches, ask, load = engine.batches, engine.ask, engine.load

    def streamed(self: Any, sql: str) -> Iterator[pa.RecordBatch]:
        for batch in batches(self, sql):
            seen.streamed += batch.num_rows
            yield batch

    def answered(self: Any, sql: str) -> list[tuple[Any, ...]]:
        found = ask(self, sql)
        seen.answers.append(len(found))
        return found

    def loaded(self: Any, name: str, files: Any) -> str:
        seen.brought += [pq.read_metadata(file).num_rows for file in files]
        return load(self, name, files)

    monkeypatch.setattr(engine, "batches", streamed)
    monkeypatch.setattr(engine, "ask", answered)
    monkeypatch.setattr(engine, "load", loaded)
    return seen


@dataclass
class Brought:
    """The labelled sample, and the stages before."""

    folder: Path
    of: list[Row]
    refs: dict[str, ArtifactRef]

    def open(self, kind: str) -> Artifact:
        return Store(self.folder / "store").get(self.refs[kind])

    def learn(self, **settings: Any) -> Learnt:
        """The features; `settings` are the section `prepare`."""
        spec, notes = PrepareSpec.model_validate(settings), list[str]()
        refs = prepare(spec, self.refs, _context(self.folder, "prepare", {}, notes))
        made = {name: Store(self.folder / "store").get(ref) for name, ref in refs.items()}
        return Learnt(self, spec, made["splits"], made["preprocessor"], notes)


@dataclass
class Learnt:
    """What came of the stage `prepare`."""

    brought: Brought
    spec: PrepareSpec
    splits: Artifact
    preprocessor: Artifact
    notes: list[str]

    def context(self) -> Context:
        """That of the stage."""
        return _context(self.brought.folder, "prepare", {}, [])

    def rows(self, part: str) -> list[Row]:
        found: list[Row] = pq.read_table(self.splits.path(f"{part}.parquet")).to_pylist()
        return found

    def beside(self, allowed: Callable[[Row], bool]) -> list[Row]:
        """The rows that did not travel, have a label and are allowed."""
        raw = pq.read_table(self.brought.open("raw").path("data.parquet"), columns=["row"])
        sampled, meta = set(raw["row"].to_pylist()), self.brought.open("labelled").meta
        labels = meta["classes"] or {row[meta["target"]] for row in self.brought.of} - {None}
        found = [
            row for row in self.brought.of if row["row"] not in sampled and row[meta["target"]] in labels
        ]
        return [row for row in found if allowed(row)]

    def files(self) -> list[bytes]:
        names = ("preprocessor.onnx", "signature.json", "features.json")
        return [self.preprocessor.path(name).read_bytes() for name in names]

    def matrix(self, part: str) -> dict[str, np.ndarray]:
        """The features of a part."""
        names = [one["name"] for one in json.loads(self.preprocessor.path("features.json").read_text())]
        return dict(zip(names, np.load(self.splits.path(f"{part}.X.npy")).T, strict=True))


def fitted_here(learnt: Learnt, rows: list[Row], folder: Path) -> list[bytes]:
    """What DuckDB fits on these rows, as the files of a preprocessor."""
    file, schema = folder / "learnt.parquet", pq.read_schema(learnt.splits.path("train.parquet"))
    schema = pa.schema([field.with_nullable(True) for field in schema])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), file)
    ctx = _context(folder, "prepare", {}, [])
    data = replace(open_labelled(learnt.brought.open("labelled")), whole=None)
    derived = check(learnt.spec, data)
    with ctx.connect() as connection:
        part = PartRows(connection, data, file, Folds(learnt.spec.folds, 1), learnt.spec.split.by)
        made = assemble(data, fit_columns(learnt.spec, data, derived, part, ctx), derived)
    return [made.graph, dump_bytes(made.signature.to_json()), dump_bytes(made.features_json())]


def _context(folder: Path, stage: str, shared: Mapping[str, Any], notes: list[str]) -> Context:
    work = folder / "work" / stage
    work.mkdir(parents=True, exist_ok=True)

    def tell(kind: str, data: Mapping[str, Any]) -> None:
        if kind == "note":
            notes.append(data["text"])

    return Context(Store(folder / "store"), stage, shared, 7, folder, work, memory=2**30, emit=tell)


def bring(
    folder: Path,
    engine: Mapping[str, Any],
    of: list[Row],
    target: str = "kind",
    contract: str = "",
    sample: int = SAMPLE,
) -> Brought:
    """From the sources to the labelled sample, stage by stage."""
    folder.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(of), folder / "sales.parquet")
    if contract:
        (folder / "contract.yaml").write_text(contract, "utf-8")
    given = {
        "sources": {"sales": {"parquet": "sales.parquet"}}, "sql": "select * from sales", "sample": sample,
        "engine": dict(engine),
    }  # fmt: skip
    shared, refs = {"target": target}, dict[str, ArtifactRef]()
    refs |= acquire(AcquireSpec.model_validate(given), refs, _context(folder, "acquire", shared, []))
    refs |= validate(ValidateSpec(quarantine=0.9), refs, _context(folder, "validate", shared, []))
    refs |= annotate(AnnotateSpec(), refs, _context(folder, "annotate", shared, []))
    return Brought(folder, of, refs)


def anyone(learnt: Learnt) -> Callable[[Row], bool]:
    return lambda row: True


def _earlier(learnt: Learnt) -> Callable[[Row], bool]:
    cut = min(row["when"] for row in learnt.rows("valid"))
    return lambda row: row["when"] is None or row["when"] < cut


def _other_groups(learnt: Learnt) -> Callable[[Row], bool]:
    judging = {row["shop"] for part in ("valid", "test") for row in learnt.rows(part)}
    return lambda row: row["shop"] not in judging


def _given(learnt: Learnt) -> Callable[[Row], bool]:
    return lambda row: row["part"].strip().lower() == "train"


#: Method -> what the project says, and which of the rows that did not travel it lets learn.
SPLITS: dict[str, tuple[dict[str, str], Callable[[Learnt], Callable[[Row], bool]]]] = {
    "stratified": ({"method": "stratified"}, anyone),
    "time": ({"by": "when"}, _earlier),
    "group": ({"group": "shop"}, _other_groups),
    "given": ({"given": "part"}, _given),
}
