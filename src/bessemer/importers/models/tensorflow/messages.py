"""The messages of a SavedModel, as far as they are looked at: TensorFlow itself need not be there.

Of each message only the fields that matter are described; protobuf keeps all others as they are. Numbers are those of
tensorflow/core/protobuf/{saved_model,meta_graph,saved_object_graph}.proto and tensorflow/core/framework/{graph,
function,node_def,attr_value}.proto, which never change.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

_ONE, _MANY = False, True
#: Message -> field -> (number, whether there may be many, its message; '' for bytes).
_MESSAGES: Mapping[str, Mapping[str, tuple[int, bool, str]]] = {
    "SavedModel": {"meta_graphs": (2, _MANY, "MetaGraph")},
    "MetaGraph": {
        "graph": (2, _ONE, "Graph"),
        "saver": (3, _ONE, ""),
        "collections": (4, _MANY, ""),
        "signatures": (5, _MANY, "Named"),
        "assets": (6, _MANY, ""),
        "objects": (7, _ONE, "Objects"),
    },
    "Graph": {"nodes": (1, _MANY, "Node"), "library": (2, _ONE, "Library")},
    "Library": {
        "functions": (1, _MANY, "Function"),
        "gradients": (2, _MANY, "Gradient"),
        "registered_gradients": (3, _MANY, "Gradient"),
    },
    "Gradient": {"of": (1, _ONE, ""), "by": (2, _ONE, "")},
    "Function": {"signature": (1, _ONE, "Signature"), "nodes": (3, _MANY, "Node")},
    "Signature": {"name": (1, _ONE, "")},
    "Node": {"name": (1, _ONE, ""), "op": (2, _ONE, ""), "attributes": (5, _MANY, "Attribute")},
    "Attribute": {"name": (1, _ONE, ""), "value": (2, _ONE, "Value")},
    "Value": {"list": (1, _ONE, "Values"), "function": (10, _ONE, "Call")},
    "Values": {"functions": (9, _MANY, "Call")},
    "Call": {"name": (1, _ONE, ""), "attributes": (2, _MANY, "Attribute")},
    "Objects": {"nodes": (1, _MANY, "Object"), "functions": (2, _MANY, "Named")},
    "Object": {"asset": (5, _ONE, "")},
    "Named": {"name": (1, _ONE, "")},
}


@cache
def message(name: str) -> Any:
    """The class of a message."""
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message_factory import GetMessageClass

    file = FileDescriptorProto(name="saved_model.proto", package="saved", syntax="proto2")
    kind = FieldDescriptorProto
    for title, fields in _MESSAGES.items():
        described = file.message_type.add(name=title)
        for field, (number, many, inner) in fields.items():
            described.field.add(
                name=field,
                number=number,
                label=kind.LABEL_REPEATED if many else kind.LABEL_OPTIONAL,
                type=kind.TYPE_MESSAGE if inner else kind.TYPE_BYTES,
                type_name=f".saved.{inner}" if inner else None,
            )
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName(f"saved.{name}"))
