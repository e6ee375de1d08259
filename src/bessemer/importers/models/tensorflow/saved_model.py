"""TensorFlow's SavedModel: a graph as data, whose operators are looked at here before TensorFlow sees them.

Some of TensorFlow's operators read and write files, call Python or load libraries. A graph may have none but those
that compute; what it has for saving and restoring itself is taken out, because nothing that is kept calls it.
https://www.tensorflow.org/guide/saved_model
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, ClassVar

from bessemer.importers.models.encoder import asked_beside, encoder_of, noted
from bessemer.importers.models.foreign import Asked, Foreign, refused
from bessemer.importers.models.tensorflow.convert import converted
from bessemer.importers.models.tensorflow.messages import message
from bessemer.importers.models.tensorflow.operators import ALLOWED, WHY
from bessemer.importers.models.trees import reading

_FILE, _VARIABLES = "saved_model.pb", "variables/variables."
_FIX = "export the function that predicts alone: numbers in, numbers out, of layers without vocabularies"


class SavedModel:
    """A folder with `saved_model.pb` and `variables/`, also inside of others, as TensorFlow Serving has them."""

    TITLE: ClassVar[str] = "TensorFlow SavedModel"

    def recognises(self, names: Collection[str]) -> bool:
        return any(name.rpartition("/")[2] == _FILE for name in names)

    def read(self, files: Mapping[str, bytes], asked: Asked) -> Foreign:
        found = [name for name in files if name.rpartition("/")[2] == _FILE]
        if len(found) != 1:
            raise refused(
                f"the folder has {len(found)} SavedModels: {', '.join(sorted(found)[:5])}",
                fix="name the folder of one",
            )
        top = found[0].removesuffix(_FILE)
        with reading("SavedModel"):
            graph = cleaned(files[found[0]])
        kept = {
            name.removeprefix(top): content
            for name, content in files.items()
            if name.startswith(f"{top}{_VARIABLES}")
        }
        encoder = encoder_of(files)
        foreign = converted("savedmodel", {_FILE: graph, **kept}, (".",), asked_beside(asked, encoder))
        return noted(foreign, encoder)


def cleaned(data: bytes) -> bytes:
    """The same `saved_model.pb` with functions that compute, and no others.

    Raises:
        FormatError: it is none, of TensorFlow 1, or one of its functions does more than compute.
    """
    from google.protobuf.message import DecodeError

    try:
        model = message("SavedModel").FromString(data)
    except DecodeError:
        raise refused(f"{_FILE} is damaged") from None
    if len(model.meta_graphs) != 1 or not model.meta_graphs[0].HasField("objects"):
        raise refused(
            f"{_FILE} has {len(model.meta_graphs)} graphs, or none that TensorFlow 2 saved",
            "those of TensorFlow 1 restore themselves by operators that read files",
            "load it where it was made, and save it by tf.saved_model.save of TensorFlow 2",
        )
    graph = model.meta_graphs[0]
    _without_files(graph)
    kept = _called(graph)
    names = {function.signature.name for function in kept}
    for function in kept:
        _check(function, names)
    del graph.graph.library.functions[:]
    graph.graph.library.functions.extend(kept)
    constants = [
        node for node in graph.graph.nodes if node.op == b"Const"
    ]  # what captured values are read from
    del graph.graph.nodes[:]
    graph.graph.nodes.extend(constants)
    for field in ("saver", "collections"):
        graph.ClearField(field)
    made: bytes = model.SerializeToString(deterministic=True)
    return made


def _without_files(graph: Any) -> None:
    if graph.assets or any(one.HasField("asset") for one in graph.objects.nodes):
        raise refused("the SavedModel reads files beside it", "they are vocabularies, as a rule", _FIX)


def _called(graph: Any) -> list[Any]:
    """The functions that objects of the model have, and those that they call, in the order of the file."""
    library = graph.graph.library
    functions = {function.signature.name: function for function in library.functions}
    if len(functions) != len(library.functions):
        raise refused("two functions of the SavedModel have the same name")
    waiting = [one.name for one in graph.objects.functions]
    waiting += [one.by for one in (*library.gradients, *library.registered_gradients)]
    found: set[bytes] = set()
    while waiting:
        name = waiting.pop()
        if name in functions and name not in found:
            found.add(name)
            waiting.extend(_names(functions[name].nodes))
    return [function for function in library.functions if function.signature.name in found]


def _names(nodes: Iterable[Any]) -> Iterator[bytes]:
    """What nodes may call: functions that they are, or that their attributes name."""
    for node in nodes:
        yield node.op
        waiting = list(node.attributes)
        while waiting:
            value = waiting.pop().value
            for call in (*value.list.functions, *([value.function] if value.HasField("function") else [])):
                yield call.name
                waiting.extend(call.attributes)


def _check(function: Any, functions: Collection[bytes]) -> None:
    for node in function.nodes:
        name = node.op.decode("utf-8", "replace")
        calls = node.op in functions and name.startswith("__")  # as no operator is called
        if name not in ALLOWED and not calls:
            raise refused(
                f"the SavedModel has the operator {name[:80]} of TensorFlow",
                WHY.get(name, "it is none of those that are known to compute and nothing else"),
                _FIX,
            )
