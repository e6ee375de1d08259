"""TorchScript and torch.export: what is refused before torch sees it, and files that are not what they seem."""

from __future__ import annotations

import contextlib
import io
import json
import tracemalloc
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from import_model_support import imported
from torch import nn
from torch_support import columns, table_net

from bessemer.core.errors import BessemerError, FormatError
from bessemer.importers.models.foreign import Asked
from bessemer.importers.models.formats import FORMATS, format_of
from bessemer.importers.models.torch import convert
from bessemer.importers.models.torch.archive import members, packed
from bessemer.importers.models.torch.child import _script
from bessemer.importers.models.torch.interpret import check_operators
from bessemer.importers.models.torch.program import _strided, program_of
from bessemer.importers.models.torch.rebuild import Rebuilt
from bessemer.importers.models.torch.script import checked

NAMES = ["a", "b", "c", "d", "e"]


def scripted(module: nn.Module) -> bytes:
    kept = io.BytesIO()
    torch.jit.save(torch.jit.script(module), kept)
    return kept.getvalue()


@cache
def good() -> bytes:
    return scripted(table_net())


@cache
def program() -> bytes:
    kept = io.BytesIO()
    rows = ({0: torch.export.Dim("rows")},)
    torch.export.save(torch.export.export(table_net(), (columns(slice(3)),), dynamic_shapes=rows), kept)
    return kept.getvalue()


def changed(data: bytes, ending: str, change: Callable[[bytes], bytes]) -> bytes:
    """The archive with each file of that ending changed."""
    return packed({name: change(c) if name.endswith(ending) else c for name, c in members(data).items()})


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        assert old in content
        return content.replace(old, new)

    return change


class Writes(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.save(x, "ran")
        return x


class Reads(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.from_file("ran", True, 5)


class Chance(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.rand_like(x)


class Wakes(nn.Module):
    """Does something when it is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.training = False

    @torch.jit.export
    def __getstate__(self) -> bool:
        return True

    @torch.jit.export
    def __setstate__(self, state: bool) -> None:
        torch.save(torch.zeros(1), "ran")
        self.training = state

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (Writes(), "operator 'aten::save'"),
        (Reads(), "operator 'aten::from_file'"),
        (Chance(), "operator 'aten::rand_like'"),
        (Wakes(), "a method '__[gs]etstate__'"),
    ],
)
def test_a_program_that_does_more_than_compute_is_refused(
    module: nn.Module, said: str, tmp_path: Path
) -> None:
    (tmp_path / "model.pt").write_bytes(scripted(module))
    with pytest.raises(FormatError, match=said):
        imported(tmp_path / "model.pt", columns=NAMES)
    assert not (tmp_path / "ran").exists()
    if not isinstance(module, Wakes):  # the second look, at what torch has made of the text
        with pytest.raises(ValueError, match="not on the list"):
            check_operators(torch.jit.script(module).inlined_graph)


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (b"_0 = torch\n    _0.save(input, 'ran')\n    return", "gives 'torch' another name"),
        (b"_0 = ops.aten\n    _0.save(input, 'ran')\n    return", "operator 'aten::'"),
        (b"getattr(torch, 'save')(input, 'ran')\n    return", "gives 'torch' another name"),
        (b"save(input, 'ran')\n    return", "operator 'prim::save'"),
        (b"x = __torch__.torch.classes.evil.Evil()\n    return", "a class of C"),
        (b"ops.evil.run(input)\n    return", "operator 'evil::run'"),
        (b"return return", "cannot be read"),
    ],
)
def test_names_cannot_be_hidden(new: bytes, said: str) -> None:
    data = changed(good(), "linear.py", replaced(b"return", new))
    with pytest.raises(FormatError, match=said):
        checked(members(data))


@torch.jit.interface
class Layer(nn.Module):  # type: ignore[misc]
    def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[empty-body]
        pass


class Behind(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x)


class Interfaced(nn.Module):
    """What it calls stands in no graph until it is frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = Behind()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer.forward(x)


Interfaced.__annotations__ = {"layer": Layer}  # torch wants the class itself


def test_what_stands_behind_an_interface_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(scripted(Interfaced().eval()))
    checked(members((tmp_path / "model.pt").read_bytes()))
    with pytest.raises(ValueError, match="prim::CallMethod"):
        _script(tmp_path / "model.pt")
    # as a method of a value, in the code of a class of its own
    hidden = changed(
        scripted(Interfaced().eval()), ".py", lambda c: c.replace(b"torch.relu(x)", b"x.arctan()")
    )
    with pytest.raises(FormatError, match="'aten::arctan'"):
        checked(members(hidden))


def before(self: Any, given: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
    return (given[0] * 100,)


def after(self: Any, given: tuple[torch.Tensor], made: torch.Tensor) -> torch.Tensor:
    return torch.sigmoid(made)


@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.parametrize("early", [False, True])
def test_hooks_are_refused(inner: bool, early: bool, tmp_path: Path) -> None:
    """Freezing leaves them out, and the graph would say another thing than the model."""
    net = nn.Sequential(nn.Linear(5, 2)).eval()
    module = net[0] if inner else net
    module.register_forward_pre_hook(before) if early else module.register_forward_hook(after)
    (tmp_path / "model.pt").write_bytes(scripted(net))
    with pytest.raises(FormatError, match="has hooks"):
        checked(members((tmp_path / "model.pt").read_bytes()))
    with pytest.raises(ValueError, match="has hooks"):
        _script(tmp_path / "model.pt")


def test_what_comes_back_as_onnx_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Constants that are folded may be any size."""

    def write(module: str, folder: Path, what: str, failed: str) -> None:
        (folder / "model.onnx").write_bytes(bytes(11))

    monkeypatch.setattr(convert, "run_limited", write)
    monkeypatch.setattr(convert, "LARGEST", 10)
    with pytest.raises(FormatError, match="as ONNX has 11 bytes"):
        convert.converted("program", {}, [], Asked())


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("code/__torch__.py", b"#" * (2**20 + 1)),
        ("data.pkl", b"N" * 2**22 + b"."),
        ("constants.pkl", b"N" * 2**22 + b"."),
    ],
)
def test_what_is_looked_at_is_small(name: str, content: bytes) -> None:
    """The tree of a text takes hundreds of times its memory."""
    with pytest.raises(FormatError, match="bytes"):
        checked({**members(good()), name: content})


def test_weights_are_cut_out_of_the_archive_without_a_copy_of_it() -> None:
    one = [{"as_int": 1}]
    meta = {"sizes": one, "strides": one, "storage_offset": {"as_int": 3}, "dtype": 7, "layout": 7}
    content = np.arange(2**21, dtype=np.float32).tobytes() + b"?"
    tracemalloc.start()
    found = _strided(content, meta, "w")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.tolist() == [3.0]
    assert peak < 2**20


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"cos\nsystem\n(S'touch ran'\ntR.", "names 'os system'"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "in a way that torch never writes"),
        (b"c__torch__.torch.classes.evil\nEvil\n.", "names '__torch__.torch.classes"),
        (b"\xff\xff", "cannot be read"),
    ],
)
@pytest.mark.parametrize("name", ["data.pkl", "constants.pkl"])
def test_its_data_name_tensors_alone(content: bytes, said: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=said):
        checked(members(changed(good(), name, lambda old: content)))


def test_what_torch_save_writes_is_still_refused_unopened(tmp_path: Path) -> None:
    torch.save(table_net().state_dict(), tmp_path / "model.pt")
    with pytest.raises(FormatError, match="PyTorch, which is refused unopened"):
        imported(tmp_path / "model.pt")


def test_torchscript_does_not_say_what_it_takes(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(good())
    assert format_of(tmp_path / "model.pt") == "torchscript"
    with pytest.raises(FormatError, match="does not say what it takes") as error:
        imported(tmp_path / "model.pt")
    assert "--columns" in error.value.fix
    (tmp_path / "s.yaml").write_text("inputs: {photo: image}")
    with pytest.raises(BessemerError, match="how large its images are"):
        imported(tmp_path / "model.pt", signature=tmp_path / "s.yaml")


def told(change: Callable[[Any], None]) -> bytes:
    """The program with its JSON changed."""

    def write(content: bytes) -> bytes:
        value = json.loads(content)
        change(value)
        return json.dumps(value).encode()

    return changed(program(), "models/model.json", write)


def graph(value: Any) -> Any:
    return value["graph_module"]["graph"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda v: graph(v)["nodes"][0].update(target="torch.ops.aten.from_file.default"), "'aten::from_file'"),
        (lambda v: graph(v)["nodes"][0].update(target="torch.ops.evil.run.default"), "torch.ops.evil.run"),
        (lambda v: graph(v)["nodes"][0].update(target="torch.os.system"), "torch.os.system"),
        (lambda v: graph(v)["nodes"][0].update(target="_operator.methodcaller"), "_operator.methodcaller"),
        (lambda v: v.update(schema_version={"major": 99, "minor": 0}), "version 99"),
        (
            lambda v: v["graph_module"]["signature"]["output_specs"].insert(0, {"buffer_mutation": {}}),
            "changes itself",
        ),
        (
            lambda v: v["graph_module"]["signature"]["input_specs"].append({"custom_obj": {"arg": {}}}),
            "takes a custom_obj",
        ),
        (lambda v: graph(v)["tensor_values"]["input"].update(sizes=[{"as_int": 4}, {"as_int": 5}]), "takes 4 rows"),
        (lambda v: v["graph_module"].pop("graph"), "no archive of torch.export"),
    ],
)  # fmt: skip
def test_a_program_of_anything_else_is_refused(
    change: Callable[[Any], None], said: str, tmp_path: Path
) -> None:
    (tmp_path / "model.pt2").write_bytes(told(change))
    with pytest.raises(FormatError, match=said):
        imported(tmp_path / "model.pt2")


def argument(name: str) -> bytes:
    """The program with another name for an argument of its softmax."""

    def change(value: Any) -> None:
        (node,) = [one for one in graph(value)["nodes"] if "softmax" in one["target"]]
        node["inputs"][-1]["name"] = name

    return told(change)


def test_names_are_never_run(tmp_path: Path) -> None:
    """torch.fx would write the names of arguments and of values into a text of Python as they are."""
    evil = f"dim=[1, __import__('pathlib').Path({str(tmp_path / 'ran')!r}).touch()][0]) if True else dict(a"
    with pytest.raises(FormatError, match="a name in the program is 'dim="):
        program_of(members(argument(evil)))
    with pytest.raises(FormatError, match="an argument twice"):
        program_of(members(argument("self")))

    def renamed(value: Any) -> None:
        graph(value)["outputs"][0]["as_tensor"]["name"] = evil

    with pytest.raises(FormatError, match="a name in the program is 'dim="):
        program_of(members(told(renamed)))

    found = program_of(members(program()))
    ((softmax,), value) = [one for one in found.graph["nodes"] if "softmax" in one["target"]], found.graph
    given = list(softmax["inputs"])
    for inputs, said in (
        ([*given[:-1], {**given[-1], "name": evil}], "takes no 'dim="),
        ([*given[:-1], {**given[-1], "name": "dims"}], "takes no 'dims'"),
        ([*given, given[0]], "an argument twice"),
    ):
        softmax["inputs"] = inputs
        with pytest.raises(ValueError, match=said):
            Rebuilt(value, found.arrays)
    softmax["inputs"] = [*given[:-1], {"name": "dim", "arg": {"as_int": evil}}]
    with pytest.raises(ValueError, match="is no int"):
        Rebuilt(value, found.arrays)(columns(slice(3)))
    assert not (tmp_path / "ran").exists()


def test_a_rebuilt_program_says_what_the_module_says() -> None:
    found = program_of(members(program()))
    rows = columns(slice(7))
    with torch.no_grad():
        (said,) = Rebuilt(found.graph, found.arrays).eval()(rows)
        assert torch.allclose(said, table_net()(rows), atol=1e-6)


def config(change: dict[str, Any]) -> bytes:
    def write(content: bytes) -> bytes:
        value = json.loads(content)
        value["config"]["0.weight"].update(change)
        return json.dumps(value).encode()

    return changed(program(), "model_weights_config.json", write)


def meta(**changes: Any) -> dict[str, Any]:
    value = json.loads(members(program())["data/weights/model_weights_config.json"])
    return {"tensor_meta": {**value["config"]["0.weight"]["tensor_meta"], **changes}}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (lambda: config({"use_pickle": True}), "kept as a pickle"),
        (lambda: config(meta(sizes=[{"as_int": 2**40}, {"as_int": 5}])), "have sizes"),
        (lambda: config(meta(strides=[{"as_int": 5}, {"as_int": 2**30}])), "are cut"),
        (lambda: config(meta(storage_offset={"as_int": -1})), "have sizes"),
        (lambda: config(meta(dtype=10)), "of a type that is not read"),
        (lambda: changed(program(), "weight_0", lambda content: content[:7]), "are cut"),
        (lambda: packed({**members(program()), "data/aotinductor/model/a.so": b""}), "a compiled library"),
    ],
)
def test_its_weights_are_bytes_within_the_archive(data: Callable[[], bytes], said: str) -> None:
    with pytest.raises(FormatError, match=said):
        program_of(members(data()))


def test_nothing_beside_graph_and_weights_is_read(tmp_path: Path) -> None:
    """torch.export.load would evaluate the sizes, and unpickle the sample inputs."""
    evil = "__import__('pathlib').Path('ran').touch()"

    def change(value: Any) -> None:
        value["guards_code"] = [evil]
        for size in graph(value)["tensor_values"]["input"]["sizes"]:
            if "as_expr" in size:
                size["as_expr"]["expr_str"] = evil

    data = changed(told(change), "sample_inputs/model.pt", lambda content: b"cos\nsystem\n(S'touch ran'\ntR.")
    found = program_of(members(data))
    assert [one.dims for one in found.inputs] == [(5,)]
    assert set(found.arrays) == set(table_net().state_dict())
    assert not (tmp_path / "ran").exists()


def test_torch_gets_nothing_but_what_was_looked_at() -> None:
    files = members(good())
    more = {
        "model.json": b"{}",
        "attributes.pkl": b"cos\nsystem\n.",
        "code/evil.py.debug_pkl": b"",
        "extra/x": b"",
    }
    assert checked({**files, **more}) == files


def test_archives_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bessemer.importers.models.torch.archive.LARGEST", 2**20)

    def zipped(*entries: tuple[str, bytes]) -> bytes:
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in entries:
                archive.writestr(name, content)
        return made.getvalue()

    for data, said in (
        (zipped(("m/a", b"1"), ("n/b", b"2")), "beside its one folder"),
        (zipped(("a", b"1")), "beside its one folder"),
        (zipped(("m/a", b"1"))[:-9], "is damaged"),
        (zipped(*((f"m/{i}", bytes(2**18)) for i in range(5))), "unfolds to"),
    ):
        with pytest.raises(FormatError, match=said):
            members(data)
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = zipped(("m/a", b"1"), ("m/a", b"2"))
    with pytest.raises(FormatError, match="twice"):
        members(twice)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_damaged_archives_end_in_words(data: Any) -> None:
    """What is looked at before torch is asked: never a traceback. Where nothing was found, torch is not asked here."""
    script = data.draw(st.booleans())
    content = bytearray(good() if script else program())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    with contextlib.suppress(FormatError):
        files = members(bytes(content))
        if script:
            checked(files)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damaged_programs_end_in_words(data: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value somewhere in the JSON is another one."""
    value = json.loads(members(program())["models/model.json"])
    inner, key = value, None
    while isinstance(inner, dict | list) and inner:
        key = data.draw(st.sampled_from(sorted(inner) if isinstance(inner, dict) else range(len(inner))))
        parent, inner = inner, inner[key]
        if data.draw(st.integers(0, 9)) == 0:
            break
    parent[key] = data.draw(
        st.none() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
    )
    content = changed(program(), "models/model.json", lambda old: json.dumps(value).encode())
    monkeypatch.setattr("bessemer.importers.models.torch.pt2.converted", lambda *given: None)
    with contextlib.suppress(BessemerError):
        FORMATS.load("torch_export")().read(content, Asked())
