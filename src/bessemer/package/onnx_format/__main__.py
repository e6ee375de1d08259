"""Take the description of ONNX's messages from the `onnx` package: `python -m bessemer.package.onnx_format`."""

from __future__ import annotations

import sys

from bessemer.package.onnx_format import COMPILED


def compiled() -> bytes:
    """The FileDescriptorProto of onnx-ml.proto, as the installed `onnx` has it."""
    import onnx

    content: bytes = onnx.ModelProto.DESCRIPTOR.file.serialized_pb
    return content


if __name__ == "__main__":
    COMPILED.write_bytes(compiled())
    sys.stdout.write(f"wrote {COMPILED.name}\n")
