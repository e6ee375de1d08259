"""What each kind of statement is in C99: lines of a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.export.numeric.refusal import UncarriedError
from bessemer.export.rowwise.branches import branches_of
from bessemer.export.rowwise.c_words import C_TYPES, expression, literal
from bessemer.export.rowwise.program import Dense, Each, Fold, Operand, Rows, Statement, Take, Trees

if TYPE_CHECKING:
    from bessemer.export.rowwise.c_code import Code

#: Products with fewer weights stay exact: there is little to save.
_LARGE = 256


def _each(code: Code, s: Each) -> None:
    size, kind = s.out.size, s.operands[0].value.type
    takes = [code.element(operand, size) for operand in s.operands]
    if s.operator == "LabelEncoder":
        _looked_up(code, s, takes[0])
        return
    out = code.at(s.out, "0" if size == 1 else "i")
    if s.operator == "StringNormalizer":
        how = s.said.get("case_change_action", "NONE").lower()
        if how not in ("lower", "upper") or s.said.get("stopwords"):
            raise UncarriedError(
                "a StringNormalizer that does more than change letters' case has no form in C"
            )
        code.helpers.add(how)
        row = f"t[{code.texts}]" if size == 1 else f"t[{code.texts} + i]"
        code.texts += size
        code.loop(size, f"{out} = {how}({row}, {takes[0]});")
        return
    found, helpers = expression(s, kind, takes)
    code.helpers |= helpers
    code.loop(size, f"{out} = {found};")


def _looked_up(code: Code, s: Each, x: str) -> None:
    """A table of sorted keys, or for numbers one that is gone through."""
    said = s.said
    name = next((n for n in ("keys_strings", "keys_int64s") if n in said), "")
    if not name or "values_int64s" not in said:
        raise UncarriedError("a LabelEncoder of floats or to texts has no form in C")
    table = dict(zip(said[name], map(int, said["values_int64s"]), strict=True))
    usual, out = int(said.get("default_int64", -1)), code.at(s.out, "0" if s.out.size == 1 else "i")
    if name == "keys_int64s":
        found = literal(usual, "i64")
        for key, value in table.items():
            found = f"{x} == {literal(int(key), 'i64')} ? {literal(value, 'i64')} : ({found})"
        code.loop(s.out.size, f"{out} = {found};")
        return
    keys = sorted(table, key=lambda key: key.encode())
    code.helpers.add("find_text")
    texts = code.array("const char *", [literal(key, "str") for key in keys])
    values = code.whole(np.array([table[key] for key in keys]))
    code.loop(
        s.out.size,
        f"{{ int k = find_text({texts}, {len(keys)}, {x}); {out} = k < 0 ? {usual} : {values}[k]; }}",
    )


def _take(code: Code, s: Take) -> None:
    start = 0
    for operand in s.operands:
        size = len(operand.places)
        out = code.at(s.out, str(start) if size == 1 else f"{start} + i" if start else "i")
        code.loop(size, f"{out} = {code.element(operand, size)};")
        start += size


def _rows(code: Code, s: Rows) -> None:
    width, (asked,) = s.table.shape[1], s.operands
    if s.out.type not in ("f32", "f64", "i64"):
        raise UncarriedError(f"a table of {s.out.type} has no form in C")
    values = np.ravel(s.table)
    if s.out.type == "f32" and np.array_equal(values, values.astype(np.int8)):
        table = code.whole(values)  # flags, mostly
    else:
        table = code.array(C_TYPES[s.out.type], [literal(v, s.out.type) for v in values])
    for turn in range(len(asked.places)):
        row = code.element(Operand(asked.value, asked.places[turn : turn + 1]), 1)
        first = turn * width
        out = code.at(s.out, f"{first} + i" if first else "i")
        code.lines.append(f"for (i = 0; i < {width}; i++) {out} = {table}[{row} * {width} + i];")


def _dense(code: Code, s: Dense) -> None:
    groups, k, m = s.weights.shape
    x, out = code.solid(s.operands[0]), code.base(s.out)
    for group in range(groups):
        w = s.weights[group].T  # a column's weights side by side
        to, of = (f" + {group * s.rows * width}" if group else "" for width in (m, k))
        shape = f"{s.rows}, {k}, {m}"
        if code.int8 and k * m >= _LARGE:
            scale = np.maximum(np.abs(w).max(axis=1), np.float32(1e-30)) / np.float32(127)
            code.helpers.add("dense8")
            numbers = code.array("int8_t", [str(int(v)) for v in np.rint(w / scale[:, None]).ravel()])
            code.lines.append(f"dense8({out}{to}, {x}{of}, {numbers}, {code.floats(scale)}, {shape});")
        else:
            code.helpers.add("dense")
            code.lines.append(f"dense({out}{to}, {x}{of}, {code.floats(w)}, {shape});")


def _fold(code: Code, s: Fold) -> None:
    (x,) = s.operands
    for line in range(s.out.size):
        part = Operand(x.value, x.places[line * s.run : (line + 1) * s.run])
        out, first = code.at(s.out, str(line)), code.element(Operand(x.value, part.places[:1]), 1)
        rest = Operand(x.value, part.places[1:])
        code.lines.append(f"{out} = {first};")
        if s.run > 1:
            other = code.element(rest, s.run - 1)
            line_of = (
                f"{out} += {other};" if s.operator == "Add" else f"if ({other} > {out}) {out} = {other};"
            )
            code.loop(s.run - 1, line_of)


def _trees(code: Code, s: Trees) -> None:
    """The branches of all trees in arrays, and the leaves' values in another."""
    branches, width, targets = branches_of(s.arrays), int(s.arrays["width"]), int(s.arrays["targets"])
    asks, limit = code.whole(branches.feature * 2 + branches.missing_left), code.floats(branches.threshold)
    left, right = code.whole(branches.left), code.whole(branches.right)
    root, value = code.whole(branches.root), code.floats(s.arrays["value"])
    x, out = code.solid(s.operands[0]), code.base(s.out)
    adds = f"sum[0] += {value}[-1 - at];"
    if width > 1:
        adds = f"for (i = 0; i < {width}; i++) sum[i] += {value}[(-1 - at) * {width} + i];"
    elif targets > 1:
        adds = f"sum[{code.whole(s.arrays['target'])}[-1 - at]] += {value}[-1 - at];"
    code.lines += [
        "{",
        f"    const float *x = {x};",
        f"    float *sum = {out};",
        f"    for (i = 0; i < {targets}; i++) sum[i] = 0;",
        f"    for (tree = 0; tree < {len(branches.root)}; tree++) {{",
        f"        int at = (int){root}[tree];",
        "        while (at >= 0) {",
        f"            float v = x[{asks}[at] >> 1];",
        f"            int goes_left = isnan(v) ? ({asks}[at] & 1) : v <= {limit}[at];",
        f"            at = (int)(goes_left ? {left}[at] : {right}[at]);",
        "        }",
        f"        {adds}",
        "    }",
        *(f"    sum[{i}] += {literal(v, 'f32')};" for i, v in enumerate(s.arrays["base"]) if v),
        "}",
    ]


WRITERS: Mapping[type[Statement], Callable[[Code, Any], None]] = {
    Each: _each,
    Take: _take,
    Rows: _rows,
    Dense: _dense,
    Fold: _fold,
    Trees: _trees,
}
