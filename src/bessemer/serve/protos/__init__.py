"""The messages that dialects of gRPC speak in, from `messages.binpb`.

They live in a descriptor pool of their own: a client library in the same process, which has messages of the same names,
does not meet them. The .proto files beside this one say what they are; `python -m bessemer.serve.protos` compiles them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
COMPILED = FOLDER / "messages.binpb"


@cache
def pool() -> Any:
    """The descriptor pool with all messages."""
    from google.protobuf.descriptor_pb2 import FileDescriptorSet
    from google.protobuf.descriptor_pool import DescriptorPool

    found = DescriptorPool()
    for file in FileDescriptorSet.FromString(COMPILED.read_bytes()).file:
        found.Add(file)
    return found


@cache
def message(name: str) -> Any:
    """The class of a message.

    Args:
        name: with its package: 'inference.ModelInferRequest'.

    Raises:
        KeyError: there is none.

    >>> message("inference.ServerLiveResponse")(live=True).SerializeToString()
    b'\\x08\\x01'
    """
    from google.protobuf.message_factory import GetMessageClass

    return GetMessageClass(pool().FindMessageTypeByName(name))
