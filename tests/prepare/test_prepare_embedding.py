"""The transform `embedding`: words as `tokenizers` cuts them, vectors as torch's own layers make them."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import bert_support as bert
import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError
from safetensors.numpy import save_file

from bessemer.core.errors import UsageError
from bessemer.core.signature import Field
from bessemer.package.cut import find_cut
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.package.row_loops import rows_of
from bessemer.package.runtime import open_session
from bessemer.package.safety import check_graph
from bessemer.package.session import CUT_ROWS, GraphSession
from bessemer.prepare.check import fingerprint
from bessemer.prepare.spec import PrepareSpec
from bessemer.prepare.transforms.embedding import Embedding, FittedEmbedding
from bessemer.prepare.transforms.embedding_characters import Rules
from bessemer.prepare.transforms.embedding_folder import read_bert
from bessemer.prepare.transforms.embedding_words import MOST_CHARACTERS, WordPieces
from bessemer.testing.transforms import check_transform, graph_of, run

TEXTS = [
    "Hello, world!",
    "",
    " ",
    "unaffable",
    "the them theme THEM",
    "greatest great😀 😀",
    "Ünïcödé É ß ﬁ ½ é",
    "ΣΑΣ абВГ 한국 中日x あがア हिंदी عربي",
    "a\u200bb\x00c\ufffdd\u3000e\u00a0f\u2028g\th\ni",
    "¿que? $5.00 — [CLS] [SEP] ##able",
    "a" * 100,
    "a" * 101,
    "é" * 100 + " " + "e\u0301" * 101,
    "un" * 50 + " " + "un" * 51,
    "q" * 5000,
    "the " * 500,
    " " * 40 + "a",
]


def mixed_texts(n: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    pools = [
        bert.LETTERS,
        bert.WORDS,
        string.ascii_uppercase,
        string.punctuation,
        [" ", "\t", "\u200b", "\u0301", "\u3000"],
    ]
    pools += ["ЁÇİıŁżõ", "漢字仮名", "👍🏽‍🥺\ue000", "ゔヴガ", "กำไทย"]
    return [
        "".join(rng.choice(rng.choice(pools)).replace("##", "") for _ in range(rng.randint(1, 40)))
        for _ in range(n)
    ]


@cache
def cut(rules: Rules, most: int) -> Callable[[str], list[int]]:
    g = GraphBuilder("words")
    words = WordPieces(tuple(bert.VOCABULARY), rules)
    g.op("Identity", [words.add(g, g.input("text", "string", (1,)), most)], name="ids")
    g.output("ids", "int64", ("T",))
    graph = serialize(g.model())
    check_graph(graph)
    session = open_session(graph, 1)

    def ids(text: str) -> list[int]:
        found: list[int] = session.run(["ids"], {"text": np.array([text], dtype=object)})[0].tolist()
        return found

    return ids


@pytest.mark.slow
@pytest.mark.parametrize("lower", [True, False])
def test_words_are_cut_as_the_library_cuts_them(lower: bool) -> None:
    ours = cut(Rules(lower, lower), 64)
    theirs = bert.reference_words(bert.VOCABULARY, 64, lowercase=lower, strip_accents=lower)
    special = {"[CLS]", "[SEP]"}  # there they are pieces of their own; here a text cannot say them
    for text in [*TEXTS, *mixed_texts(400, seed=3)]:
        if not special & set(text.split()):
            assert ours(text) == theirs(text), repr(text)


def test_a_text_cannot_say_what_ends_it() -> None:
    ids, spoken = cut(Rules(), 64)("[SEP]"), bert.VOCABULARY.index("[SEP]")
    assert ids.index(spoken) == len(ids) - 1


@pytest.mark.slow
def test_no_more_than_so_many_pieces() -> None:
    for most in (3, 10):
        ids = cut(Rules(), most)("the " * 100)
        assert len(ids) == most
        assert bert.VOCABULARY[ids[-1]] == "[SEP]"


def test_what_lies_behind_the_last_character_that_is_read_changes_nothing() -> None:
    ids = cut(Rules(), 64)
    assert ids(" " * (MOST_CHARACTERS - 1) + "ab") == ids("a")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bert.write(
        tmp_path_factory.mktemp("model") / "tiny", sentence_bert_config__json={"max_seq_length": 16}
    )


@pytest.fixture(scope="module")
def spec(folder: Path) -> PrepareSpec:
    return PrepareSpec.model_validate(
        {"embedding": {"model": str(folder)}, "columns": {"column": {"as": "embedding"}}}
    )


@pytest.fixture(scope="module")
def fitted(spec: PrepareSpec) -> FittedEmbedding:
    from bessemer.testing.transforms import train_column

    return Embedding().fit(train_column("string"), spec, None)


@pytest.mark.slow
def test_it_keeps_the_conformance_suite(spec: PrepareSpec) -> None:
    check_transform(Embedding(), spec)


@pytest.mark.slow
def test_values_are_those_of_torchs_layers(fitted: FittedEmbedding) -> None:
    cut = bert.reference_words(bert.VOCABULARY, 16, lowercase=True)
    texts = [text for text in [*TEXTS, *mixed_texts(30, seed=5)] if text and "[SEP]" not in text]
    found = run(fitted, "string", texts)
    for text, row in zip(texts, found, strict=True):
        states = bert.reference_states(cut(text), bert.weights(), heads=bert.HEADS, layers=bert.LAYERS)
        mean = states.mean(0)
        assert np.abs(row - mean / np.linalg.norm(mean)).max() < 1e-5, repr(text)


def test_a_missing_text_is_missing_and_a_blank_one_is_not(fitted: FittedEmbedding) -> None:
    missing, blank, text = run(fitted, "string", [None, " ", "great"])
    assert np.isnan(missing).all()
    assert np.isfinite(blank).all()
    assert np.isclose(np.linalg.norm(text), 1)


def test_no_rows_are_no_rows(fitted: FittedEmbedding) -> None:
    session = open_session(graph_of(fitted, "string"), 1)
    (found,) = session.run(["block"], {"column": np.empty((0, 1), dtype=object)})
    assert found.shape == (0, bert.SIZE)


def test_the_features_are_a_block(fitted: FittedEmbedding) -> None:
    assert fitted.layout.kind == "embedding"
    assert fitted.layout.shape == (bert.SIZE,)
    assert [f.kind for f in fitted.features] == ["embedding"] * bert.SIZE


@pytest.mark.slow
def test_the_folder_says_how_it_is_pooled(tmp_path: Path) -> None:
    folder = bert.write(
        tmp_path / "cls",
        modules__json=[{"type": "sentence_transformers.models.Transformer"}],
        **{"1_Pooling_in_config__json": {"pooling_mode_cls_token": True}},
    )
    model = read_bert(folder, 5)
    assert (model.pooling, model.unit, model.length) == ("cls", False, 5)
    (found,) = run(FittedEmbedding(model, tuple(range(bert.SIZE))), "string", ["great unaffable"])  # type: ignore[arg-type]
    ids = bert.reference_words(bert.VOCABULARY, 5, lowercase=True)("great unaffable")
    wanted = bert.reference_states(ids, bert.weights(), heads=bert.HEADS, layers=bert.LAYERS)[0]
    assert np.abs(found - wanted).max() < 1e-5


def test_other_names_and_half_precision_are_read(folder: Path, tmp_path: Path) -> None:
    other = bert.write(tmp_path / "half")
    halved = {f"bert.{name}": value.astype(np.float16) for name, value in bert.weights().items()}
    save_file(halved, other / "model.safetensors")
    model, plain = read_bert(other), read_bert(folder)
    for name, value in plain.weights.items():
        assert model.weights[name].dtype == np.float32
        assert np.allclose(model.weights[name], value, atol=2e-3)


def test_two_columns_of_one_model_share_its_weights(fitted: FittedEmbedding) -> None:
    def size(columns: int) -> int:
        g = GraphBuilder("both")
        for i in range(columns):
            value = fitted.add(g, g.input(f"text{i}", "string", ("N", 1))).value
            g.output(value, "float32", ("N", bert.SIZE))
        return sum(tensor.ByteSize() for tensor in g.model().graph.initializer)

    assert size(2) == size(1)


def test_it_stays_the_same_inside_another_graph(fitted: FittedEmbedding) -> None:
    inner = GraphBuilder("inner")
    inner.op("Identity", [fitted.add(inner, inner.input("text", "string", ("N", 1))).value], name="out")
    inner.output("out", "float32", ("N", bert.SIZE))
    outer = GraphBuilder("outer")
    model = inner.model()
    for name in ("a", "b"):
        made = outer.embed(model, {"text": outer.input(name, "string", ("N", 1))}, f"{name}/")["out"]
        outer.output(made, "float32", ("N", bert.SIZE))
    graph = serialize(outer.model())
    check_graph(graph)
    texts = np.array([["great"], [""], ["the 😀"]], dtype=object)
    first, second = open_session(graph, 1).run(None, {"a": texts, "b": texts[::-1]})
    wanted = run(fitted, "string", ["great", None, "the 😀"])
    assert first.tobytes() == second[::-1].tobytes() == wanted.tobytes()


def test_equal_texts_of_a_large_batch_are_computed_once(fitted: FittedEmbedding) -> None:
    session = GraphSession(fitted_model(fitted), [Field("text", "string", "string")])
    texts = [["great", None, "the 😀", "unaffable them"][i % 4] for i in range(CUT_ROWS * 2)]
    table = pa.table({"text": texts})
    found = session.run(table, ["out"])["out"]
    few = [session.run(table.slice(i, 1), ["out"])["out"] for i in range(len(texts))]
    assert found.tobytes() == np.concatenate(few).tobytes()
    assert find_cut(fitted_model(fitted), ["out"]).frontier == {"out": "text"}
    other = pa.table({"text": [*texts[::-1][1:], "unaffable"]})  # a text more, and the others again
    assert session.run(other, ["out"])["out"][:-1].tobytes() == found[::-1][1:].tobytes()
    assert session.run(table, ["out"])["out"].tobytes() == found.tobytes()


def fitted_model(fitted: FittedEmbedding) -> Any:
    g = GraphBuilder("one")
    g.op("Identity", [fitted.add(g, g.input("text", "string", ("N", 1))).value], name="out")
    g.output("out", "float32", ("N", bert.SIZE))
    return g.model()


def test_loops_that_are_not_of_rows_are_left_whole(fitted: FittedEmbedding) -> None:
    """A loop over as many rows as another value has, or that looks at other rows, is none of equal texts."""
    model = fitted_model(fitted)
    (loop,) = (node for node in model.graph.node if node.op_type == "Loop")
    producer = {name: node for node in model.graph.node for name in node.output}
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    assert rows_of(loop, producer, constants) == "text"
    assert rows_of(loop, {**producer, loop.input[0]: loop}, constants) == ""
    (body,) = (a.g for a in loop.attribute if a.name == "body")
    (gather,) = (node for node in body.node if "text" in node.input)
    gather.input[1] = next(name for name in constants if constants[name].data_type == 7)
    assert rows_of(loop, producer, constants) == ""


# What is wrong with a folder


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def shorter(folder: Path) -> None:
    (folder / "vocab.txt").write_text("\n".join(bert.VOCABULARY[:-1]), "utf-8")


def incomplete(folder: Path) -> None:
    values = bert.weights()
    del values["encoder.layer.1.output.dense.bias"]
    save_file(values, folder / "model.safetensors")


def infinite(folder: Path) -> None:
    values = bert.weights()
    values["encoder.layer.1.output.dense.bias"][0] = np.inf
    save_file(values, folder / "model.safetensors")


def scribbled(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"not a model")


def saying(name: str, content: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)

    return write


def misshapen(folder: Path) -> None:
    values = bert.weights()
    values["encoder.layer.0.intermediate.dense.weight"] = values["pooler.dense.weight"]
    save_file(values, folder / "model.safetensors")


@pytest.mark.parametrize(
    ("harm", "config", "said"),
    [
        (without("vocab.txt"), {}, r"there is no vocab\.txt"),
        (without("model.safetensors"), {}, r"there is no model\.safetensors"),
        (shorter, {}, "does not fit the weights"),
        (incomplete, {}, r"has no tensor 'encoder\.layer\.1\.output\.dense\.bias'"),
        (infinite, {}, "is no array of finite numbers"),
        (scribbled, {}, "cannot be read"),
        (misshapen, {}, r"'encoder\.layer\.0\.intermediate\.dense\.weight' is \(8, 8\), not \(20, 8\)"),
        (saying("config.json", "{"), {}, r"config\.json' is no JSON"),
        (saying("config.json", "[]"), {}, "is not as models are saved"),
        (saying("modules.json", "[1]"), {}, "is not as models are saved"),
        (saying("modules.json", '[{"type": "models.Dense"}]'), {}, "has a step Dense"),
        (
            saying("1_Pooling/config.json", '{"pooling_mode_max_tokens": true}'),
            {},
            "pools by pooling_mode_max_tokens",
        ),
        (saying("1_Pooling/config.json", '{"pooling_mode": "max"}'), {}, "pools by max"),
        (saying("1_Pooling/config.json", '{"pooling_mode": ["mean", "cls"]}'), {}, "pools by mean and cls"),
        (saying("1_Pooling/config.json", '{"embedding_dimension": 8}'), {}, "pools by nothing that is known"),
        (lambda folder: None, {"model_type": "mpnet"}, "has model_type 'mpnet'"),
        (lambda folder: None, {"hidden_act": "relu"}, "has hidden_act 'relu'"),
        (lambda folder: None, {"num_attention_heads": "many"}, "'many' for num_attention_heads"),
        (lambda folder: None, {"num_attention_heads": 3}, "3 heads"),
    ],
)
def test_a_folder_that_does_not_fit(
    harm: Callable[[Path], None], config: dict[str, Any], said: str, tmp_path: Path
) -> None:
    folder = bert.write(tmp_path / "broken", config=config)
    harm(folder)
    with pytest.raises(UsageError, match=said):
        read_bert(folder)


@pytest.mark.parametrize("mode", ["mean", "cls"])
def test_the_newer_name_of_a_pooling_is_read(mode: str, tmp_path: Path) -> None:
    folder = bert.write(tmp_path / mode)
    saying("1_Pooling/config.json", json.dumps({"embedding_dimension": 8, "pooling_mode": mode}))(folder)
    assert read_bert(folder).pooling == mode


def test_the_tokenizer_says_the_length_where_nobody_else_does(tmp_path: Path) -> None:
    folder = bert.write(tmp_path / "plain")
    (folder / "sentence_bert_config.json").unlink(missing_ok=True)
    for said, wanted in ((7, 7), (10**30, 24), ("many", 24)):
        saying("tokenizer_config.json", json.dumps({"model_max_length": said}))(folder)
        assert read_bert(folder).length == wanted
    saying("tokenizer_config.json", json.dumps({"model_max_length": 7}))(folder)
    saying("sentence_bert_config.json", json.dumps({"max_seq_length": 9}))(folder)
    assert read_bert(folder).length == 9


def test_a_length_beyond_the_models_places_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="length 25 is not between 3 and 24"):
        read_bert(folder, 25)


def test_an_embedding_needs_a_model() -> None:
    with pytest.raises(ValidationError, match="nothing says by which model"):
        PrepareSpec.model_validate({"columns": {"review": {"as": "embedding"}}})


# In the stage

REVIEWS = """
SELECT ['great', 'the greatest!', 'unaffable', NULL, 'them'][1 + i % 5] || ' ' || ['a', 'b', ''][1 + i % 3] AS review,
       i AS number, (i * 31) % 11 < 4 AS y
FROM range(60) t(i)
"""


@pytest.mark.slow
def test_the_stage_finds_the_model_beside_the_project_file(prepare, tmp_path: Path) -> None:
    bert.write(tmp_path / "models" / "tiny")
    found = prepare(
        REVIEWS, spec={"columns": {"review": {"as": "embedding", "embedding": {"model": "models/tiny"}}}}
    )
    assert found.preprocessor.meta["blocks"] == [
        {"group": "review", "kind": "embedding", "start": 0, "stop": 8, "shape": [8], "levels": 0}
    ]
    text = found.rows("train")["review"].to_pylist()
    X = found.X("train")[:, :8]
    assert np.isnan(X).all(axis=1).tolist() == [t is None for t in text]
    same = [row.tobytes() for row, t in zip(X, text, strict=True) if t == text[0]]
    assert len(set(same)) == 1


def test_another_model_in_the_folder_is_noticed(tmp_path: Path) -> None:
    bert.write(tmp_path / "tiny")
    said = {"embedding": {"model": "tiny"}, "columns": {"review": {"as": "embedding"}}}
    spec = PrepareSpec.model_validate(said)
    before = fingerprint(spec, tmp_path)
    assert before["model tiny/modules.json"] == "missing"
    save_file(bert.weights(seed=1), tmp_path / "tiny" / "model.safetensors")
    after = fingerprint(spec, tmp_path)
    assert [name for name in before if before[name] != after[name]] == ["model tiny/model.safetensors"]
    assert fingerprint(PrepareSpec.model_validate({"embedding": {"model": "tiny"}}), tmp_path) == {}


@pytest.mark.slow
def test_the_same_folder_gives_the_same_bytes(fitted: FittedEmbedding, spec: PrepareSpec) -> None:
    from bessemer.testing.transforms import train_column

    again = Embedding().fit(train_column("string"), spec, None)
    assert graph_of(again, "string") == graph_of(fitted, "string")
