"""Reads `encoder.json`: raw rows in, the numbers that an exported model takes out. Needs NumPy and nothing else.

    from encoder import Encoder
    encoder = Encoder.load("encoder.json")
    encoded = encoder.encode([{"age": 41, "city": "Oslo"}])     # (N, width) float32, for the model
    labels = encoder.decide(scores)                             # what the model's scores say

A column that a row lacks, None, NaN and '' are missing; a text that was never seen is as it was in training. Numbers
may be texts ("41"), truth "true" and "false", moments datetimes, dates, ISO 8601 texts (UTC where they have no zone) or
microseconds since 1970. Another value raises a ValueError, which names the column.
"""

from __future__ import annotations

import datetime
import decimal
import json
import re

import numpy as np

FORMAT = 1
MISSING_TIME = -(2**63)
TYPES = {
    "f32": np.float32,
    "f64": np.float64,
    "i64": np.int64,
    "i32": np.int32,
    "bool": np.bool_,
    "str": object,
}
#: The element types of ONNX, which a Cast names.
ELEMENTS = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 11: np.float64}
NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf|infinity|nan)", re.ASCII | re.IGNORECASE)
TRUTH = {"": np.nan, "true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0}
_EPOCH = datetime.datetime(1970, 1, 1)


class Encoder:
    """The steps of an `encoder.json`.

    width: how many numbers a row becomes. columns: the names of the columns that it takes. task: binary, multiclass or
    regression. classes: in the order of the model's probabilities.
    """

    def __init__(self, told):
        if told.get("format") != FORMAT:
            raise ValueError(f"this reader knows format {FORMAT}, the file has {told.get('format')!r}")
        self.inputs, self.width = told["inputs"], told["width"]
        self.columns = [column["name"] for column in self.inputs]
        self.task, self.classes, self.threshold = told["task"], told["classes"], told.get("threshold")
        self._steps, self._features = told["steps"], told["features"]
        self._constants = {name: constant(value) for name, value in told["constants"].items()}
        self._fill = np.array(told["fill"], dtype=np.float32)
        self._flags = np.array(told["flags"], dtype=np.int64)

    @classmethod
    def load(cls, path):
        """The encoder in a file."""
        with open(path, encoding="utf-8") as file:
            return cls(json.load(file))

    def features(self, rows):
        """(N, F) float32 of a list of dicts; NaN is missing."""
        values = dict(self._constants)
        for column in self.inputs:
            values[column["name"]] = tensor([row.get(column["name"]) for row in rows], column)
        for kind, takes, gives, said in self._steps:
            made = OPERATORS[kind](said, *(None if name == "" else values[name] for name in takes))
            made = made if isinstance(made, tuple) else (made,)
            values.update(zip(gives, made))
        return values[self._features]

    def encode(self, rows):
        """(N, width) float32 without NaN: each feature, and 1 or 0 for whether it is missing, where the model asks."""
        return self.encode_features(self.features(rows))

    def encode_features(self, features):
        """The same of features that are there already, (N, F) float32."""
        missing = np.isnan(features)
        filled = np.where(missing, self._fill, features)
        return np.concatenate([filled, missing[:, self._flags]], axis=1).astype(np.float32)

    def probability(self, score):
        """(N, classes) float32 of the model's raw scores (N, K)."""
        if self.task == "binary":
            yes = _sigmoid({}, score[:, :1])
            return np.concatenate([1 - yes, yes], axis=1)
        return _softmax({}, score)

    def decide(self, score):
        """The class of each row, or its value, of the model's raw scores (N, K)."""
        if self.task == "regression":
            return score[:, 0].tolist()
        probability = self.probability(score)
        if self.task == "binary":
            return [self.classes[int(p >= self.threshold)] for p in probability[:, 1]]
        return [self.classes[i] for i in probability.argmax(axis=1)]


def constant(told):
    """An array of {"type", "shape", "data"}."""
    dtype = TYPES[told["type"]]
    if dtype is object:
        made = np.empty(len(told["data"]), dtype=object)
        made[:] = told["data"]
        return made.reshape(told["shape"])
    read = int if told["type"] in ("i64", "i32") else float
    return np.array([read(v) if isinstance(v, str) else v for v in told["data"]], dtype=dtype).reshape(
        told["shape"]
    )


def tensor(values, column):
    """The values of a column as (N, 1) of its type."""
    if column["tensor"] == "string":
        read, dtype = text_of, object
    elif column["dtype"] == "timestamp":
        read, dtype = microseconds, np.int64
    else:
        read = truth_of if column["dtype"] == "boolean" else number_of
        dtype = np.float64 if column["tensor"] == "float64" else np.float32
    made = np.empty((len(values), 1), dtype=dtype)
    with np.errstate(over="ignore"):  # a number beyond float32 is infinite
        made[:, 0] = [_read(read, value, column) for value in values]
    return made


def _read(read, value, column):
    try:
        return read(value.item() if isinstance(value, np.generic) and not _is_time(value) else value)
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"column '{column['name']}': {value!r} is no {column['dtype']}") from None


def number_of(value):
    """A float of a number, a truth or a text of one."""
    if _is_missing(value):
        return np.nan
    if isinstance(value, str):
        value = value.strip()
        if value and not NUMBER.fullmatch(value):
            raise ValueError(value)
        return float(value) if value else np.nan
    if not isinstance(value, (bool, int, float, decimal.Decimal)):
        raise ValueError(value)
    return float(value)


def truth_of(value):
    """1 or 0 of a truth, of those numbers or of a text of one."""
    if isinstance(value, str):
        if value.strip().lower() not in TRUTH:
            raise ValueError(value)
        return TRUTH[value.strip().lower()]
    found = number_of(value)
    if found not in (0, 1) and found == found:
        raise ValueError(value)
    return found


def text_of(value):
    """A text; of a truth `true` or `false`, of a whole number its digits."""
    if _is_missing(value):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, (str, int)):
        raise ValueError(value)
    return str(value)


def microseconds(value):
    """Since 1970 in UTC, of a datetime, a date, a text as `2013-01-01T05:00:00.123456Z`, or a number of them."""
    if isinstance(value, np.datetime64):
        return int(value.astype("datetime64[us]").astype(np.int64))  # NaT is MISSING_TIME
    if _is_missing(value) or (isinstance(value, str) and value == ""):
        return MISSING_TIME
    if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63:
        return value
    if isinstance(value, str):
        value = datetime.datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
    elif isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        value = datetime.datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime.datetime):
        raise ValueError(value)
    if value.tzinfo is not None:
        value = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    return (value - _EPOCH) // datetime.timedelta(microseconds=1)


def _is_time(value):
    return isinstance(value, (np.datetime64, np.timedelta64))


def _is_missing(value):
    if value is None:
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):  # pandas' NA has no truth value
        return type(value).__name__ == "NAType"
    except ArithmeticError:  # a signalling NaN
        return True


def _plain(f):
    return lambda said, *values: f(*values)


def _fold(f):
    def folded(said, *values):
        made = values[0]
        for value in values[1:]:
            made = f(made, value)
        return made

    return folded


def _divide(said, a, b):
    if a.dtype.kind == "f":
        return a / b
    quotient = a // b
    return quotient + ((a % b != 0) & ((a < 0) != (b < 0)))  # towards zero


def _mod(said, a, b):
    return np.fmod(a, b) if said.get("fmod") else np.mod(a, b)


def _cast(said, x):
    to = ELEMENTS[said["to"]]
    return (x != 0) if to is np.bool_ else x.astype(to)


def _clip(said, x, low=None, high=None):
    x = x if low is None else np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


def _softmax(said, x):
    axis = said.get("axis", -1)
    grown = np.exp(x - x.max(axis=axis, keepdims=True))
    return grown / grown.sum(axis=axis, keepdims=True)


def _sigmoid(said, x):
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small)).astype(x.dtype)


def _axes(axes):
    return None if axes is None or not axes.size else tuple(int(a) for a in axes.reshape(-1))


def _reduce(f):
    def reduced(said, x, axes=None):
        if _axes(axes) is None and said.get("noop_with_empty_axes"):
            return x
        return f(x, axis=_axes(axes), keepdims=bool(said.get("keepdims", 1)))

    return reduced


def _reshape(said, x, shape):
    sizes = [x.shape[i] if d == 0 and not said.get("allowzero") else int(d) for i, d in enumerate(shape)]
    return x.reshape(sizes)


def _shape(said, x):
    return np.array(x.shape[said.get("start", 0) : said.get("end")], dtype=np.int64)


def _slice(said, x, starts, ends, axes=None, steps=None):
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    cut = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps):
        cut[int(axis)] = slice(
            int(start), None if step < 0 and end < -x.shape[int(axis)] else int(end), int(step)
        )
    return x[tuple(cut)]


def _unsqueeze(said, x, axes):
    rank = x.ndim + len(axes)
    for axis in sorted(int(a) % rank for a in axes):
        x = np.expand_dims(x, axis)
    return x


def _gemm(said, a, b, c=None):
    a, b = (a.T if said.get("transA") else a), (b.T if said.get("transB") else b)
    made = np.float32(said.get("alpha", 1.0)) * (a @ b)
    return made if c is None else made + np.float32(said.get("beta", 1.0)) * c


def _labels(said, x):
    """Each value looked up; `keys_*` and `values_*` are lists of the same length."""
    keys = next(said[name] for name in ("keys_strings", "keys_int64s", "keys_floats") if name in said)
    name = next(name for name in ("values_int64s", "values_floats", "values_strings") if name in said)
    usual = {"values_int64s": -1, "values_floats": -0.0, "values_strings": "_Unused"}[name]
    usual = said.get(name.replace("values", "default")[:-1], usual)
    if "keys_floats" in said:
        keys = [float(np.float32(float(key))) for key in keys]
    if "keys_int64s" in said:
        keys = [int(key) for key in keys]
    table = dict(zip(keys, said[name]))
    dtype = {"values_int64s": np.int64, "values_floats": np.float32, "values_strings": object}[name]
    found = np.empty(x.size, dtype=dtype)
    found[:] = [table.get(key, usual) for key in x.reshape(-1).tolist()]
    return found.reshape(x.shape)


def _each_text(f, dtype):
    def operator(said, *values):
        arrays = np.broadcast_arrays(*values)
        found = np.empty(arrays[0].size, dtype=dtype)
        found[:] = [f(said, *row) for row in zip(*(array.reshape(-1).tolist() for array in arrays))]
        return found.reshape(arrays[0].shape)

    return operator


_LOWER, _UPPER = {i: i + 32 for i in range(65, 91)}, {i: i - 32 for i in range(97, 123)}


def _change_case(said, text):
    action = said.get("case_change_action", "NONE")
    return text.translate({"LOWER": _LOWER, "UPPER": _UPPER}.get(action, {}))


def _split(said, x):
    """Between spaces; filled up with empty texts to the longest row."""
    parts = [[part for part in text.split(" ") if part] for text in x.reshape(-1)]
    most = max(map(len, parts), default=0)
    made = np.full((len(parts), most), "", dtype=object)
    for i, words in enumerate(parts):
        made[i, : len(words)] = words
    counts = np.array([len(words) for words in parts], dtype=np.int64)
    return made.reshape((*x.shape, most)), counts.reshape(x.shape)


def _counts(said, x):
    """How often each word of the pool occurs in each row."""
    if said.get("mode") != "TF" or said.get("max_gram_length") != 1:
        raise ValueError("counts of more than single words")
    place = dict(zip(said["pool_int64s"], said["ngram_indexes"]))
    rows = x.reshape(-1, x.shape[-1])
    made = np.zeros((len(rows), len(said["ngram_indexes"])), dtype=np.float32)
    for i, row in enumerate(rows.tolist()):
        for word in row:
            if word in place:
                made[i, place[word]] += 1
    return made.reshape((*x.shape[:-1], -1))


def _is_inf(said, x):
    return (np.isposinf(x) & bool(said.get("detect_positive", 1))) | (
        np.isneginf(x) & bool(said.get("detect_negative", 1))
    )


def _arg_max(said, x):
    made = x.argmax(axis=said.get("axis", 0)).astype(np.int64)
    return np.expand_dims(made, said.get("axis", 0)) if said.get("keepdims", 1) else made


OPERATORS = {
    "Abs": _plain(np.abs),
    "Add": _plain(np.add),
    "And": _plain(np.logical_and),
    "ArgMax": _arg_max,
    "Atan": _plain(np.arctan),
    "Cast": _cast,
    "Ceil": _plain(np.ceil),
    "Clip": _clip,
    "Concat": lambda said, *values: np.concatenate(values, axis=said["axis"]),
    "Cos": _plain(np.cos),
    "Div": _divide,
    "Equal": _plain(np.equal),
    "Exp": _plain(np.exp),
    "Expand": lambda said, x, shape: (
        x * np.ones(shape, x.dtype) if x.dtype != object else np.broadcast_to(x, shape)
    ),
    "Floor": _plain(np.floor),
    "Gather": lambda said, x, at: np.take(x, at, axis=said.get("axis", 0)),
    "Gemm": _gemm,
    "Greater": _plain(np.greater),
    "GreaterOrEqual": _plain(np.greater_equal),
    "Identity": _plain(lambda x: x),
    "IsInf": _is_inf,
    "IsNaN": _plain(np.isnan),
    "LabelEncoder": _labels,
    "Less": _plain(np.less),
    "LessOrEqual": _plain(np.less_equal),
    "Log": _plain(np.log),
    "MatMul": _plain(np.matmul),
    "Max": _fold(np.maximum),
    "Min": _fold(np.minimum),
    "Mod": _mod,
    "Mul": _plain(np.multiply),
    "Neg": _plain(np.negative),
    "Not": _plain(np.logical_not),
    "Or": _plain(np.logical_or),
    "Pow": _plain(lambda a, b: np.power(a, b).astype(a.dtype)),
    "ReduceMax": _reduce(np.max),
    "ReduceSum": _reduce(np.sum),
    "RegexFullMatch": _each_text(
        lambda said, text: re.fullmatch(said["pattern"], text, re.ASCII) is not None, np.bool_
    ),
    "Relu": _plain(lambda x: np.maximum(x, 0)),
    "Reshape": _reshape,
    "Round": _plain(np.round),
    "Shape": _shape,
    "Sigmoid": _sigmoid,
    "Sign": _plain(np.sign),
    "Sin": _plain(np.sin),
    "Slice": _slice,
    "Softmax": _softmax,
    "Softplus": _plain(lambda x: np.logaddexp(x, 0).astype(x.dtype)),
    "Sqrt": _plain(np.sqrt),
    "Squeeze": lambda said, x, axes=None: np.squeeze(x, axis=_axes(axes)),
    "StringConcat": _each_text(lambda said, a, b: a + b, object),
    "StringNormalizer": _each_text(_change_case, object),
    "StringSplit": _split,
    "Sub": _plain(np.subtract),
    "Tanh": _plain(np.tanh),
    "TfIdfVectorizer": _counts,
    "Transpose": lambda said, x: np.transpose(x, said.get("perm")),
    "Unsqueeze": _unsqueeze,
    "Where": _plain(np.where),
}
