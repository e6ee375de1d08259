"""Ludwig's input features: which columns are used, and as what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bessemer.core.errors import did_you_mean
from bessemer.core.sql import literal, quote
from bessemer.importers.draft import Draft
from bessemer.importers.section import Hints, Section

#: Ludwig's type -> what the column is taken as; '' where that is found from the column itself.
KINDS = {"number": "", "binary": "", "category": "categorical", "date": "timestamp", "text": "text", "set": "text",
         "bag": "text"}  # fmt: skip
#: Older names of types.
RENAMED = {"numerical": "number", "float": "number", "int": "number"}
#: Types that no column of a table here can have.
UNSUPPORTED = {
    "image": "pictures are no columns of a table",
    "audio": "sound is no column of a table",
    "sequence": "the order of a sequence has no features",
    "timeseries": "a series within a cell has no features",
    "vector": "a vector within a cell has no features",
    "h3": "H3 cells have no features",
    "anomaly": "an anomaly score has no labels to learn from",
}
_INSTEAD = {
    "sequence": "type text, whose words are counted",
    "timeseries": "its mean, slope and the like as columns, in acquire.sql",
    "vector": "a column for each number, in acquire.sql",
    "h3": "a column of the cell at a coarse resolution, in acquire.sql",
    "image": "features of a vision model, computed before and joined in acquire.sql",
    "audio": "features of a sound model, computed before and joined in acquire.sql",
}
_OUTPUT_ONLY = ("category_distribution",)

_FILLED = {
    "fill_with_mean": "a missing number stays missing: trees learn where it goes, linear fills in the median",
    "fill_with_mode": "missing stays missing: a level of its own for categories, linear fills in medians",
    "fill_with_const": "missing stays missing: a level of its own for categories, linear fills in medians",
    "fill_with_false": "missing stays missing, and is neither true nor false",
    "fill_with_true": "missing stays missing, and is neither true nor false",
}  # fmt: skip
#: Type -> the key that limits its levels or words, and the largest value there.
_LIMITS = {"category": "prepare.max_categories", "text": "prepare.text.words"}
_MOST = {"category": 100_000, "text": 2000}
_NEIGHBOURS = ("bfill", "ffill", "backfill", "pad")

_TOKENS = (
    "tokenizer", "vocab_file", "pretrained_model_name_or_path", "sequence_length", "max_sequence_length", "padding",
    "padding_symbol", "unknown_symbol", "compute_idf", "prompt", "char_tokenizer", "word_tokenizer", "char_most_common",
    "word_most_common", "char_vocab_file", "word_vocab_file", "char_sequence_length_limit",
    "word_sequence_length_limit", "sequence_length_limit",
)  # fmt: skip
_PREPROCESSING: Hints = {
    "lowercase": ("categories keep their case", "prepare.derive with lower(...)"),
    "outlier_strategy": ("no value is replaced", "a range in the contract of validate"),
    "outlier_threshold": ("no value is replaced", "a range in the contract of validate"),
    "fallback_true_label": ("both values are read as they are", "annotate.positive, for a target"),
    "ngram_size": ("single words are counted", "prepare.text.words"),
    "cache_encoder_embeddings": ("there are no embeddings", ""),
    **dict.fromkeys(_TOKENS, ("words stand between spaces and are counted", "prepare.text.words")),
}

#: Preprocessing that stood beside the type in Ludwig 0.1.
_ONCE_FLAT = ("missing_value_strategy", "fill_value", "normalization", "lowercase", "most_common")

_NETWORK = "Bessemer makes features from columns, networks have no part for each"


@dataclass(frozen=True)
class TypeDefaults:
    """What holds for all features of a type: their preprocessing, and the rest."""

    preprocessing: Section
    others: Section


Defaults = Mapping[str, TypeDefaults]


def kind_of(feature: Section) -> str | None:
    """The feature's type in today's words, None with a fault where there is no such type."""
    said = feature.text("type")
    if said is None:
        if not feature.findings.faults:
            feature.findings.fault(feature.at("type"), "a feature needs a type", "such as number or category")
        return None
    kind = RENAMED.get(said, said)
    if kind not in KINDS and kind not in UNSUPPORTED and kind not in _OUTPUT_ONLY:
        feature.findings.fault(
            feature.at("type"),
            f"no feature type '{said}' in Ludwig",
            did_you_mean(said, [*KINDS, *UNSUPPORTED]),
        )
        return None
    return kind


def column_of(feature: Section) -> tuple[str, str] | None:
    """The feature's name and the column it is read from."""
    name = feature.text("name")
    if not name or not name.strip():
        feature.findings.fault(feature.at("name"), "a feature needs a name", "the name of a column")
        return None
    return name, feature.text("column") or name


def defaults_of(defaults: Section, preprocessing: Section) -> dict[str, TypeDefaults]:
    """Type -> its defaults: a key of `defaults` today, of `preprocessing` before 0.5."""
    found: dict[str, TypeDefaults] = {}
    for kind in (*KINDS, *UNSUPPORTED, *RENAMED):
        section = defaults.section(kind) if kind in defaults else preprocessing.section(kind)
        if kind in defaults or "preprocessing" in section:
            found[RENAMED.get(kind, kind)] = TypeDefaults(section.section("preprocessing"), section)
        elif kind in preprocessing:
            nothing = Section(section.findings, section.path, {})
            found[RENAMED.get(kind, kind)] = TypeDefaults(section, nothing)
    defaults.lose({}, "no feature type of Ludwig")
    return found


def read(file: Section, draft: Draft, defaults: Defaults) -> None:
    """Select the columns of the features and say what each is taken as."""
    seen: dict[str, str] = {}
    for feature in file.sections("input_features"):
        kind, named = kind_of(feature), column_of(feature)
        if kind is None or named is None:
            continue
        name, column = named
        if (first := seen.get(name.lower())) is not None:
            why = "stands twice" if first == name else f"and '{first}' differ by case only"
            draft.findings.fault(feature.at("name"), f"feature '{name}' {why}", "rename one of them")
        seen[name.lower()] = name
        _read_one(feature, draft, kind, name, column, defaults)
    if set(draft.selected) <= {draft.target} and not draft.findings.faults:
        kinds = sorted({str(feature.any("type")) for feature in file.sections("input_features")})
        what = "no input features"
        if kinds:
            what = f"no input feature can be used: their types are {', '.join(kinds)}"
        fix = "Bessemer uses numbers, categories, dates and texts of a table"
        draft.findings.fault("input_features", what, fix)


def _read_one(feature: Section, draft: Draft, kind: str, name: str, column: str, defaults: Defaults) -> None:
    if feature.flag("active") is False:
        return
    if kind in UNSUPPORTED or kind in _OUTPUT_ONLY:
        why = UNSUPPORTED.get(kind, "a distribution is no input")
        draft.findings.lost(
            feature.path, {"name": name, "type": kind}, f"left out: {why}", _INSTEAD.get(kind, "")
        )
        return
    if name.lower() == draft.target.lower() or quote(column) in draft.selected.get(draft.target, ""):
        draft.findings.lost(feature.path, {"name": name}, "left out: it is the target")
        return
    preprocessing = feature.section("preprocessing")
    inherited = defaults[kind].preprocessing if kind in defaults else None
    draft.selected[name] = _sql(kind, column, preprocessing, inherited)
    if KINDS[kind]:
        draft.column(name, **{"as": KINDS[kind]})
    if kind in ("set", "bag"):
        feature.near("type", f"prepare.columns.{name}.as: text", "the members are counted as words of a text")
    read_preprocessing(preprocessing, draft, kind, column)
    older = {key: feature.any(key) for key in _ONCE_FLAT if key in feature}
    read_preprocessing(Section(feature.findings, feature.path, older), draft, kind, column)
    own = "missing_value_strategy" in preprocessing or "missing_value_strategy" in older
    if inherited and not own and inherited.any("missing_value_strategy") == "drop_row":
        draft.wanted.append(f"{quote(column)} is not null")
    _read_encoder(feature, draft, kind, name)
    feature.lost("tied", _NETWORK)
    for key in ("proc_column", "augmentation"):
        feature.any(key)
    feature.lose({}, f"a setting of the feature's encoder: {_NETWORK}", "prepare.columns")


def time_of(column: str) -> str:
    """The SQL that reads a column of any type as a time; what is none becomes missing."""
    return f"try_cast(cast({quote(column)} as varchar) as timestamp)"


def _sql(kind: str, column: str, preprocessing: Section, inherited: Section | None) -> str:
    """The SQL that reads a feature: dates become times, all else is taken as it is."""
    if kind != "date":
        return quote(column)
    form = preprocessing.text("datetime_format") or (inherited.text("datetime_format") if inherited else None)
    if not form:
        return time_of(column)
    return f"coalesce(try_strptime(cast({quote(column)} as varchar), {literal(form)}), {time_of(column)})"


def read_preprocessing(preprocessing: Section, draft: Draft, kind: str, column: str | None) -> None:
    """Say what becomes of a feature's preprocessing; of a type's defaults where `column` is None."""
    strategy = preprocessing.text("missing_value_strategy")
    if strategy == "drop_row" and column is not None:
        draft.wanted.append(f"{quote(column)} is not null")
    elif strategy in _FILLED:
        preprocessing.near("missing_value_strategy", "missing values as they are", _FILLED[strategy])
    elif strategy in _NEIGHBOURS:
        why = "a prediction is made from one row, which has no neighbours to fill from"
        preprocessing.lost("missing_value_strategy", why, "lag or lead in acquire.sql")
    elif strategy not in (None, "drop_row"):
        preprocessing.lost("missing_value_strategy", "no strategy of Ludwig", "missing values as they are")
    if kind == "category":
        preprocessing.any("tokenizer")  # a category is one word, whatever older files say
    for key in ("fill_value", "computed_fill_value", "computed_outlier_fill_value", "datetime_format"):
        preprocessing.any(key)
    scaling = preprocessing.text("normalization")
    if scaling in ("zscore", "minmax", "iq"):
        why = "trees need no scaling; linear and mlp standardise by themselves"
        preprocessing.near("normalization", "numbers as they are", why)
    elif scaling is not None:
        nearest = f'prepare.derive with "ln(1 + {column or "x"})"'
        preprocessing.lost("normalization", "trees need no scaling; linear and mlp standardise", nearest)
    limit, most = _LIMITS.get(kind, ""), preprocessing.integer("most_common")
    if most and limit and column is None and 1 <= most <= _MOST[kind]:
        draft.put(limit, most)
    elif most is not None:
        preprocessing.lost("most_common", "there is one limit for all columns", limit)
    preprocessing.lose(_PREPROCESSING, "no preprocessing of Ludwig that is known here")


def _read_encoder(feature: Section, draft: Draft, kind: str, name: str) -> None:
    encoder = feature.section("encoder", word="type")
    key = "encoder" if "encoder" in feature else "representation"  # its name in Ludwig 0.1
    said = encoder.text("type") or (feature.text(key) if key == "representation" else None)
    if said is None:
        encoder.lose({}, _NETWORK, f"prepare.columns.{name}.encode")
        return
    if kind == "category" and said in ("onehot", "sparse"):
        draft.column(name, encode=["indicator"])
        why = "indicators for the prepare.max_onehot most frequent levels"
        feature.near(key, f"prepare.columns.{name}.encode: [indicator]", why)
    elif said != "passthrough":
        draft.findings.lost(feature.at(key), feature.any(key), _NETWORK, "prepare.columns.encode")


def read_defaults(draft: Draft, defaults: Defaults) -> None:
    """Say what becomes of the defaults of the types, once for each type."""
    for kind, section in defaults.items():
        read_preprocessing(section.preprocessing, draft, kind, None)
        section.others.any("type")
        section.others.lose({}, _NETWORK, "prepare.columns")
