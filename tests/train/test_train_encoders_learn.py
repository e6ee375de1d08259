"""Every encoder learns something real of its kind, better than a line or the most frequent class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from network_support import DIGITS, some

from bessemer.core.blocks import Block
from bessemer.testing.learners import callbacks, problem
from bessemer.train.learner import Part, Problem
from bessemer.train.learners.network import Network
from bessemer.train.metrics import Metric
from bessemer.train.params import resolved

pytestmark = pytest.mark.slow

_LENGTH, _WORDS = 24, 500


def margins(
    of: Problem, train: Part, valid: Part, test: Part, place: Path, params: Mapping[str, Any]
) -> np.ndarray:
    asked = resolved(Network.PARAMS, {"check": "none", **params})
    return Network().fit(of, train, valid, asked, callbacks(place, rounds=1000)).margin(test.X)


@pytest.mark.parametrize(
    ("encoder", "rate"),
    [
        ({"convnet": {"width": 8, "stages": 2}}, 0.003),
        ({"resnet": {"depth": 10, "width": 8}}, 0.003),
        ({"vit": {"dim": 32, "layers": 2, "stem": 1}}, 0.003),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_images(encoder: dict[str, Any], rate: float, tmp_path: Path) -> None:
    train, valid, test = some(0, 800), some(800, 1000), some(1000, 1797)
    params = {"image_encoder": encoder, "epochs": 10, "batch_size": 32, "learning_rate": rate}
    found = margins(DIGITS, train, valid, test, tmp_path, params)
    assert (found.argmax(1) == test.y).mean() > 0.93


def descriptions() -> tuple[Part, Part, Part, Problem]:
    """What functions of SciPy (BSD-3-Clause) say of themselves, as ids of words; the class is the module that they are
    in. It stands in a file, so that another version of SciPy changes nothing."""
    lines = (Path(__file__).parent / "data" / "summaries.tsv").read_text(encoding="utf-8").splitlines()
    said = [line.split("\t") for line in lines]
    texts = [(words.split(), ("linalg", "signal", "stats").index(module)) for module, words in said]
    texts = [texts[i] for i in np.random.default_rng(0).permutation(len(texts))]
    train = len(texts) * 7 // 10
    counts = Counter(word for words, _ in texts[:train] for word in words)
    ids = {word: i for i, (word, _) in enumerate(counts.most_common(_WORDS), start=2)}
    X = np.zeros((len(texts), _LENGTH), dtype=np.float32)
    for row, (words, _) in zip(X, texts, strict=True):
        row[: len(words)] = [ids.get(word, 1) for word in words[:_LENGTH]]
    y = np.array([i for _, i in texts], dtype=np.float64)
    block = Block("text", "tokens", 0, _LENGTH, (_LENGTH,), _WORDS + 2)
    cuts = (slice(0, train), slice(train, train + 60), slice(train + 60, None))
    first, second, third = (Part(X[cut], y[cut]) for cut in cuts)
    return first, second, third, Problem("multiclass", 3, Metric("multiclass", "log_loss"), blocks=(block,))


@pytest.mark.parametrize("encoder", ["text_cnn", "transformer"])
def test_texts(encoder: str, tmp_path: Path) -> None:
    train, valid, test, of = descriptions()
    settings = {"dim": 32, **({"filters": 24} if encoder == "text_cnn" else {"layers": 1})}
    params = {"text_encoder": {encoder: settings}, "epochs": 12, "batch_size": 16, "learning_rate": 0.004}
    found = margins(of, train, valid, test, tmp_path, params)
    most = np.bincount(test.y.astype(int)).max() / len(test)
    assert (found.argmax(1) == test.y).mean() > most + 0.15


@pytest.mark.parametrize(
    "encoder",
    [{"mlp": {"size": 64}}, {"ft_transformer": {"dim": 16, "layers": 1, "heads": 2}}],
    ids=lambda value: next(iter(value)),
)
def test_tables(encoder: dict[str, Any], tmp_path: Path) -> None:
    """Three wines, with missing values; one cut of one feature tells two of them apart at best."""
    from sklearn.datasets import load_wine
    from sklearn.tree import DecisionTreeClassifier

    X, y = load_wine(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(y))
    X, y = X[order].astype(np.float32), y[order].astype(np.float64)
    X[::9, 3] = np.nan
    train, valid, test = (Part(X[cut], y[cut]) for cut in (slice(0, 90), slice(90, 120), slice(120, None)))
    of = problem("multiclass")
    params = {"table_encoder": encoder, "epochs": 30, "batch_size": 16, "learning_rate": 0.004}
    found = margins(Problem("multiclass", 3, of.metric), train, valid, test, tmp_path, params)
    stump = DecisionTreeClassifier(max_depth=1).fit(train.X, train.y)
    assert (found.argmax(1) == test.y).mean() > stump.score(test.X, test.y) + 0.2
