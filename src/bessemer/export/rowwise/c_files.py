"""The files of a model in C99: the encoder of a row's columns, the model behind it, and a program that reads rows."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files

from bessemer.core.signature import Field
from bessemer.export.rowwise.c_code import Code
from bessemer.export.rowwise.c_words import C_TYPES, literal, text
from bessemer.export.rowwise.program import Program, Value

_C_WORDS = frozenset(
    """auto break case char const continue default do double else enum extern float for goto if inline int long register
    restrict return short signed sizeof static struct switch typedef union unsigned void volatile while""".split()  # noqa: SIM905
)
_FIXED = files("bessemer.export.readers.c")


def files_of(program: Program, slug: str, classes: Sequence[object], *, int8: bool) -> dict[str, str]:
    """Name -> content.

    Raises:
        UncarriedError: something of the program has no form in C, by name.
    """
    names = members(column for column, _ in program.inputs)
    features = program.outputs["features"]
    outputs = [name for name in ("score", "probability") if name in program.outputs]
    front = Code(
        program.needed("features"),
        {features.number: "features"} | {v.number: _member(names[c.name], v) for c, v in program.inputs},
    )
    back = Code(
        program.behind("features", *outputs),
        {features.number: "features"} | {program.outputs[name].number: name for name in outputs},
        int8,
    )
    fixed = {
        name: _FIXED.joinpath(name).read_text(encoding="utf-8")
        for name in ("Makefile", "startup.c", "mps2.ld")
    }
    return {
        "model.h": _model_h(program, slug, classes),
        "model.c": _source(
            back, "model.h", f"void {slug}_predict({_predict_arguments(program)})", ["math.h", "stdint.h"]
        ),
        "encoder.h": _encoder_h(program, slug, names),
        "encoder.c": _source(
            front,
            "encoder.h",
            f"void {slug}_encode(const struct {slug}_row *row, float *features)",
            ["math.h", "string.h"],
        ),
        "main.c": _main(program, slug, names),
        **fixed,
    }


def members(columns: object) -> dict[str, str]:
    """A C identifier for each column: its letters and digits, numbered where that is taken."""
    found: dict[str, str] = {}
    for column in columns:  # type: ignore[attr-defined]
        name = re.sub(r"[^A-Za-z0-9]+", "_", column.name).strip("_") or "column"
        name = f"_{name}" if name[0].isdigit() else name
        name = f"{name}_" if name in _C_WORDS or keyword.iskeyword(name) else name
        base, count = name, 2
        while name in found.values():
            name, count = f"{base}_{count}", count + 1
        found[column.name] = name
    return found


def _member(name: str, value: Value) -> str:
    return f'(row->{name} ? row->{name} : "")' if value.type == "str" else f"row->{name}"


def _predict_arguments(program: Program) -> str:
    outputs = ["score", *(["probability"] if "probability" in program.outputs else [])]
    return ", ".join(["const float *features", *(f"float *{name}" for name in outputs)])


def _model_h(program: Program, slug: str, classes: Sequence[object]) -> str:
    upper, outputs = slug.upper(), program.outputs
    sizes = [f"#define {upper}_{name.upper()} {outputs[name].size}" for name in ("features", "score")]
    told = ["NaN is missing in `features`."]
    if "probability" in outputs:
        sizes.append(f"#define {upper}_CLASSES {outputs['probability'].size}")
        named = ", ".join(str(c).replace("*/", "* /").replace("\n", " ") for c in classes)
        told.append(f"Classes, in the order of `probability`: {named}.")
    return _guarded(
        f"{upper}_MODEL_H",
        [*sizes, "", f"/* {' '.join(told)} */", f"void {slug}_predict({_predict_arguments(program)});"],
    )


def _encoder_h(program: Program, slug: str, names: Mapping[str, str]) -> str:
    fields = [
        f"    {C_TYPES[value.type]}{'' if value.type == 'str' else ' '}{names[column.name]};{_remark(column)}"
        for column, value in program.inputs
    ]
    lines = [
        "#include <stdint.h>",
        "",
        '/* What is missing: NaN of numbers, NULL or "" of texts, INT64_MIN of moments. */',
        f"struct {slug}_row {{",
        *fields,
        "};",
        "",
        f"void {slug}_encode(const struct {slug}_row *row, float *features);",
    ]
    return _guarded(f"{slug.upper()}_ENCODER_H", lines)


def _remark(column: Field) -> str:
    if column.dtype == "timestamp":
        return " /* microseconds since 1970, UTC */"
    return " /* 1 or 0 */" if column.dtype == "boolean" else ""


def _guarded(name: str, lines: Sequence[str]) -> str:
    return "\n".join([f"#ifndef {name}", f"#define {name}", "", *lines, "", "#endif", ""])


def _source(code: Code, header: str, head: str, includes: Sequence[str]) -> str:
    body = "\n".join(code.lines)
    counters = [name for name in ("i", "tree") if re.search(rf"\b{name}\b", body)]
    parts = [
        f'#include "{header}"',
        "\n".join(f"#include <{name}>" for name in sorted({*includes, "stdint.h"})),
        f"#define TEXT {code.text_bytes} /* longer texts are cut: they equal no key */" if code.texts else "",
        "\n".join(code.constants),
        "\n\n".join(code.functions),
        "\n".join(
            [
                f"{head} {{",
                *(f"    {line}" for line in code.workspace),
                *([f"    int {', '.join(counters)};"] if counters else []),
                *("    " + line for line in code.lines),
                "}",
            ]
        ),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


_READ = {
    "f32": "number(part)",
    "f64": "number(part)",
    "i64": "*part ? (int64_t)strtoll(part, 0, 10) : INT64_MIN",
    "str": "part",
}


def _main(program: Program, slug: str, names: Mapping[str, str]) -> str:
    reads = []
    for column, value in program.inputs:
        cast = "(float)" if value.type == "f32" else ""
        reads.append(f"    part = next(&at); row.{names[column.name]} = {cast}{_READ[value.type]};")
    classes = program.outputs.get("probability")
    upper = slug.upper()
    outs = ["score", *(["probability"] if classes else [])]
    shown, count = (outs[-1], f"{upper}_CLASSES" if classes else f"{upper}_SCORE")
    columns = text("\\t".join(column.name for column, _ in program.inputs))[1:-1]
    calls = [
        f"        {slug}_encode(&row, features);",
        f"        {slug}_predict(features, {', '.join(outs)});",
    ]
    comment = columns.replace("*/", "* /").replace("\\", "\\\\")
    return _MAIN.format(
        comment=comment,
        slug=slug,
        reads="\n".join(reads),
        sizes="\n".join(
            [
                f"    float features[{upper}_FEATURES], score[{upper}_SCORE]"
                + (f", probability[{upper}_CLASSES];" if classes else ";")
            ]
        ),
        calls="\n".join(calls),
        shown=shown,
        count=count,
        nothing=literal(float("nan"), "f32"),
    )


_MAIN = """\
/* Reads rows, a line each, their columns parted by tabs:
   {comment}
   Empty is missing; \\\\t, \\\\n and \\\\\\\\ stand for a tab, a new line, a backslash. Writes the
   model's answers. */
#include "encoder.h"
#include "model.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef LONGEST
#define LONGEST 16384
#endif
#ifdef COUNTED /* SysTick of a board at 25 MHz */
#define TICKS (*(volatile uint32_t *)0xE000E018)
#endif

static char line[LONGEST];

static double number(const char *part) {{ return *part ? strtod(part, 0) : (double)NAN; }}

/* The next part of a line, its stand-ins read. */
static char *next(char **at) {{
    char *from = *at, *to = *at, *part = *at;
    while (*from && *from != '\\t' && *from != '\\n') {{
        if (*from == '\\\\' && from[1]) {{
            from++;
            *to++ = (char)(*from == 't' ? '\\t' : *from == 'n' ? '\\n' : *from);
            from++;
        }} else {{
            *to++ = *from++;
        }}
    }}
    *at = *from ? from + 1 : from;
    *to = 0;
    return part;
}}

static void read_row(struct {slug}_row *row_of, char *at) {{
    struct {slug}_row row;
    char *part;
{reads}
    *row_of = row;
}}

int main(void) {{
    struct {slug}_row row;
{sizes}
    int i;
#ifdef COUNTED
    unsigned long rows = 0, ticks = 0;
    *(volatile uint32_t *)0xE000E014 = 0xFFFFFF;
    *(volatile uint32_t *)0xE000E018 = 0;
    *(volatile uint32_t *)0xE000E010 = 5;
#endif
    while (fgets(line, LONGEST, stdin)) {{
#ifdef COUNTED
        uint32_t start;
#endif
        if (*line == '!') break;
        read_row(&row, line);
#ifdef COUNTED
        start = TICKS;
#endif
{calls}
#ifdef COUNTED
        ticks += (start - TICKS) & 0xFFFFFF;
        rows++;
#endif
        for (i = 0; i < {count}; i++) printf("%s%.9g", i ? "\\t" : "", (double){shown}[i]);
        printf("\\n");
    }}
#ifdef COUNTED
    printf("# rows %lu instructions %lu\\n", rows, ticks * 40UL);
#endif
    return 0;
}}
"""
