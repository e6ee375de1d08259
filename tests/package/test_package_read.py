"""What is refused when a package is read, and with which words."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bessemer.core.errors import (
    FormatError,
    IntegrityError,
    PackageError,
    SignatureError,
    StoreError,
    UsageError,
)
from bessemer.package import keys
from bessemer.package.container import pack, unpack
from bessemer.package.graph import GraphBuilder, serialize
from bessemer.package.manifest import Manifest, describe
from bessemer.package.read import read_package, verify_package
from bessemer.package.write import write_package

GOLDEN = Path(__file__).parent / "golden"


def seal(members: dict[str, bytes], key: Ed25519PrivateKey, **changes: Any) -> bytes:
    """A package of these members, signed, whatever they are: what a hostile writer with a trusted key could do."""
    facts = {"name": "n", "version": "1", "created": "", "bessemer": "9.0", "task": "binary", "target": "y"}
    manifest = json.loads(Manifest(**facts, members=describe(members)).to_bytes())
    data = json.dumps(manifest | changes).encode()
    return b"".join(pack({**members, "manifest.json": data, "manifest.sig": keys.sign(key, data)}))


@pytest.fixture
def key() -> Ed25519PrivateKey:
    return keys.signing_key()


@pytest.fixture
def content(make_trained: Any, members: Any) -> dict[str, bytes]:
    return members(make_trained("binary", "linear"))


def test_a_package_reads_back_and_verifies(write: Any, make_trained: Any, content: dict[str, bytes]) -> None:
    path = write(make_trained("binary", "linear"))
    package = read_package(path)
    assert {name: package.bytes(name) for name in package.members} == content
    assert package.json("model.json")["learner"] == "linear"
    assert read_package(path.read_bytes()).manifest == package.manifest
    report = verify_package(str(path))
    assert [c["check"] for c in report["checks"]] == ["container", "signature", "format", "digests", "graph"]
    assert report["key"] == keys.existing_key_id()
    assert report["name"] == "churn"
    assert json.loads(json.dumps(report)) == report
    with pytest.raises(PackageError, match=r"no 'model\.jso'") as caught:
        package.bytes("model.jso")
    assert "'model.json'" in caught.value.fix


def test_two_packages_differ_in_the_manifests_time_and_signature_only(write: Any, make_trained: Any) -> None:
    made = make_trained("binary", "linear")
    assert write(made, "a.bsm").read_bytes() == write(made, "b.bsm").read_bytes()


def test_it_reads_from_an_fsspec_url(write: Any, make_trained: Any) -> None:
    path = write(make_trained("binary", "linear"))
    assert read_package(f"file://{path}").manifest.name == "churn"
    with pytest.raises(PackageError, match="no package 'file://"):
        read_package(f"file://{path}x")
    with pytest.raises(PackageError, match="cannot read the package 'nonsense://"):
        read_package("nonsense://x")


def test_a_missing_file_names_its_neighbour(write: Any, make_trained: Any, tmp_path: Path) -> None:
    write(make_trained("binary", "linear"))
    with pytest.raises(PackageError, match="no package") as caught:
        read_package(tmp_path / "chrn.bsm")
    assert caught.value.fix == "did you mean 'churn.bsm'?"
    with pytest.raises(PackageError, match="cannot read"):
        read_package(tmp_path)


def small() -> bytes:
    """A whole package in 2 kB, so that flips hit every part of it."""
    g = GraphBuilder("small")
    g.input("x", "float32", ("N", 1))
    g.output(g.op("Identity", ["x"], name="score"), "float32", ("N", 1))
    g.output(g.op("Identity", ["x"], name="prediction"), "float32", ("N", 1))
    inputs = [{"name": "x", "dtype": "number", "tensor": "float32"}]
    signature = {"inputs": inputs, "outputs": [], "task": "regression", "target": "y", "classes": []}
    members = {
        "model.onnx": serialize(g.model()),
        "signature.json": json.dumps(signature).encode(),
        "model.json": b"{}",
    }
    return seal(members, SMALL_KEY)


SMALL_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SMALL_TRUST = [keys.public_of(SMALL_KEY)]
SMALL = small()


def test_the_small_package_reads() -> None:
    assert read_package(SMALL, trust=SMALL_TRUST).manifest.name == "n"


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(1, 255)), min_size=1, max_size=4))
def test_random_damage_is_always_a_package_error(flips: list[tuple[int, int]]) -> None:
    changed = bytearray(SMALL)
    for place, flip in flips:
        changed[place] ^= flip
    if changed != SMALL:
        with pytest.raises(PackageError):
            read_package(bytes(changed), trust=SMALL_TRUST)


def test_every_single_byte_matters() -> None:
    for place in range(len(SMALL)):
        changed = bytearray(SMALL)
        changed[place] ^= 0x41
        with pytest.raises(PackageError):
            read_package(bytes(changed), trust=SMALL_TRUST)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.dictionaries(st.sampled_from(["manifest.json", "manifest.sig", "model.onnx"]), st.binary(max_size=120))
)
def test_noise_in_place_of_members_is_always_a_package_error(noise: dict[str, bytes]) -> None:
    members = {name: bytes(content) for name, content in unpack(SMALL).items()}
    if noise:
        with pytest.raises(PackageError):
            read_package(b"".join(pack(members | noise)), trust=SMALL_TRUST)


def test_a_changed_member_with_right_checksums_is_an_integrity_error() -> None:
    members = {name: bytes(content) for name, content in unpack(SMALL).items()}
    with pytest.raises(IntegrityError, match=r"'model\.json' differs"):
        read_package(b"".join(pack(members | {"model.json": b"[]"})), trust=SMALL_TRUST)
    with pytest.raises(IntegrityError, match=r"'model\.json' has 3 bytes"):
        read_package(b"".join(pack(members | {"model.json": b"{ }"})), trust=SMALL_TRUST)
    with pytest.raises(IntegrityError, match=r"'extra\.json' is not in the signed manifest"):
        read_package(b"".join(pack(members | {"extra.json": b""})), trust=SMALL_TRUST)
    del members["model.json"]
    with pytest.raises(IntegrityError, match=r"'model\.json' is missing"):
        read_package(b"".join(pack(members)), trust=SMALL_TRUST)
    del members["manifest.sig"]
    with pytest.raises(FormatError, match=r"no 'manifest\.sig'"):
        read_package(b"".join(pack(members)), trust=SMALL_TRUST)


def test_a_signature_of_another_package_is_wrong(content: dict[str, bytes], key: Ed25519PrivateKey) -> None:
    members = {name: bytes(data) for name, data in unpack(SMALL).items()}
    other = unpack(seal({**content, "more.json": b""}, SMALL_KEY))
    members["manifest.sig"] = bytes(other["manifest.sig"])
    with pytest.raises(SignatureError, match="is wrong"):
        read_package(b"".join(pack(members)), trust=SMALL_TRUST)
    stranger = keys.sign(Ed25519PrivateKey.generate(), members["manifest.json"])
    with pytest.raises(SignatureError, match="not trusted"):
        read_package(b"".join(pack(members | {"manifest.sig": stranger})), trust=SMALL_TRUST)


def test_a_stranger_is_trusted_by_key_file_or_for_good(tmp_path: Path) -> None:
    path = tmp_path / "theirs.bsm"
    path.write_bytes(SMALL)
    public = tmp_path / "their.pub"
    public.write_bytes(keys.public_pem(SMALL_TRUST[0]))
    with pytest.raises(SignatureError) as caught:
        read_package(path)
    assert f"bessemer verify {path} --key FILE" in caught.value.fix
    assert read_package(path, key=public).public_key == SMALL_TRUST[0]
    kept = keys.trust_key(public)
    assert kept.name == f"{keys.key_id(SMALL_TRUST[0])}.pub"
    assert read_package(path).manifest.name == "n"


def test_an_unknown_format_says_what_reads_it(content: dict[str, bytes], key: Ed25519PrivateKey) -> None:
    for number in (2, 0, True, "1", None):
        with pytest.raises(FormatError, match=r"this version reads 1") as caught:
            read_package(seal(content, key, format=number))
        assert "bessemer>=9.0" in caught.value.fix
    with pytest.raises(FormatError, match="does not say what format 1 says"):
        read_package(seal(content, key, name=3))


@pytest.mark.parametrize("broken", [b"", b"[]", b"{}", b"{" * 5000, b"\xff\xfe"])
def test_a_signed_manifest_that_is_none(
    content: dict[str, bytes], key: Ed25519PrivateKey, broken: bytes
) -> None:
    members = {**content, "manifest.json": broken, "manifest.sig": keys.sign(key, broken)}
    with pytest.raises(FormatError, match="cannot be read"):
        read_package(b"".join(pack(members)))


@pytest.mark.parametrize("name", ["model.onnx", "signature.json", "model.json"])
def test_a_package_without_its_core_is_refused(
    content: dict[str, bytes], key: Ed25519PrivateKey, name: str
) -> None:
    del content[name]
    with pytest.raises(FormatError, match=f"no '{name}'"):
        read_package(seal(content, key))


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"inputs": [{"nam": 1}]}'])
def test_a_signature_json_that_is_none(
    content: dict[str, bytes], key: Ed25519PrivateKey, text: bytes
) -> None:
    with pytest.raises(FormatError, match=r"'signature\.json' of the package cannot be read"):
        read_package(seal({**content, "signature.json": text}, key))


def _external(model: Any) -> None:
    tensor = model.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")


def _external_in_a_branch(model: Any) -> None:
    inner = onnx.helper.make_graph([], "inner", [], [])
    inner.initializer.append(onnx.numpy_helper.from_array(np.zeros(1), "w"))
    inner.initializer[0].external_data.add(key="location", value="../secret")
    model.graph.node.append(onnx.helper.make_node("If", ["c"], ["d"], then_branch=inner, else_branch=inner))


def _external_in_an_attribute(model: Any) -> None:
    tensor = onnx.numpy_helper.from_array(np.zeros(1), "w")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    model.graph.node.append(onnx.helper.make_node("Constant", [], ["d"], value=tensor))


def _foreign_in_a_branch(model: Any) -> None:
    inner = onnx.helper.make_graph([onnx.helper.make_node("Run", [], ["z"], domain="evil")], "inner", [], [])
    model.graph.node.append(onnx.helper.make_node("If", ["c"], ["d"], then_branch=inner, else_branch=inner))


def _function(model: Any) -> None:
    model.functions.add(name="f", domain="local")


UNSAFE = {
    "outside the package": [_external, _external_in_a_branch, _external_in_an_attribute],
    "foreign operators": [
        _foreign_in_a_branch,
        lambda m: setattr(m.graph.node[0], "domain", "com.microsoft"),
        lambda m: m.opset_import.add(domain="com.microsoft.nchwc", version=1),
    ],
    "local functions": [_function],
    "newer operator set": [lambda m: setattr(m.opset_import[0], "version", 99)],
    "newer ONNX version": [lambda m: setattr(m, "ir_version", 99)],
    "takes other inputs": [
        lambda m: setattr(m.graph.input[0], "name", "other"),
        lambda m: m.graph.input.pop(),
    ],
    "no output 'score'": [lambda m: m.graph.output.pop()],
}


@pytest.mark.parametrize(("what", "change"), [(w, c) for w, changes in UNSAFE.items() for c in changes])
def test_an_unsafe_graph_is_refused(
    content: dict[str, bytes], key: Ed25519PrivateKey, what: str, change: Any
) -> None:
    model = onnx.load_model_from_string(content["model.onnx"])
    change(model)
    with pytest.raises(FormatError, match=what):
        read_package(seal({**content, "model.onnx": model.SerializeToString()}, key))


def test_a_graph_that_is_no_graph(content: dict[str, bytes], key: Ed25519PrivateKey) -> None:
    with pytest.raises(FormatError, match="not an ONNX model"):
        read_package(seal({**content, "model.onnx": b"\xff" * 50}, key))


def test_writing_what_cannot_be_read_leaves_nothing(
    content: dict[str, bytes], key: Ed25519PrivateKey, tmp_path: Path
) -> None:
    facts = {"name": "n", "version": "1", "created": "", "task": "binary", "target": "y", "key": key}
    folder = tmp_path / "out"
    del content["model.json"]
    with pytest.raises(FormatError):
        write_package(folder / "a.bsm", content, **facts)
    with pytest.raises(UsageError, match=r"'manifest\.json' is written by Bessemer"):
        write_package(folder / "a.bsm", {**content, "manifest.json": b""}, **facts)
    assert list(folder.iterdir()) == []


def test_writing_takes_files(content: dict[str, bytes], key: Ed25519PrivateKey, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(content["model.onnx"])
    mixed: dict[str, bytes | Path] = {**content, "model.onnx": tmp_path / "model.onnx"}
    facts = {"name": "n", "version": "1", "created": "", "task": "binary", "target": "y"}
    made = write_package(tmp_path / "a.bsm", mixed, **facts)
    assert made.bytes("model.onnx") == content["model.onnx"]


def test_a_read_only_folder_is_said_so(
    content: dict[str, bytes], key: Ed25519PrivateKey, read_only_folder: Path
) -> None:
    facts = {"name": "n", "version": "1", "created": "", "task": "binary", "target": "y"}
    with pytest.raises(StoreError, match="not allowed to write"):
        write_package(read_only_folder / "a.bsm", content, **facts, key=key)


def test_golden_format_1_reads_for_ever(tmp_path: Path) -> None:
    """The file was written by the first version and is never written again."""
    from bessemer.package.model import load

    model = load(shutil.copy(GOLDEN / "format-1.bsm", tmp_path / "old.bsm"), key=GOLDEN / "signer.pub")
    assert model.manifest.format == 1
    assert (model.name, model.version, model.task) == ("golden", "1.0.0", "binary")
    expected = json.loads((GOLDEN / "format-1.json").read_text())
    out = model.predict(model.sample, explain=True).to_pydict()
    assert out.keys() == expected.keys()
    assert out["prediction"] == expected["prediction"]
    for name in set(out) - {"prediction"}:
        np.testing.assert_allclose(out[name], expected[name], atol=1e-6)
