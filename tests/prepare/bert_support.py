"""A BERT of two thin layers in a folder, and what other implementations make of its texts."""

from __future__ import annotations

import json
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

SIZE, HEADS, LAYERS, PLACES, WIDE = 8, 2, 2, 24, 20
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
#: Letters of many scripts, alone and going on, and some longer pieces that share beginnings.
LETTERS = [*string.ascii_lowercase, *string.digits, *"éßαςσωабвгджя한국가中日あがアंिعربي½ﬁ"]
JAMO = ["ᄒ", "ᅡ", "ᆫ", "ᄀ", "ᅮ", "ᆨ"]
WORDS = [
    "un",
    "una",
    "##ffa",
    "##ff",
    "##able",
    "##ble",
    "the",
    "them",
    "##me",
    "great",
    "##er",
    "##est",
    "lat",
]
VOCABULARY = [
    *SPECIAL,
    *LETTERS,
    *JAMO,
    *(f"##{letter}" for letter in [*LETTERS, *JAMO] if letter not in "中日"),
    *string.punctuation,
    *"¿—…€😀",
    *string.ascii_uppercase,
    *WORDS,
]


def weights(seed: int = 0, pieces: int = len(VOCABULARY)) -> dict[str, np.ndarray]:
    """Random weights, with the names of the file."""
    rng = np.random.default_rng(seed)

    def drawn(*shape: int) -> np.ndarray:
        return rng.normal(0, 0.5, shape).astype(np.float32)

    found = {
        "embeddings.word_embeddings.weight": drawn(pieces, SIZE),
        "embeddings.position_embeddings.weight": drawn(PLACES, SIZE),
        "embeddings.token_type_embeddings.weight": drawn(2, SIZE),
        "pooler.dense.weight": drawn(SIZE, SIZE),
    }
    norms = ["embeddings.LayerNorm"]
    for i in range(LAYERS):
        at = f"encoder.layer.{i}."
        norms += [f"{at}attention.output.LayerNorm", f"{at}output.LayerNorm"]
        shapes = {f"attention.self.{part}": (SIZE, SIZE) for part in ("query", "key", "value")}
        shapes |= {
            "attention.output.dense": (SIZE, SIZE),
            "intermediate.dense": (WIDE, SIZE),
            "output.dense": (SIZE, WIDE),
        }
        for name, shape in shapes.items():
            found |= {f"{at}{name}.weight": drawn(*shape), f"{at}{name}.bias": drawn(shape[0])}
    return {**found, **{f"{name}.{value}": 1 + drawn(SIZE) for name in norms for value in ("weight", "bias")}}


def write(folder: Path, *, config: Mapping[str, Any] | None = None, **files: Any) -> Path:
    """The folder of such a model; `files` are further JSON files, by names with __ for dots."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    said = {
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": SIZE,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "intermediate_size": WIDE,
        "max_position_embeddings": PLACES,
        "layer_norm_eps": 1e-12,
    }
    (folder / "config.json").write_text(json.dumps({**said, **(config or {})}))
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", "utf-8")
    save_file(weights(), folder / "model.safetensors")
    for name, content in files.items():
        path = folder / name.replace("__", ".").replace("_in_", "/")
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
    return folder


def reference_words(vocabulary: list[str], length: int, **rules: Any) -> Any:
    """Text -> ids by the library `tokenizers`."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    ids = {piece: i for i, piece in enumerate(vocabulary)}
    made = Tokenizer(models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100))
    made.normalizer = normalizers.BertNormalizer(**rules)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.BertProcessing(("[SEP]", ids["[SEP]"]), ("[CLS]", ids["[CLS]"]))
    made.enable_truncation(length)
    return lambda text: made.encode(text).ids


def reference_states(
    ids: list[int], values: Mapping[str, np.ndarray], *, heads: int, layers: int, prefix: str = ""
) -> np.ndarray:
    """Ids -> (T, D) by torch's own transformer layers."""
    import torch
    from torch import nn
    from torch.nn import functional

    given = {name.removeprefix(prefix): torch.from_numpy(np.array(value)) for name, value in values.items()}

    def embedded(kind: str, rows: Any) -> Any:
        return given[f"embeddings.{kind}_embeddings.weight"][rows]

    x = embedded("word", ids) + embedded("position", slice(len(ids))) + embedded("token_type", 0)
    size, wide = x.shape[1], len(given["encoder.layer.0.intermediate.dense.bias"])
    norm = (given[f"embeddings.LayerNorm.{value}"] for value in ("weight", "bias"))
    x = functional.layer_norm(x, (size,), *norm, eps=1e-12)
    for i in range(layers):
        layer = nn.TransformerEncoderLayer(size, heads, wide, 0, "gelu", 1e-12, batch_first=True).eval()
        own = {name.removeprefix(f"encoder.layer.{i}."): v for name, v in given.items()}
        qkv = ("query", "key", "value")
        state = {
            f"self_attn.in_proj_{kind}": torch.cat([own[f"attention.self.{part}.{kind}"] for part in qkv])
            for kind in ("weight", "bias")
        }
        names = {
            "self_attn.out_proj": "attention.output.dense",
            "norm1": "attention.output.LayerNorm",
            "linear1": "intermediate.dense",
            "linear2": "output.dense",
            "norm2": "output.LayerNorm",
        }
        state |= {f"{a}.{kind}": own[f"{b}.{kind}"] for a, b in names.items() for kind in ("weight", "bias")}
        layer.load_state_dict(state)
        with torch.no_grad():
            x = layer(x[None])[0]
    return x.numpy()
