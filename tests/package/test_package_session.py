"""The two ways to run a graph agree bit for bit, and answer what was asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bessemer.core.errors import UsageError
from bessemer.core.signature import Field
from bessemer.package import head as head_module
from bessemer.package import session as session_module
from bessemer.package.cut import find_cut
from bessemer.package.feeds import to_feeds
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.package.session import GraphSession

OUTPUTS = ["features", "score", "prediction"]


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].dtype == b[name].dtype
        assert a[name].shape == b[name].shape
        if a[name].dtype == object:
            assert a[name].tolist() == b[name].tolist()
        else:
            np.testing.assert_array_equal(a[name], b[name], strict=True)


def test_cut_and_whole_and_plain_onnxruntime_agree(model_of: Any) -> None:
    session = GraphSession(model_of.model, model_of.signature.inputs)
    feeds = to_feeds(model_of.table, model_of.signature.inputs)
    cut = session.run(model_of.table, OUTPUTS)
    same(cut, session.run_feeds(feeds, OUTPUTS))
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1  # more threads add up the trees in another order
    plain = ort.InferenceSession(model_of.model, options).run(["score", "prediction"], feeds)
    np.testing.assert_array_equal(plain[0], cut["score"])
    assert plain[1].tolist() == cut["prediction"].tolist()


texts = st.one_of(st.none(), st.text(max_size=6), st.sampled_from(["Bern", "", "urgent", "東京"]))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=150), st.booleans())
def test_any_texts_give_the_same_both_ways(pairs: list[tuple[str | None, str | None]], coded: bool) -> None:
    session = TEXTS
    city, note = (pa.array(column, pa.string()) for column in zip(*pairs, strict=True))
    if coded:
        city = city.dictionary_encode()
    table = pa.table({"city": city, "note": note})
    feeds = to_feeds(table, session.inputs)
    cut = session._cut_session(("features",))
    assert cut is not None
    found = cut.run({"city": city, "note": note}, session.inputs)
    assert found is not None
    same({"features": found[0]}, session.run_feeds(feeds, ["features"]))
    same(session.run(table, ["features"]), session.run_feeds(feeds, ["features"]))


def _text_session() -> GraphSession:
    """Case folding, words, tables, a value of two texts, and one that counts rows by `Shape`."""
    fields = [Field("city", "string", "string"), Field("note", "string", "string")]
    g = GraphBuilder("texts")
    for field in fields:
        g.input(field.name, "string", ("N", 1))
    flat = g.op("Reshape", ["note", g.constant(np.array([-1], dtype=np.int64))])
    lower = g.op("StringNormalizer", [flat], case_change_action="LOWER", locale="C")
    words, count = g.op_many("StringSplit", [lower], 2)
    found = g.op("Equal", [words, g.constant(np.array(["urgent"], dtype=object))])
    urgent = g.op(
        "ReduceMax", [g.cast(found, "float32"), g.constant(np.array([1], dtype=np.int64))], keepdims=1
    )
    column = g.constant(np.array([-1, 1], dtype=np.int64))
    words_counted = g.op("Reshape", [g.cast(count, "float32"), column])
    rank = g.op(
        "LabelEncoder",
        ["city"],
        domain="ai.onnx.ml",
        keys_strings=["Bern", "東京", ""],
        values_floats=[1.0, 2.0, 3.0],
        default_float=-1.0,
    )
    both = g.cast(g.op("Equal", ["city", "note"]), "float32")
    ones = g.cast(g.op("ConstantOfShape", [g.op("Shape", ["city"])]), "float32")
    g.op("Concat", [urgent, words_counted, rank, both, ones], name="features", axis=1)
    g.output("features", "float32", ("N", 5))
    return GraphSession(g.model(), fields)


TEXTS = _text_session()


def test_texts_alone_are_cut_and_shared_values_are_not(make_trained: Any) -> None:
    model = onnx.load_model_from_string(make_trained("binary", "linear").model)
    frontier = find_cut(model, ["features"]).frontier
    assert set(frontier.values()) == {"city", "note"}
    assert frontier["city_features"] == "city"
    assert frontier["note_features"] == "note"


def test_only_what_is_asked_for_is_run(make_trained: Any) -> None:
    made = make_trained("binary", "lightgbm")
    session = GraphSession(made.model, made.signature.inputs)
    session.run(made.table, ["features"])
    cut = session._cut_session(("features",))
    assert cut is not None
    assert cut.whole is not None
    assert [o.name for o in cut.whole.session.get_outputs()] == ["features"]


def test_a_heavy_graph_is_loaded_once_and_says_the_same(
    model_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = GraphSession(model_of.model, model_of.signature.inputs)
    feeds = to_feeds(model_of.table, model_of.signature.inputs)
    asked = (OUTPUTS, ["prediction"], ["score"], ["features"])
    expected = [whole.run(model_of.table, outputs) for outputs in asked]
    opened = []
    open_session = session_module.open_session
    monkeypatch.setattr(session_module, "HEAVY", 1)
    monkeypatch.setattr(head_module, "HEAVY", 1)

    def noted(model: bytes, threads: int) -> Any:
        opened.append({o.name for o in onnx.load_model_from_string(model).graph.output})
        return open_session(model, threads)

    monkeypatch.setattr(session_module, "open_session", noted)
    monkeypatch.setattr(head_module, "open_session", noted)
    heavy = GraphSession(model_of.model, model_of.signature.inputs)
    for outputs, found in zip(asked, expected, strict=True):
        same(heavy.run(model_of.table, outputs), found)
        same(heavy.run(model_of.table.slice(0, 3), outputs), {n: v[:3] for n, v in found.items()})
        same(heavy.run_feeds(feeds, outputs), found)
    assert sum("score" in outputs for outputs in opened) == 1, (
        "what comes after the features is in one session"
    )
    assert heavy.run(model_of.table.slice(0, 0), ["score"])["score"].shape[0] == 0


def test_no_rows_give_empty_arrays(model_of: Any) -> None:
    session = GraphSession(model_of.model, model_of.signature.inputs)
    found = session.run(model_of.table.slice(0, 0), OUTPUTS)
    assert found["features"].shape == (0, 8)
    assert [len(found[name]) for name in OUTPUTS] == [0, 0, 0]


def test_an_unknown_value_names_the_nearest(make_trained: Any) -> None:
    made = make_trained("binary", "linear")
    with pytest.raises(UsageError, match="no value 'scores'") as caught:
        GraphSession(made.model, made.signature.inputs).run(made.table, ["scores"])
    assert "'score'" in caught.value.fix


def test_a_looked_up_value_without_a_row_for_each_text_falls_back() -> None:
    """A flattened (N, 2) table has 2N rows: the cut must notice and run the graph as it is."""
    g = GraphBuilder("flattened")
    g.input("city", "string", ("N", 1))
    index = g.op(
        "LabelEncoder", ["city"], domain="ai.onnx.ml", keys_strings=["a"], values_int64s=[1], default_int64=0
    )
    table = g.constant(np.array([[0, 1], [2, 3]], dtype=np.float32))
    pairs = g.op("Reshape", [g.op("Gather", [table, index]), g.constant(np.array([-1], dtype=np.int64))])
    back = g.op(
        "Reshape", [pairs, g.op("Concat", [g.op("Shape", ["city"]), g.constant(np.array([2]))], axis=0)]
    )
    g.output(back, "float32", ("N", 1, 2))
    session = GraphSession(g.model(), [Field("city", "string", "string")])
    table = pa.table({"city": ["a", "b"] * session_module.CUT_ROWS})
    found = session.run(table, [back])[back]
    assert found[:2].tolist() == [[[2, 3]], [[0, 1]]]
    assert len(found) == len(table)


def test_the_session_takes_a_path(make_trained: Any, tmp_path: Any) -> None:
    made = make_trained("regression", "linear")
    (tmp_path / "model.onnx").write_bytes(made.model)
    found = GraphSession(tmp_path / "model.onnx", made.signature.inputs).run(made.table, ["score"])
    again = GraphSession(onnx.load_model_from_string(made.model), made.signature.inputs)
    same(found, again.run(made.table, ["score"]))
    assert serialize(onnx.load_model_from_string(made.model)) == made.model
