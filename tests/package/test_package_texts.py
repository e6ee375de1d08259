"""Texts that were seen before are looked up: the numbers stay those of the graph, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bessemer.package.feeds import to_feeds
from bessemer.package.front import Front
from bessemer.package.session import GraphSession
from bessemer.package.texts import Texts


def spy(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows were looked up, a number a call that found all of them."""
    found: list[int] = []
    find = Texts.find

    def noted(self: Texts, feeds: Any) -> Any:
        made = find(self, feeds)
        if made is not None:
            found.append(len(next(iter(made.values()))))
        return made

    monkeypatch.setattr(Texts, "find", noted)
    return found


def test_what_is_looked_up_is_what_the_graph_makes(
    model_of: Any, make_rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = model_of.signature.inputs
    texts = [field.name for field in fields if field.tensor == "string"]
    feeds = to_feeds(make_rows(300), fields)
    rng = np.random.default_rng(3)
    for name in texts:  # values the model was not trained on, and missing ones
        odd = rng.choice(np.array(["", "never seen", "Ünseen", "a" * 300], dtype=object), 300)
        feeds[name] = np.where(rng.random((300, 1)) < 0.2, odd.reshape(-1, 1), feeds[name])
    outputs = [field.name for field in model_of.signature.outputs]
    found = spy(monkeypatch)
    session = GraphSession(model_of.model, fields)
    with monkeypatch.context() as without:
        without.setattr(Front, "_computed", lambda self, feeds: self._session.run_feeds(feeds, self._others))
        plain = GraphSession(model_of.model, fields)
        wanted = plain.run_feeds(feeds, ["features", *outputs])
    for step in (1, 7):
        for start in range(0, 300, step):
            part = {name: array[start : start + step] for name, array in feeds.items()}
            made = session.run_feeds(part, ["features", *outputs])
            for name, array in made.items():
                np.testing.assert_array_equal(array, wanted[name][start : start + step])
    halves = session._two
    if halves is not None and halves.front._texts is not None:
        assert sum(found) > 300, "nearly all were seen before"


def test_the_memory_is_bounded_and_new_texts_go_to_the_graph() -> None:
    texts = Texts({"wide": "name"})
    for start in range(0, 8192, 512):
        names = np.array([[f"n{i}"] for i in range(start, start + 512)], dtype=object)
        values = np.arange(start, start + 512, dtype=np.float32).reshape(-1, 1)
        texts.learn({"name": names}, {"wide": values})
    known = texts.find({"name": np.array([["n8191"], ["n4096"]], dtype=object)})
    assert known is not None, "it starts again when it is full"
    assert known["wide"].tolist() == [[8191.0], [4096.0]]
    assert texts.find({"name": np.array([["n4095"]], dtype=object)}) is None
    broad = Texts({"wide": "name"})
    names = np.array([[f"n{i}"] for i in range(40)], dtype=object)
    broad.learn({"name": names}, {"wide": np.zeros((40, 1 << 16), dtype=np.float32)})
    places, tables = broad._known
    assert len(places["name"]) == len(tables["wide"]) == 15, "4 MB"


def test_long_texts_are_not_kept_and_others_beside_them_are() -> None:
    texts = Texts({"wide": "name"})
    names = np.array([["x" * 257], ["y" * 256]], dtype=object)
    texts.learn({"name": names}, {"wide": np.float32([[1], [2]])})
    assert texts.find({"name": names[:1]}) is None
    known = texts.find({"name": names[1:]})
    assert known is not None
    assert known["wide"].tolist() == [[2.0]]


def test_one_text_starts_again_without_the_other() -> None:
    texts = Texts({"a1": "a", "a2": "a", "b1": "b"})
    for start in range(0, 5000, 500):
        number = np.arange(start, start + 500)
        names = np.array([[f"n{i}"] for i in number], dtype=object)
        same = np.array([["same"]] * 500, dtype=object)
        wide = number.astype(np.float32)[:, None]
        texts.learn({"a": names, "b": same}, {"a1": wide, "a2": wide + 1, "b1": wide * 0 + 7})
    asked = {"a": np.array([["n4999"], ["n4000"]], dtype=object), "b": np.array([["same"]] * 2, dtype=object)}
    known = texts.find(asked)
    assert known is not None
    assert {name: values.ravel().tolist() for name, values in known.items()} == {
        "a1": [4999, 4000],
        "a2": [5000, 4001],
        "b1": [7, 7],
    }
