"""A pretrained BERT from the folder that `transformers` or `sentence-transformers` saved it in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from bessemer.core.errors import UsageError
from bessemer.prepare.transforms.embedding_bert import Bert
from bessemer.prepare.transforms.embedding_characters import Rules
from bessemer.prepare.transforms.embedding_words import WordPieces

T = TypeVar("T", dict[str, Any], list[Any])

#: What the folder has to hold, and what else is looked at where it is there.
FILES = ("config.json", "model.safetensors", "vocab.txt")
_TOKENIZER, _LENGTH, _POOLING, _STEPS = (
    "tokenizer_config.json",
    "sentence_bert_config.json",
    "1_Pooling/config.json",
    "modules.json",
)
READ = (*FILES, _TOKENIZER, _LENGTH, _POOLING, _STEPS)
#: What a pooling is called, by older and by newer versions of `sentence-transformers`.
_POOLINGS = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "mean": "mean",
    "cls": "cls",
}
#: Bytes of weights: a graph is one file of at most 2 GB, and a package carries it.
_MOST_BYTES = 2**30
#: No number of layers, heads or values is larger.
_MOST_SIZE = 65_536
#: Pieces that are read of a text where nobody says how many, and no fewer: its two ends and one between them.
_USUAL_LENGTH, _LEAST_LENGTH = 256, 3


def read_bert(folder: Path, length: int | None = None) -> Bert:
    """The encoder in a folder, as `transformers` or `sentence-transformers` save one.

    Args:
        length: pieces of a text that are read; what the folder says, where nothing is said.

    Raises:
        UsageError: the folder lacks something, or is of a model that these nodes are not of.
    """
    if missing := [name for name in FILES if not (folder / name).is_file()]:
        raise UsageError(
            f"no pretrained model in '{folder}': there is no {missing[0]}",
            why=f"an embedding needs a folder of a BERT model with {', '.join(FILES)}",
            fix="give the folder that `SentenceTransformer.save` or `save_pretrained` wrote",
        )
    config = _json(folder / "config.json", dict)
    _check_kind(config, folder)
    weights = _weights(folder / "model.safetensors", _shapes(config))
    most = int(config["max_position_embeddings"])
    if length is not None and not _LEAST_LENGTH <= length <= most:
        raise UsageError(
            f"length {length} is not between {_LEAST_LENGTH} and {most}",
            why=f"the model in '{folder}' has places for {most} pieces",
            fix=f"say `length: {most}` or less",
        )
    return Bert(
        _words(folder, weights["embeddings.word_embeddings.weight"].shape[0]),
        weights,
        layers=config["num_hidden_layers"],
        heads=config["num_attention_heads"],
        epsilon=float(config.get("layer_norm_eps", 1e-12)),
        length=min(length or _length(folder), most),
        pooling=_pooling(folder),
        unit=_unit(folder),
    )


def _length(folder: Path) -> int:
    """Pieces of a text that are read, as the folder says."""
    for name, key in ((_LENGTH, "max_seq_length"), (_TOKENIZER, "model_max_length")):
        said = _optional(folder / name, dict).get(key)
        if type(said) is int and said >= _LEAST_LENGTH:
            return said
    return _USUAL_LENGTH


def _pooling(folder: Path) -> str:
    """How one vector is made of all pieces' vectors: the mean, where the folder has no file about it.

    Either `pooling_mode` names it, or one of several settings is true.
    """
    if not (folder / _POOLING).is_file():
        return "mean"
    said = _json(folder / _POOLING, dict)
    asked = [name for name, value in said.items() if name.startswith("pooling_mode_") and value is True]
    if (named := said.get("pooling_mode")) is not None:
        asked += map(str, named) if isinstance(named, list) else [str(named)]
    if len(asked) != 1 or asked[0] not in _POOLINGS:
        raise UsageError(
            f"the model in '{folder}' pools by {' and '.join(asked) or 'nothing that is known'}",
            why=f"'{_POOLING}' says so; an embedding is the mean of the pieces' vectors, or the first of them",
            fix="take a model with pooling_mode 'mean' or 'cls', or with pooling_mode_mean_tokens or "
            "pooling_mode_cls_token",
        )
    return _POOLINGS[asked[0]]


def _unit(folder: Path) -> bool:
    """Whether the vector is brought to length 1, as it is where the folder does not list its steps."""
    steps = [str(step.get("type", "")).rpartition(".")[2] for step in _optional(folder / _STEPS, list)]
    if unknown := [step for step in steps if step not in ("Transformer", "Pooling", "Normalize")]:
        raise UsageError(
            f"the model in '{folder}' has a step {unknown[0]}",
            why="an embedding is a transformer, a pooling and a normalisation",
            fix="take a sentence encoder without further layers, such as all-MiniLM-L6-v2",
        )
    return not steps or "Normalize" in steps


def _check_kind(config: Mapping[str, Any], folder: Path) -> None:
    """Refuse what the nodes above do not compute."""
    wanted = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
    for key, word in wanted.items():
        if (found := config.get(key, word)) != word:
            raise UsageError(
                f"the model in '{folder}' has {key} '{found}'",
                why=f"an embedding is computed by nodes of a BERT with {key} '{word}'",
                fix="take a sentence encoder of the BERT family, such as all-MiniLM-L6-v2 or bge-small-en-v1.5",
            )
    sizes = (
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "max_position_embeddings",
    )
    for key in sizes:
        if type(config.get(key)) is not int or not 1 <= config[key] <= _MOST_SIZE:
            raise UsageError(
                f"'{folder}/config.json' says {config.get(key)!r} for {key}",
                fix=f"it must be a whole number from 1 to {_MOST_SIZE}",
            )
    if config["hidden_size"] % config["num_attention_heads"]:
        raise UsageError(
            f"'{folder}/config.json' parts {config['hidden_size']} values among {config['num_attention_heads']} heads",
            fix="give the folder as it was saved: the heads have the same number of values each",
        )


def _shapes(config: Mapping[str, Any]) -> dict[str, tuple[int | None, ...]]:
    """The tensors of a BERT and their shapes, None for any size; not its pooler, which sentence encoders leave out."""
    size, wide = config["hidden_size"], config["intermediate_size"]
    norm = {"LayerNorm.weight": (size,), "LayerNorm.bias": (size,)}
    kinds = {"word": None, "position": config["max_position_embeddings"], "token_type": None}
    dense = {f"attention.self.{part}": (size, size) for part in ("query", "key", "value")}
    dense |= {"attention.output.dense": (size, size), "intermediate.dense": (wide, size)}
    dense |= {"output.dense": (size, wide)}
    layer: dict[str, tuple[int, ...]] = {}
    for name, shape in dense.items():
        layer |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for name in ("attention.output", "output"):
        layer |= {f"{name}.{part}": shape for part, shape in norm.items()}
    return {
        **{f"embeddings.{kind}_embeddings.weight": (rows, size) for kind, rows in kinds.items()},
        **{f"embeddings.{part}": shape for part, shape in norm.items()},
        **{
            f"encoder.layer.{i}.{name}": shape
            for i in range(config["num_hidden_layers"])
            for name, shape in layer.items()
        },
    }


def _weights(path: Path, shapes: Mapping[str, tuple[int | None, ...]]) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError, safe_open

    if path.stat().st_size > _MOST_BYTES:
        raise UsageError(
            f"'{path}' has {path.stat().st_size / 2**30:.1f} GB of weights, more than 1 GB",
            why="they become part of the graph, and of the package",
            fix="take a smaller model: all-MiniLM-L6-v2 has 90 MB",
        )
    try:
        with safe_open(path, framework="numpy") as file:
            there = set(file.keys())
            prefix = next((p for p in ("", "bert.") if f"{p}{next(iter(shapes))}" in there), "")
            if missing := [name for name in shapes if f"{prefix}{name}" not in there]:
                raise UsageError(
                    f"'{path}' has no tensor '{missing[0]}'",
                    why=f"{len(missing)} of the {len(shapes)} tensors of a BERT are missing",
                    fix="give the weights that belong to config.json",
                )
            return {name: _read(file, f"{prefix}{name}", shape, path) for name, shape in shapes.items()}
    except (SafetensorError, TypeError) as error:
        raise UsageError(
            f"'{path}' cannot be read",
            why=str(error),
            fix="save the model as safetensors in float32 or float16",
        ) from None


def _read(file: Any, name: str, shape: tuple[int | None, ...], path: Path) -> np.ndarray:
    """One tensor as float32, if it is of that shape."""
    array: np.ndarray = file.get_tensor(name)
    if len(array.shape) != len(shape) or any(
        want not in (None, has) for has, want in zip(array.shape, shape, strict=True)
    ):
        raise UsageError(
            f"tensor '{name}' is {array.shape}, not {tuple('any' if n is None else n for n in shape)}",
            why=f"'{path}' does not fit its config.json",
            fix="give the folder as it was saved, all of its files from one model",
        )
    if array.dtype.kind != "f" or not np.isfinite(array).all():
        raise UsageError(
            f"tensor '{name}' in '{path}' is no array of finite numbers",
            fix="save the model again, in float32",
        )
    return array.astype(np.float32)


def _words(folder: Path, pieces: int) -> WordPieces:
    text = (
        (folder / "vocab.txt").read_bytes().decode("utf-8", "replace")
    )  # what is no UTF-8 is no piece of a text
    vocabulary = tuple(line.removesuffix("\r") for line in text.removesuffix("\n").split("\n"))
    special = [word for word in ("[UNK]", "[CLS]", "[SEP]") if word not in vocabulary]
    if len(vocabulary) != pieces or len(set(vocabulary)) != pieces or special:
        why = (
            f"it has no {special[0]}"
            if special
            else f"it has {len(set(vocabulary))} pieces, and there are {pieces}"
        )
        raise UsageError(
            f"'{folder}/vocab.txt' does not fit the weights",
            why=why,
            fix="give the folder as it was saved, all of its files from one model",
        )
    said = _optional(folder / _TOKENIZER, dict)
    lower = bool(said.get("do_lower_case", True))
    bare = said.get("strip_accents")
    rules = Rules(
        lower, lower if bare is None else bool(bare), bool(said.get("tokenize_chinese_chars", True))
    )
    return WordPieces(vocabulary, rules)


def _optional(path: Path, kind: type[T]) -> T:
    """What a JSON file holds; nothing where there is none."""
    return _json(path, kind) if path.is_file() else kind()


def _json(path: Path, kind: type[T]) -> T:
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise UsageError(f"'{path}' is no JSON", why=str(error), fix="save the model again") from None
    if not isinstance(found, kind) or not all(isinstance(one, dict) for one in found if kind is list):
        raise UsageError(f"'{path}' is not as models are saved", fix="save the model again")
    return found
