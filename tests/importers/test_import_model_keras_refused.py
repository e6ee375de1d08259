"""Files of Keras and TensorFlow are looked at as data before either sees them: what runs code is refused by name."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from import_model_support import imported

from bessemer.api import import_model
from bessemer.core.errors import FormatError
from bessemer.environments import place
from bessemer.environments.errors import ToolError
from bessemer.environments.place import VARIABLE
from bessemer.environments.workers.keras_config import Refused, checked
from bessemer.importers.models.encoder import asked_beside, encoder_of
from bessemer.importers.models.foreign import Asked
from bessemer.importers.models.formats import format_of
from bessemer.importers.models.tensorflow.keras import architecture, repacked
from bessemer.importers.models.tensorflow.messages import message
from bessemer.importers.models.tensorflow.operators import ALLOWED
from bessemer.importers.models.tensorflow.saved_model import cleaned

FILES = Path(__file__).parent / "keras_files"
NEWER, SAVED = (FILES / "newer.keras").read_bytes(), (FILES / "older" / "saved_model.pb").read_bytes()


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No environment is there, and none is made: nothing here is given to TensorFlow."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "environments"))
    yield
    assert not (tmp_path / "environments").exists()


def members(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(content: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", how) as archive:
        for name, one in content.items():
            archive.writestr(name, one)
    return made.getvalue()


def config() -> Any:
    return json.loads(members(NEWER)["config.json"])


def with_layer(layer: Any) -> bytes:
    """The real file, with another layer in it."""
    said = config()
    said["config"]["layers"].insert(2, layer)
    return zipped({**members(NEWER), "config.json": json.dumps(said).encode()})


MARSHALLED = {"class_name": "__lambda__", "config": {"value": "4wEAAAAA"}}
EVIL: list[tuple[dict[str, Any], str]] = [
    ({"module": "keras.layers", "class_name": "Lambda", "config": {"function": MARSHALLED}}, "has a Lambda"),
    ({"class_name": "Lambda", "config": {"function": ["4wEAAAAA", None, None], "function_type": "lambda"}}, "Lambda"),
    (MARSHALLED, "has a __lambda__"),
    ({"module": "mine.layers", "class_name": "Dense", "config": {}}, "module 'mine.layers'"),
    ({"module": "keras.layers", "class_name": "Mine", "config": {}, "registered_name": "mine>Mine"}, "has a Mine"),
    ({"module": "keras.layers", "class_name": "Dense", "config": {}, "registered_name": "mine>Dense"}, "mine>Dense"),
    ({"module": "keras.utils", "class_name": "get_file", "config": {"origin": "http://a"}}, "has a get_file"),
    ({"module": "keras.utils", "class_name": "Dense", "config": {}}, "module 'keras.utils'"),
    ({"module": "keras.layers", "class_name": "TFSMLayer", "config": {"filepath": "/tmp/x"}}, "another framework"),
    ({"module": "keras.layers", "class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}}, "vocabulary"),
    ({"module": "antigravity", "class_name": "function", "config": "relu"}, "'relu' of 'antigravity'"),
    ({"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}, "'system'"),
    ({"class_name": "__typespec__", "spec_name": "x", "module": "m", "config": []}, "has a __typespec__"),
    ({"class_name": ["Dense"], "config": {}}, "has no name"),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "said"), EVIL)
def test_what_is_not_keras_own_is_refused_unseen_by_keras(layer: Any, said: str, tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_bytes(with_layer(layer))
    with pytest.raises(FormatError, match=said):
        imported(tmp_path / "model.keras")
    folder = tmp_path / "two"
    folder.mkdir()
    (folder / "architecture.json").write_bytes(
        members((tmp_path / "model.keras").read_bytes())["config.json"]
    )
    (folder / "model.weights.h5").write_bytes(members(NEWER)["model.weights.h5"])
    with pytest.raises(FormatError, match=said):
        imported(folder)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Each place of an architecture in which something else could stand: its holder, and its key there."""
    own = (
        list(value.items())
        if isinstance(value, dict)
        else list(enumerate(value))
        if isinstance(value, list)
        else []
    )
    return [(value, key) for key, _ in own] + [place for _, one in own for place in places(one)]


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.integers(0, 10**6), st.sampled_from(EVIL))
def test_wherever_it_stands(at: int, evil: tuple[Any, str]) -> None:
    said = config()
    del said["compile_config"]
    found = places(said["config"])
    holder, key = found[at % len(found)]
    holder[key] = evil[0]
    with pytest.raises(Refused):
        checked(said)


def test_how_it_was_trained_is_left_out_even_in_models_inside() -> None:
    said = config()
    said["config"]["layers"].append(
        {**config(), "compile_config": {"loss": {"class_name": "Mine", "config": {}}}}
    )
    kept = json.loads(architecture(json.dumps(said).encode()))
    assert "compile_config" in said
    assert "compile_config" not in json.dumps(kept)
    del said["compile_config"], said["config"]["layers"][-1]["compile_config"]
    assert kept == said


def test_a_real_file_goes_through_as_it_is() -> None:
    before, after = members(NEWER), members(repacked(NEWER))
    assert after["model.weights.h5"] == before["model.weights.h5"]
    said = config()
    del said["compile_config"]
    assert json.loads(after["config.json"]) == said


def bomb(name: str) -> bytes:
    return zipped({**members(NEWER), name: bytes(2**28 + 2)})


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (NEWER[:3000], "damaged"),
        (NEWER[:-20], "damaged"),
        (bomb("config.json"), "unfolds to more than"),
        (bomb("model.weights.h5"), "unfolds to more than"),
        (zipped({**members(NEWER), "assets/vocabulary.txt": b"a"}), "'assets/vocabulary.txt'"),
        (zipped({**members(NEWER), "../../etc/cron.d/x": b"a"}), "etc/cron.d"),
        (zipped({"config.json": b"{}"}), "were wanted"),
        (zipped({**members(NEWER), "config.json": b"[" * 200_000}), "no file of Keras"),
        (zipped({**members(NEWER), "config.json": b"[]"}), "no model of layers"),
        (zipped({**members(NEWER), "config.json": b"\xff"}), "no file of Keras"),
        (b"\x89HDF\r\n\x1a\n" + bytes(999), "no whole model of Keras"),
    ],
)  # fmt: skip
def test_damaged_and_swollen_files_are_refused(data: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_bytes(data)
    with pytest.raises(FormatError, match=said):
        imported(tmp_path / "model.keras")


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_mutated_files_hold_nothing_else_or_are_refused(data: st.DataObject) -> None:
    content = bytearray(NEWER if data.draw(st.booleans()) else zipped(members(NEWER), zipfile.ZIP_STORED))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=30))
    try:
        made = members(repacked(bytes(content)))
    except FormatError:
        return
    except Exception as error:  # what `reading` words for people
        assert isinstance(error, (ValueError, KeyError, TypeError))  # noqa: PT017
        return
    assert set(made) == {"metadata.json", "config.json", "model.weights.h5"}
    checked(json.loads(made["config.json"]))


def test_the_environment_is_told_of_before_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real one without any package, in which the worker fails: that is no fault of the model."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "elsewhere"))
    monkeypatch.setattr(place, "_content", lambda environment: ["# nothing\n"])
    events: list[tuple[str, str, Any]] = []
    with pytest.raises(ToolError, match="No module named") as error:
        import_model(FILES / "newer.keras", sinks=[lambda *event: events.append(event)])
    assert "ended with 1" in error.value.what
    said = "installing the environment tensorflow (about 1700 MB), once"
    assert events[:2] == [
        ("import", "stage_start", {"cached": False, "does": "reads the model"}),
        ("import", "note", {"text": said}),
    ]
    assert not (tmp_path / "newer.bsm").exists()


def saved(*functions: tuple[str, list[str]], called: tuple[str, ...] = ("f",), **more: Any) -> bytes:
    """A SavedModel of functions with these operators; `called` are those that its objects have."""
    model = message("SavedModel")()
    graph = model.meta_graphs.add(**more)
    graph.objects.SetInParent()
    for name, operators in functions:
        function = graph.graph.library.functions.add()
        function.signature.name = name.encode()
        for op in operators:
            function.nodes.add(name=b"n", op=op.encode())
    for name in called:
        graph.objects.functions.add(name=name.encode())
    return bytes(model.SerializeToString())


def operators(data: bytes) -> set[str]:
    """Those of all functions; a function that is called by its name is none."""
    library = message("SavedModel").FromString(data).meta_graphs[0].graph.library
    used = {node.op.decode("utf-8", "replace") for one in library.functions for node in one.nodes}
    return {name for name in used if not name.startswith("__")}


def functions_of(data: bytes) -> list[str]:
    found = message("SavedModel").FromString(data).meta_graphs[0].graph.library.functions
    return [one.signature.name.decode() for one in found]


@pytest.mark.parametrize(
    "op", ["ReadFile", "WriteFile", "PyFunc", "LoadLibrary", "SaveV2", "HashTableV2", "Foo"]
)
def test_operators_that_do_more_than_compute_are_refused(op: str, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").write_bytes(
        saved(("f", ["MatMul", "__inside"]), ("__inside", [op]))
    )
    with pytest.raises(FormatError, match=f"operator {op} "):
        imported(tmp_path / "model")


def test_functions_that_attributes_name_are_called() -> None:
    model = message("SavedModel").FromString(saved(("f", ["If"]), ("g", ["ReadFile"]), ("h", ["ReadFile"])))
    (node,) = model.meta_graphs[0].graph.library.functions[0].nodes
    assert functions_of(cleaned(model.SerializeToString())) == ["f"]
    inner = node.attributes.add(name=b"branches").value.list.functions.add(name=b"x")
    inner.attributes.add(name=b"a").value.function.name = b"h"
    with pytest.raises(FormatError, match="ReadFile"):
        cleaned(model.SerializeToString())


def test_what_saves_and_restores_a_real_model_is_taken_out() -> None:
    assert {"SaveV2", "RestoreV2", "MergeV2Checkpoints"} <= operators(SAVED)
    kept = cleaned(SAVED)
    assert 10 < len(operators(kept)) <= len(ALLOWED)
    assert operators(kept) <= ALLOWED
    assert set(functions_of(kept)) < set(functions_of(SAVED))
    assert cleaned(kept) == kept
    assert {node.op for node in message("SavedModel").FromString(kept).meta_graphs[0].graph.nodes} <= {
        b"Const"
    }


def test_what_an_object_could_call_by_name_is_not_taken_out() -> None:
    """A function that saves, as what an object does when it is loaded."""
    model = message("SavedModel").FromString(SAVED)
    graph = model.meta_graphs[0]
    (saver,) = [
        one.signature.name
        for one in graph.graph.library.functions
        if any(node.op == b"SaveV2" for node in one.nodes)
    ]
    graph.objects.functions.add(name=saver)
    with pytest.raises(FormatError, match="has the operator"):
        cleaned(model.SerializeToString())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (saved(("f", ["Add"]), assets=[b""]), "reads files beside it"),
        (saved(("f", ["Add"]), ("f", ["ReadFile"])), "have the same name"),
        (message("SavedModel")().SerializeToString(), "TensorFlow 2"),
        (SAVED[:5000], "damaged"),
        (b"no message at all", "damaged|TensorFlow 2"),
    ],
)
def test_other_models_of_tensorflow_are_refused(data: bytes, said: str) -> None:
    with pytest.raises(FormatError, match=said):
        cleaned(data)


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_mutated_graphs_compute_or_are_refused(data: st.DataObject) -> None:
    content = bytearray(SAVED)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 20))] = data.draw(
            st.sampled_from([b"ReadFile", b"\x00", b"\xff\xff"]) | st.binary(max_size=20)
        )
    try:
        kept = cleaned(bytes(content))
    except FormatError:
        return
    assert operators(kept) <= ALLOWED


def test_forms_are_known_by_what_is_in_them(tmp_path: Path) -> None:
    for name, form in (("newer.keras", "keras"), ("older.keras", "keras"), ("older.h5", "keras_h5")):
        (tmp_path / "data.pkl").write_bytes((FILES / name).read_bytes())
        assert format_of(tmp_path / "data.pkl") == form
    assert format_of(FILES / "older") == "saved_model"
    (tmp_path / "folder" / "1").mkdir(parents=True)
    (tmp_path / "folder" / "1" / "architecture.json").write_text("{}")
    assert format_of(tmp_path / "folder") == ""
    (tmp_path / "folder" / "model.weights.h5").write_bytes(b"")
    assert format_of(tmp_path / "folder") == "keras_folder"


def test_a_folder_of_two_models_is_refused(tmp_path: Path) -> None:
    for name in ("a.keras", "b.keras"):
        (tmp_path / name).write_bytes(NEWER)
    with pytest.raises(FormatError, match=r"2 models of Keras: a\.keras, b\.keras"):
        imported(tmp_path)


ENCODER = {
    "format": 1,
    "width": 2,
    "classes": ["no", "yes"],
    "columns": ["age", "age is missing"],
    "threshold": 0.3,
}


def encoder(**said: Any) -> dict[str, bytes]:
    return {"a/encoder.json": json.dumps({**ENCODER, **said}).encode()}


def test_an_encoder_names_columns_and_classes() -> None:
    found = asked_beside(Asked(), encoder_of(encoder()))
    assert (found.beside, found.classes) == (("age", "age is missing"), ("no", "yes"))
    assert asked_beside(Asked(classes=("a", "b")), encoder_of(encoder())).classes == ("a", "b")
    older = {key: value for key, value in ENCODER.items() if key != "columns"}
    assert asked_beside(Asked(), older).beside == ("encoded_0", "encoded_1")
    assert asked_beside(Asked(), encoder_of({"model.keras": b""})) == Asked()


@pytest.mark.parametrize(
    "files",
    [
        encoder(format=2),
        encoder(width="2"),
        encoder(classes=[{}]),
        encoder(columns="age"),
        encoder(threshold=2.0),
        {"encoder.json": b"{"},
        {"encoder.json": b"[]"},
        encoder() | {"b/encoder.json": b"{}"},
    ],
)
def test_another_encoder_is_refused(files: dict[str, bytes]) -> None:
    with pytest.raises(FormatError, match="encoder"):
        encoder_of(files)
