"""Numbers, texts and arrays as C99 writes them, and what each operator is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bessemer.export.numeric.refusal import UncarriedError
from bessemer.export.rowwise.program import Each, Type

C_TYPES: Mapping[Type, str] = {
    "f32": "float",
    "f64": "double",
    "i64": "int64_t",
    "i32": "int32_t",
    "bool": "unsigned char",
    "str": "const char *",
}
_LINE = 100


def literal(value: Any, kind: Type) -> str:
    """One constant; a float's digits are enough to read the same bits again."""
    if kind == "str":
        return text(str(value))
    if kind == "bool":
        return str(int(bool(value)))
    if kind in ("i64", "i32"):
        whole = int(value)
        if whole == -(2**63):
            return "INT64_MIN"
        return f"INT64_C({whole})" if kind == "i64" else str(whole)
    number = float(value)
    if not np.isfinite(number):
        word = "NAN" if number != number else "INFINITY" if number > 0 else "-INFINITY"
        return f"({C_TYPES[kind]}){word}"
    if kind == "f64":
        return repr(number)
    short = np.format_float_scientific(np.float32(value), unique=True, trim="0")
    plain = np.format_float_positional(np.float32(value), unique=True, trim="0")
    return f"{min(plain, short, key=len)}f"


def text(value: str) -> str:
    """A string literal of UTF-8: what is not plain ASCII as octal numbers, which end after three digits."""
    return '"' + "".join(chr(b) if _is_plain(b) else f"\\{b:03o}" for b in value.encode()) + '"'


def _is_plain(byte: int) -> bool:
    return 32 <= byte < 127 and chr(byte) not in '"\\?'


def array(kind: str, name: str, values: list[str]) -> str:
    """A constant array, in lines of readable length."""
    lines, line = [], "   "
    for value in values:
        if len(line) + len(value) + 2 > _LINE:
            lines.append(line)
            line = "   "
        line += f" {value},"
    lines.append(line)
    space = "" if kind.endswith("*") else " "
    const = "const char *const " if kind == "const char *" else f"const {kind}{space}"
    return "static " + const + f"{name}[{len(values)}] = {{\n" + "\n".join(lines) + "\n};"


def whole_type(values: Any) -> str:
    """The narrowest type of whole numbers that holds all."""
    low, high = int(np.min(values)), int(np.max(values))
    for bits in (8, 16, 32):
        if low >= 0 and high < 1 << bits:
            return f"uint{bits}_t"
        if -(1 << (bits - 1)) <= low and high < 1 << (bits - 1):
            return f"int{bits}_t"
    return "int64_t"


_COMPARED = {"Equal": "==", "Greater": ">", "GreaterOrEqual": ">=", "Less": "<", "LessOrEqual": "<="}
_SUMS = {"Add": "+", "Sub": "-", "Mul": "*"}
#: Of one float; `math.h` has them with an f behind for float.
_FUNCTIONS = {
    "Abs": "fabs", "Atan": "atan", "Ceil": "ceil", "Cos": "cos", "Erf": "erf", "Exp": "exp", "Floor": "floor",
    "Log": "log", "Round": "rint", "Sin": "sin", "Sqrt": "sqrt", "Tanh": "tanh",
}  # fmt: skip
_PAIRS = {"Pow": "pow"}
#: Functions of `HELPERS`, which are there for floats (`f`) and doubles (`d`).
_OWN = {
    "Gelu": "gelu",
    "Max": "greatest",
    "Min": "least",
    "Sigmoid": "sigmoid",
    "Sign": "sign",
    "Softplus": "softplus",
}


def expression(statement: Each, kind: Type, takes: list[str]) -> tuple[str, set[str]]:
    """One element of an operator's result, and the helpers that it takes.

    Args:
        kind: of the first operand.

    Raises:
        UncarriedError: there is none in C.
    """
    operator, floats = statement.operator, kind in ("f32", "f64")
    tail = "f" if kind == "f32" else ""
    if operator in _COMPARED:
        if kind == "str":
            return f"strcmp({takes[0]}, {takes[1]}) {_COMPARED[operator]} 0", set()
        return f"{takes[0]} {_COMPARED[operator]} {takes[1]}", set()
    if operator in _SUMS and floats:
        return f"{takes[0]} {_SUMS[operator]} {takes[1]}", set()
    if operator in _SUMS:  # whole numbers wrap around, which only unsigned ones may in C
        return f"(int64_t)((uint64_t){takes[0]} {_SUMS[operator]} (uint64_t){takes[1]})", set()
    if floats and operator in _FUNCTIONS:
        return f"{_FUNCTIONS[operator]}{tail}({takes[0]})", set()
    if floats and operator in _PAIRS:
        return f"{_PAIRS[operator]}{tail}({takes[0]}, {takes[1]})", set()
    if floats and operator in _OWN:
        name = f"{_OWN[operator]}{tail or 'd'}"
        made = takes[0]
        if len(takes) == 1:
            return f"{name}({made})", {name}
        for other in takes[1:]:
            made = f"{name}({made}, {other})"
        return made, {name}
    found = _special(statement, kind, takes, tail)
    if found is None:
        raise UncarriedError(f"the operator {operator} on {kind} has no form in C")
    return found


def _special(statement: Each, kind: Type, takes: list[str], tail: str) -> tuple[str, set[str]] | None:
    operator, said, floats = statement.operator, statement.said, kind in ("f32", "f64")
    x = takes[0]
    plain: dict[str, str] = {
        "And": f"{x} && {takes[-1]}",
        "Or": f"{x} || {takes[-1]}",
        "Not": f"!{x}",
        "Neg": f"-{x}",
    }
    if operator in plain:
        return plain[operator], set()
    if operator == "Where":
        return f"{x} ? {takes[1]} : {takes[2]}", set()
    if operator == "Relu" and floats:
        return f"{x} < 0 ? 0 : {x}", set()
    if operator == "IsNaN" and floats:
        return f"isnan({x}) != 0", set()
    if operator == "IsInf" and floats:
        return f"isinf({x}) != 0", set()
    if operator == "Clip" and floats:
        made = x
        for limit, sign in (("low", "<"), ("high", ">")):
            if limit in said:
                bound = literal(said[limit], kind)
                made = f"({made} {sign} {bound} ? {bound} : {made})"
        return made, set()
    if operator == "Div":
        return (f"{x} / {takes[1]}", set()) if floats else (f"quotient({x}, {takes[1]})", {"quotient"})
    if operator == "Mod":
        if floats:
            return (f"fmod{tail}({x}, {takes[1]})", set()) if said.get("fmod") else None
        return f"modulo({x}, {takes[1]})", {"modulo"}
    if operator == "Cast":
        return _cast(kind, statement.out.type, x)
    return None


def _cast(kind: Type, to: Type, x: str) -> tuple[str, set[str]] | None:
    if "str" in (kind, to):
        return (x, set()) if kind == to else None
    if to == "bool":
        return f"{x} != 0", set()
    if kind in ("f32", "f64") and to in ("i64", "i32"):
        return f"({C_TYPES[to]})whole({x})", {"whole"}
    return (x, set()) if kind == to else (f"({C_TYPES[to]}){x}", set())


def _both(name: str, body: str, arguments: str = "{t} x") -> dict[str, str]:
    """A helper for floats and for doubles; `{f}` is the f behind the functions of float."""
    found = {}
    for tail, kind in (("f", "float"), ("d", "double")):
        f = "f" if tail == "f" else ""
        head = f"static {kind} {name}{tail}({arguments.replace('{t}', kind)})"
        found[f"{name}{tail}"] = f"{head} {{ {body.replace('{t}', kind).replace('{f}', f)} }}"
    return found


_TWO = "{t} a, {t} b"
HELPERS: Mapping[str, str] = {
    **_both("greatest", "return isnan(a) || isnan(b) ? ({t})NAN : a > b ? a : b;", _TWO),
    **_both("least", "return isnan(a) || isnan(b) ? ({t})NAN : a < b ? a : b;", _TWO),
    **_both("sigmoid", "{t} small = exp{f}(-fabs{f}(x)); return (x < 0 ? small : 1) / (1 + small);"),
    **_both("softplus", "return (x > 0 ? x : 0) + log1p{f}(exp{f}(-fabs{f}(x)));"),
    **_both("gelu", "return ({t})0.5 * x * (1 + erf{f}(x * ({t})0.70710678118654752440));"),
    **_both("sign", "return ({t})((x > 0) - (x < 0));"),
    "quotient": """static int64_t quotient(int64_t a, int64_t b) {
    return b == 0 || (b == -1 && a == INT64_MIN) ? a : a / b;
}""",
    "modulo": """static int64_t modulo(int64_t a, int64_t b) {
    int64_t rest = b == 0 || b == -1 ? 0 : a % b;
    return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}""",
    "whole": """static int64_t whole(double x) {
    return x >= -9223372036854775808.0 && x < 9223372036854775808.0 ? (int64_t)x : INT64_MIN;
}""",
    "find_text": """static int find_text(const char *const *keys, int count, const char *text) {
    int low = 0, high = count - 1;
    while (low <= high) {
        int middle = (low + high) / 2, order = strcmp(text, keys[middle]);
        if (order == 0) return middle;
        if (order < 0) high = middle - 1;
        else low = middle + 1;
    }
    return -1;
}""",
    "lower": """static const char *lower(char *to, const char *from) {
    int i = 0;
    for (; i < TEXT - 1 && from[i]; i++) to[i] = (char)(from[i] >= 'A' && from[i] <= 'Z' ? from[i] + 32 : from[i]);
    to[i] = 0;
    return to;
}""",
    "upper": """static const char *upper(char *to, const char *from) {
    int i = 0;
    for (; i < TEXT - 1 && from[i]; i++) to[i] = (char)(from[i] >= 'a' && from[i] <= 'z' ? from[i] - 32 : from[i]);
    to[i] = 0;
    return to;
}""",
    "dense": """static void dense(float *out, const float *x, const float *w, int rows, int k, int m) {
    int i, j, l;
    for (i = 0; i < rows; i++) {
        for (j = 0; j < m; j++) {
            float sum = 0;
            for (l = 0; l < k; l++) sum += x[i * k + l] * w[j * k + l];
            out[i * m + j] = sum;
        }
    }
}""",
    "dense8": """static void dense8(float *out, const float *x, const int8_t *w, const float *scale,
                   int rows, int k, int m) {
    int i, j, l;
    for (i = 0; i < rows; i++) {
        for (j = 0; j < m; j++) {
            float sum = 0;
            for (l = 0; l < k; l++) sum += x[i * k + l] * (float)w[j * k + l];
            out[i * m + j] = sum * scale[j];
        }
    }
}""",
}
