"""TorchScript looked at before torch sees it: its code is text, a small part of Python's grammar, and its data a pickle
that names classes.

`torch.jit.load` reads both in C++ and runs no Python, but code that a class has for being loaded (`__setstate__`) runs
at once, and some of torch's operators read and write files. So every name that the code calls must be on a list before
the file is given to torch.
"""

from __future__ import annotations

import ast
import pickletools
import re
from collections.abc import Collection, Iterator, Mapping

from bessemer.importers.models.foreign import refused
from bessemer.importers.models.torch.operators import check_allowed

#: Bytes of code, and of a pickle: the tree of a program takes hundreds of times as much memory as its text.
_CODE, _PICKLE = 2**20, 2**22
#: Files of an archive that are given to torch: others belong to older forms, which it would read otherwise.
_KEPT = re.compile(
    r"(data|constants)(\.pkl|/\d+)|code/.+\.py|version|byteorder|\.(format_version|storage_alignment)|\.data/\w+"
)
#: Functions of TorchScript's own without a namespace.
_PLAIN = (
    "annotate", "bool", "float", "getattr", "int", "isinstance", "len", "list", "range", "str", "tuple",
    "uninitialized", "unchecked_cast",
)  # fmt: skip
#: Methods that run when a model is loaded or kept; looked for in the bytes, however they are parsed.
_HIDDEN = re.compile(rb"__(set|get)state__")
#: Hooks of a module that has some; none are written as an empty list, or not at all.
_HOOKS = re.compile(rb"__forward_(?:pre_)?hooks__\s*=(?!\s*\[\s*\]\s*$)", re.MULTILINE)
#: Names behind which all operators stand.
_SPACES = ("torch", "ops")
#: Functions and methods that the code defines.
_METHOD = re.compile(rb"^\s*def (\w+)\(", re.MULTILINE)
#: Names for a value of a function, as TorchScript writes them.
_LOCAL = re.compile(r"_\d+")
#: What the data of a model may name, beside its own classes.
_DATA = re.compile(
    r"collections OrderedDict|torch\._utils _rebuild_(tensor_v2|parameter)"
    r"|torch (Float|Double|Half|BFloat16|Int|Long|Short|Char|Byte|Bool)Storage"
    r"|torch\.jit\._pickle build_(int|tensor|double|bool)list"
)


def checked(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """What torch may be given of an archive of TorchScript: all code and all names in it have been looked at.

    Raises:
        FormatError: it calls what is not on the list, or has what runs when it is loaded.
    """
    kept = {name: content for name, content in files.items() if _KEPT.fullmatch(name)}
    code = {name: content for name, content in kept.items() if name.startswith("code/")}
    if sum(map(len, code.values())) > _CODE:
        raise refused(f"the model has more than {_CODE:,} bytes of code")
    methods = frozenset(found.decode() for content in code.values() for found in _METHOD.findall(content))
    for name, content in code.items():
        _check_code(name, content, methods)
    for name in ("data.pkl", "constants.pkl"):
        _check_data(name, kept.get(name, b""))
    return kept


def _check_code(name: str, content: bytes, methods: Collection[str]) -> None:
    """Look at one file of code. methods: names of functions in all of them."""
    if found := _HIDDEN.search(content):
        raise refused(
            f"the model has a method '{found[0].decode()}'",
            "it runs as soon as the model is loaded, before anybody can look at it",
            "export the model as ONNX where it was trained",
        )
    if _HOOKS.search(content):
        raise refused(
            "the model has hooks, which run before or after its layers",
            "what they do is lost where it is written as ONNX",
            "take them off (`handle.remove()`), or make layers of them, and export it again",
        )
    try:
        tree = ast.parse(content.decode("utf-8"))
        bases = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        for node in ast.walk(tree):
            _check_node(node, id(node) in bases)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                _check_method(_path(node.func), methods)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise refused(f"the code '{name[:80]}' of the model cannot be read", str(error)[:200]) from None


def _check_node(node: ast.AST, base: bool) -> None:
    """Look at one node; `base`: whether an attribute of it is taken, which is then looked at itself."""
    if isinstance(node, ast.Attribute) and not base:
        _check_path(_path(node))
    elif isinstance(node, ast.Name) and not base and node.id in _SPACES:
        raise refused(f"the model gives '{node.id}' another name", "what is called by it could not be seen")
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        name = node.func.id
        if name not in _PLAIN and not _LOCAL.fullmatch(name):
            check_allowed(f"prim::{name}")


def _check_method(path: list[str], methods: Collection[str]) -> None:
    """Look at what is called on a value: a method of the model's own, or else an operator."""
    if path[0] not in (*_SPACES, "__torch__") and path[-1] not in methods:
        check_allowed(f"aten::{path[-1]}")


def _path(node: ast.Attribute) -> list[str]:
    """`torch.nn.x` as its words; the first is '' where it does not begin with a name."""
    words: list[str] = []
    inner: ast.expr = node
    while isinstance(inner, ast.Attribute):
        words.append(inner.attr)
        inner = inner.value
    return [inner.id if isinstance(inner, ast.Name) else "", *reversed(words)]


def _check_path(path: list[str]) -> None:
    if path[0] == "torch":
        check_allowed(f"aten::{'.'.join(path[1:])}")
    elif path[0] == "ops":
        check_allowed(f"{path[1]}::{'.'.join(path[2:])}")
    elif "classes" in path:
        raise refused(
            f"the model has a class of C++: '{'.'.join(path)[:100]}'", "what that does is not known"
        )


def _check_data(name: str, content: bytes) -> None:
    for said in _globals(name, content):
        if said.startswith("__torch__.torch.classes") or not (
            said.startswith("__torch__") or _DATA.fullmatch(said)
        ):
            raise refused(
                f"the data of the model names '{said[:100]}'", "that is no tensor and none of its classes"
            )


def _globals(name: str, content: bytes) -> Iterator[str]:
    """The classes and functions that a pickle names; nothing of it is made."""
    if len(content) > _PICKLE:
        raise refused(f"'{name}' of the model has {len(content):,} bytes", f"up to {_PICKLE:,} are read")
    try:
        for opcode, argument, _ in pickletools.genops(content):
            if opcode.name in ("GLOBAL", "INST"):
                yield str(argument)
            elif opcode.name in ("STACK_GLOBAL", "EXT1", "EXT2", "EXT4"):
                raise refused(f"'{name}' of the model names a class in a way that torch never writes")
    except (ValueError, IndexError, OverflowError) as error:
        raise refused(f"'{name}' of the model cannot be read", str(error)[:200]) from None
