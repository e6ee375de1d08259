"""A model that needs Python and nothing else: rows of dicts in, predictions out.

    from MODULE import predict
    predict([{"age": 41, "city": "Oslo"}])    # [{"prediction": ..., "probability": {...}}]

    python MODULE.py < rows.jsonl             # a row a line in JSON; so are the answers

A column that a row lacks, None, NaN and '' are missing. Numbers may be texts ("41"), truth "true" and "false"; moments
are datetimes, dates, texts as `2013-01-01T05:00:00` (UTC where they have no zone), or microseconds since 1970. Another
value raises a ValueError, which names the column. Numbers are rounded to float32 where the model's are.
"""

import datetime
import decimal
import json
import math
import re
import struct
import sys

MISSING_TIME = -(2**63)
NUMBER = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf|infinity|nan)", re.ASCII | re.IGNORECASE)
TRUTH = {"": math.nan, "true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0}


def predict(rows):
    """A dict a row: `prediction`, and of classes `probability` of each."""
    return [_answer(row) for row in rows]


def _answer(row):
    values = dict(CONSTANTS)
    for number, column in PROGRAM["inputs"]:
        values[number] = [_read(row.get(column["name"]), column)]
    for kind, said, operands, out, type_ in PROGRAM["statements"]:
        values[out] = _STATEMENTS[kind](said, [_taken(values, operand) for operand in operands], type_)
    if PROGRAM["task"] == "regression":
        return {"prediction": values[PROGRAM["outputs"]["score"]][0]}
    probability, classes = values[PROGRAM["outputs"]["probability"]], PROGRAM["classes"]
    if PROGRAM["task"] == "binary":
        chosen = classes[int(probability[1] >= PROGRAM["threshold"])]
    else:
        chosen = classes[probability.index(max(probability))]
    return {"prediction": chosen, "probability": {str(c): p for c, p in zip(classes, probability)}}


def _taken(values, operand):
    """The elements of a value that a statement takes: all, one some times, or those at places."""
    number, places = operand
    if places is None:
        return values[number]
    if places and isinstance(places[0], str):
        return [values[number][places[1]]] * places[2]
    value = values[number]
    return [value[place] for place in places]


def _missing(value):
    if value is None:
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):  # pandas' NA has no truth value
        return type(value).__name__ == "NAType"
    except ArithmeticError:  # a signalling NaN
        return True


def _read(value, column):
    try:
        if column["tensor"] == "string":
            return _text(value)
        if column["dtype"] == "timestamp":
            return _moment(value)
        number = _truth(value) if column["dtype"] == "boolean" else _number(value)
    except (ValueError, TypeError, OverflowError):
        raise ValueError(f"column '{column['name']}': {value!r} is no {column['dtype']}") from None
    return number if column["tensor"] == "float64" else f32(number)


def _number(value):
    if _missing(value):
        return math.nan
    if isinstance(value, str):
        value = value.strip()
        if value and not NUMBER.fullmatch(value):
            raise ValueError(value)
        return float(value) if value else math.nan
    if not isinstance(value, (bool, int, float, decimal.Decimal)):
        raise ValueError(value)
    return float(value)


def _truth(value):
    if isinstance(value, str):
        if value.strip().lower() not in TRUTH:
            raise ValueError(value)
        return TRUTH[value.strip().lower()]
    found = _number(value)
    if found not in (0, 1) and found == found:
        raise ValueError(value)
    return found


def _text(value):
    if _missing(value):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, (str, int)):
        raise ValueError(value)
    return str(value)


def _moment(value):
    if _missing(value) or (isinstance(value, str) and value == ""):
        return MISSING_TIME
    if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63:
        return value
    if isinstance(value, str):
        value = datetime.datetime.fromisoformat(value.strip().replace("Z", "+00:00"))
    elif isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        value = datetime.datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime.datetime):
        raise ValueError(value)
    if value.tzinfo is None:
        value = value.replace(tzinfo=datetime.timezone.utc)
    since = value - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return (since.days * 86400 + since.seconds) * 1000000 + since.microseconds


def f32(x):
    """The nearest float32."""
    try:
        return struct.unpack("f", struct.pack("f", x))[0]
    except OverflowError:
        return math.copysign(math.inf, x)


def _whole(x):
    """As an int64, wrapped around."""
    return (x + 2**63) % 2**64 - 2**63


_ROUND = {"f32": f32, "f64": float, "i64": _whole, "i32": _whole, "bool": bool, "str": str}


def _each(said, operands, type_):
    operator, attributes = said
    compute, finish = OPERATORS[operator], _ROUND[type_]
    return [finish(compute(attributes, *row)) for row in zip(*operands)]


def _take(said, operands, type_):
    return [x for operand in operands for x in operand]


def _rows(said, operands, type_):
    return [x for place in operands[0] for x in said[place]]


def _dense(said, operands, type_):
    """Stacks of products; said has the columns of weights of each."""
    (x,), rows, found = operands, said["rows"], []
    width = len(said["weights"][0][0])
    for number, columns in enumerate(said["weights"]):
        for row in range(rows):
            start = (number * rows + row) * width
            line = x[start : start + width]
            found += [f32(sum(a * b for a, b in zip(line, column))) for column in columns]
    return found


def _fold(said, operands, type_):
    (x,), run = operands, said["run"]
    lines = [x[start : start + run] for start in range(0, len(x), run)]
    return [f32(max(line) if said["operator"] == "Max" else sum(line)) for line in lines]


def _trees(said, operands, type_):
    """From each root down to a leaf, whose values are added in float32."""
    (x,) = operands
    feature, limit, missing_left = said["feature"], said["threshold"], said["missing_left"]
    left, right, value, width = said["left"], said["right"], said["value"], said["width"]
    total = [0.0] * len(said["base"])
    for at in said["root"]:
        while at >= 0:
            asked = x[feature[at]]
            goes_left = missing_left[at] if asked != asked else asked <= limit[at]
            at = left[at] if goes_left else right[at]
        leaf = -1 - at
        if width == 1:
            total[said["target"][leaf]] = f32(total[said["target"][leaf]] + value[leaf])
        else:
            total = [f32(t + value[leaf * width + k]) for k, t in enumerate(total)]
    return [f32(t + b) for t, b in zip(total, said["base"])]


_STATEMENTS = {"each": _each, "take": _take, "rows": _rows, "dense": _dense, "fold": _fold, "trees": _trees}


def _plain(f):
    return lambda said, *values: f(*values)


def _guarded(f, otherwise=math.nan):
    """Numbers as floating point has them where Python would raise: exp of much, log of nothing."""

    def guarded(said, *values):
        try:
            return f(*values)
        except OverflowError:
            return math.inf
        except ValueError:
            return otherwise

    return guarded


def _log(said, x):
    return -math.inf if x == 0 else math.nan if x < 0 or x != x else math.log(x)


def _divide(said, a, b):
    if isinstance(a, int):
        return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1) if b else 0
    if b == 0:
        return math.nan if a == 0 or a != a else math.copysign(math.inf, a) * math.copysign(1, b)
    return a / b


def _modulo(said, a, b):
    if said.get("fmod"):
        return math.nan if b == 0 or math.isinf(a) or a != a or b != b else math.fmod(a, b)
    return a % b if b else 0


def _extreme(pick):
    return lambda said, *values: math.nan if any(v != v for v in values) else pick(values)


def _clip(said, x):
    x = said["low"] if "low" in said and x < said["low"] else x
    return said["high"] if "high" in said and x > said["high"] else x


def _sigmoid(said, x):
    small = math.exp(-abs(x))
    return (small if x < 0 else 1) / (1 + small)


def _kept(f):
    """What rounds stays as it is where there is nothing to round."""
    return lambda said, x: float(f(x)) if math.isfinite(x) else x


def _cast(said, x):
    to = said["to"]
    if to == "bool":
        return x != 0
    if to in ("i64", "i32"):
        return int(x) if math.isfinite(x) else MISSING_TIME
    return float(x)


def _label(said, x):
    return said["table"].get(x, said["default"])


def _change_case(said, text):
    letters = {"LOWER": range(65, 91), "UPPER": range(97, 123)}.get(said.get("case_change_action"), ())
    return text.translate({code: code ^ 32 for code in letters})


OPERATORS = {
    "Abs": _plain(abs),
    "Add": _plain(lambda a, b: a + b),
    "And": _plain(lambda a, b: a and b),
    "Atan": _plain(math.atan),
    "Cast": _cast,
    "Ceil": _kept(math.ceil),
    "Clip": _clip,
    "Cos": _guarded(math.cos),
    "Div": _divide,
    "Equal": _plain(lambda a, b: a == b),
    "Erf": _plain(math.erf),
    "Exp": _guarded(math.exp),
    "Floor": _kept(math.floor),
    "Gelu": _plain(lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2)))),
    "Greater": _plain(lambda a, b: a > b),
    "GreaterOrEqual": _plain(lambda a, b: a >= b),
    "IsInf": _plain(math.isinf),
    "IsNaN": _plain(math.isnan),
    "LabelEncoder": _label,
    "Less": _plain(lambda a, b: a < b),
    "LessOrEqual": _plain(lambda a, b: a <= b),
    "Log": _log,
    "Max": _extreme(max),
    "Min": _extreme(min),
    "Mod": _modulo,
    "Mul": _plain(lambda a, b: a * b),
    "Neg": _plain(lambda x: -x),
    "Not": _plain(lambda x: not x),
    "Or": _plain(lambda a, b: a or b),
    "Pow": _guarded(math.pow),
    "RegexFullMatch": lambda said, x: re.fullmatch(said["pattern"], x, re.ASCII) is not None,
    "Relu": _plain(lambda x: 0.0 if x < 0 else x),
    "Round": _kept(round),
    "Sigmoid": _sigmoid,
    "Sign": _plain(lambda x: x if x != x else (x > 0) - (x < 0)),
    "Sin": _guarded(math.sin),
    "Softplus": _plain(lambda x: max(x, 0) + math.log1p(math.exp(-abs(x)))),
    "Sqrt": _guarded(math.sqrt),
    "StringConcat": _plain(lambda a, b: a + b),
    "StringNormalizer": _change_case,
    "Sub": _plain(lambda a, b: a - b),
    "Tanh": _plain(math.tanh),
    "Where": _plain(lambda asked, yes, no: yes if asked else no),
}


def _constants(told):
    return {
        int(number): [_ROUND[type_](float(v) if isinstance(v, str) and type_ != "str" else v) for v in data]
        for number, (type_, data) in told.items()
    }


# What follows is the model.
PROGRAM = None
CONSTANTS = {}


def load(told):
    """Take a model: JSON."""
    global PROGRAM, CONSTANTS
    PROGRAM = told
    CONSTANTS = _constants(told["constants"])
    for kind, said, *_ in told["statements"]:
        if kind == "each" and said[0] == "LabelEncoder":
            said[1]["table"] = dict(said[1]["table"])
        if kind == "trees":  # few digits tell a float32; what is compared with one is the float32 itself
            for name in ("threshold", "value", "base"):
                said[name] = [f32(float(v)) for v in said[name]]


if __name__ == "__main__":
    for _line in sys.stdin:
        if _line.strip():
            sys.stdout.write(json.dumps(predict([json.loads(_line)])[0], ensure_ascii=False) + "\n")
