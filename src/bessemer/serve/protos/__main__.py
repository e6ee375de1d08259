"""Compile the .proto files of this folder to `messages.binpb`: `python -m bessemer.serve.protos`."""

from __future__ import annotations

import importlib.resources
import sys
import tempfile
from pathlib import Path

from bessemer.serve.protos import COMPILED, FOLDER


def compiled() -> bytes:
    """The descriptors of all .proto files here and of what they import, as one FileDescriptorSet.

    Raises:
        RuntimeError: a file is not what the compiler takes; it has said why.
    """
    from grpc_tools import protoc

    sources = sorted(path.name for path in FOLDER.glob("*.proto"))
    known = importlib.resources.files("grpc_tools") / "_proto"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        places = [f"--proto_path={FOLDER}", f"--proto_path={known}"]
        code = protoc.main(["protoc", *places, "--include_imports", f"--descriptor_set_out={out}", *sources])
        if code:
            raise RuntimeError(f"protoc ended with {code}")
        return out.read_bytes()


if __name__ == "__main__":
    COMPILED.write_bytes(compiled())
    sys.stdout.write(f"wrote {COMPILED.name}\n")
