"""The kinds a column may be taken as, and the transform that turns each into features."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bessemer.core.plugins import PluginRef, PluginTable

if TYPE_CHECKING:
    from bessemer.prepare.transforms.base import Transform

TRANSFORMS: PluginTable[Transform] = PluginTable(
    "bessemer.transforms",
    {
        "number": PluginRef("bessemer.prepare.transforms.number:Number", summary="the value itself"),
        "boolean": PluginRef("bessemer.prepare.transforms.boolean:Boolean", summary="0 or 1"),
        "categorical": PluginRef(
            "bessemer.prepare.transforms.categorical:Categorical",
            summary="indicators, frequency, rank and cross-fitted target mean of a level",
        ),
        "timestamp": PluginRef(
            "bessemer.prepare.transforms.timestamp:Timestamp", summary="the calendar parts that vary"
        ),
        "text": PluginRef(
            "bessemer.prepare.transforms.text:Text", summary="number of words and frequent words"
        ),
        "tokens": PluginRef(
            "bessemer.prepare.transforms.tokens:Tokens",
            summary="the numbers of the first words, for networks",
        ),
        "image": PluginRef(
            "bessemer.prepare.transforms.image:Image",
            extra="images",
            requires=("onnxruntime_extensions", "PIL"),
            summary="the pixels of PNG and JPEG files in base64",
        ),
        "embedding": PluginRef(
            "bessemer.prepare.transforms.embedding:Embedding",
            extra="embeddings",
            requires=("safetensors",),
            summary="the answer of a pretrained sentence encoder, from a folder",
        ),
    },
)

#: What `as:` may say to leave a column out.
IGNORE = "ignore"
