"""Which encoder, or which objective: a name, or `{name: {setting: value}}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bessemer.core.blocks import Block
from bessemer.core.errors import UsageError, did_you_mean
from bessemer.core.plugin_settings import checked_settings, parse_named
from bessemer.core.plugins import PluginTable
from bessemer.train.networks.plugins import ENCODERS, OBJECTIVES, USUAL

_NAMES = {"image": "image_encoder", "tokens": "text_encoder", "embedding": "embedding_encoder"}
#: Of each kind of input, the parameter that names its encoder.
PARAMETERS: Mapping[str, str] = {**_NAMES, "table": "table_encoder"}


def objective_fault(value: Any) -> str:
    """What is wrong with an objective, or ''."""
    return _fault(value, OBJECTIVES, "an objective", "plain")[0]


def encoder_fault(value: Any, kind: str = "") -> str:
    """What is wrong with an encoder, here for one kind of input, or ''."""
    fault, name = _fault(value, ENCODERS, "an encoder", USUAL.get(kind, "mlp"))
    if fault or not kind or kind in ENCODERS.load(name).KINDS:
        return fault
    fit = [other for other in ENCODERS if kind in ENCODERS.load(other).KINDS]
    return f"{name} is no encoder of kind {kind}; those are {', '.join(fit)}"


def encoders_fault(value: Any) -> str:
    """What is wrong with a mapping from columns to encoders, or ''."""
    if not isinstance(value, dict):
        return f"{value!r} is not a mapping: write {{photo: resnet}}"
    faults = {str(column): encoder_fault(one) for column, one in value.items()}
    return "; ".join(f"{column}: {fault}" for column, fault in faults.items() if fault)


def _fault(value: Any, table: PluginTable[Any], noun: str, example: str) -> tuple[str, str]:
    """What is wrong, or '', and the name."""
    try:
        asked = parse_named([value], table, noun, example)
    except ValueError as error:
        return str(error), ""
    return ("" if len(asked) == 1 else f"one at a time, and these are {len(asked)}"), next(iter(asked), "")


def opened(value: Any, table: PluginTable[Any], *more: Any) -> Any:
    """The plug-in, made with its settings and what else its constructor takes."""
    name, settings = (value, {}) if isinstance(value, str) else next(iter(value.items()))
    kind: Any = table.load(name)
    return kind(
        kind.Settings.model_validate(checked_settings(name, settings or {}, table, "a plug-in")), *more
    )


def kind_of(value: Any, table: PluginTable[Any]) -> Any:
    """The class of the plug-in that a name, or `{name: {setting: value}}`, means."""
    return table.load(value if isinstance(value, str) else next(iter(value)))


def encoders_of(sources: Sequence[Any], params: Mapping[str, Any]) -> list[Any]:
    """An encoder for each source: its column's own, or that of its kind.

    Raises:
        UsageError: `encoders` names what is no image, text or embedding, or an encoder of another kind.
    """
    blocks = {source.group: source for source in sources if isinstance(source, Block)}
    own = params["encoders"] or {}
    for column, value in own.items():
        if column not in blocks:
            raise UsageError(
                f"encoders: '{column}' is no image, text or embedding that was prepared",
                why=f"those are {', '.join(blocks) or 'none here'}; features of tables share `table_encoder`",
                fix=did_you_mean(column, blocks),
            )
        if fault := encoder_fault(value, blocks[column].kind):
            raise UsageError(f"encoders: {column}: {fault}")
    asked = [own.get(getattr(source, "group", None)) or params[PARAMETERS[source.kind]] for source in sources]
    return [opened(value, ENCODERS) for value in asked]
