"""C99 for whatever has a compiler: trees, linear models and small networks, and the way from raw columns to them."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.environments.tools import run_tool
from bessemer.export.base import Base
from bessemer.export.protocol import Answers, NotRunError, Source
from bessemer.export.rowwise.build import program_of
from bessemer.export.rowwise.c_files import files_of
from bessemer.export.rowwise.c_run import END, answers_of, on_board, row_line
from bessemer.export.rowwise.lines import run_lines
from bessemer.export.samples import Samples


class CSettings(Spec):
    """How it is written."""

    weights: Literal["float32", "int8"] = Field(
        "float32",
        description="How the weights of products are kept; int8 takes a quarter and answers less exactly.",
    )


class C(Base):
    """`model.c` and `encoder.c`: no heap, no recursion, nothing of the C library but `math.h` and `string.h`."""

    takes: ClassVar[Literal["native"]] = "native"
    limit: float = 1e-5
    Settings: ClassVar[type[CSettings]] = CSettings

    def __init__(self, settings: CSettings) -> None:
        self.settings = settings
        self.limit = {"float32": 1e-5, "int8": 0.02}[settings.weights]

    def refuses(self, source: Source) -> str:
        self._files(source)
        return ""

    def export(self, source: Source, out: Path) -> str:
        for name, content in self._files(source).items():
            (out / name).write_text(content, encoding="utf-8")
        return _usage(source)

    def check(self, source: Source, out: Path, samples: Samples) -> Answers:
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None or shutil.which("make") is None:
            raise NotRunError("there is no C compiler, or no make, on this machine")
        with tempfile.TemporaryDirectory(prefix="bessemer-c-") as place:
            folder = Path(place)
            for path in out.iterdir():
                if path.suffix in (".c", ".h", ".ld") or path.name == "Makefile":
                    shutil.copy(path, folder)
            rows = [row_line(source.model.signature.inputs, row) for row in samples.rows]
            run_tool(["make", f"CC={compiler}", "score"], folder=folder)
            values = answers_of(run_lines([str(folder / "score")], rows, folder, END))
            board = on_board(folder, rows, values)
        version = run_tool([compiler, "--version"]).splitlines()[0]
        return Answers(values, version, beside=board)

    def _files(self, source: Source) -> dict[str, str]:
        program = program_of(source.model)
        return files_of(program, source.slug, source.model.classes, int8=self.settings.weights == "int8")


def _usage(source: Source) -> str:
    slug, upper = source.slug, source.slug.upper()
    binary = source.model.task != "regression"
    extra = f", probability[{upper}_CLASSES]" if binary else ""
    return f"""`encoder.c` makes the model's features of a row's raw columns, `model.c` its answer of them. Neither
takes memory from a heap, calls itself, or needs more than `math.h` and `string.h`.

```c
#include "encoder.h"
#include "model.h"

struct {slug}_row row = {{0}};   /* the columns are in encoder.h */
float features[{upper}_FEATURES], score[{upper}_SCORE]{extra};
{slug}_encode(&row, features);
{slug}_predict(features, score{", probability" if binary else ""});
```

`make` builds `score`, which reads rows from its input; `make run` builds it for a Cortex-M4 and runs it in QEMU.
"""
