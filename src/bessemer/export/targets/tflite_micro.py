"""TensorFlow Lite Micro: a network in the memory of a microcontroller."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.export.keras_core import ask
from bessemer.export.protocol import Source
from bessemer.export.sidecar import python_usage, write_encoder
from bessemer.export.targets.tflite import FILE, TfLite, write_lite

#: Bytes that an arena is longer than what was used: its beginning is aligned.
_SPARE = 1024
#: Operators whose function is not their name in capitals.
_NAMES = {"BATCH_MATMUL": "BatchMatMul", "PADV2": "PadV2"}


class MicroSettings(Spec):
    quantise: Literal["none", "int8"] = Field(
        "none", description="int8: products of 8-bit integers, a quarter of the flash; all else is float32"
    )


class TfLiteMicro(TfLite):
    """`model.tflite`, the same as an array of C, the list of its operators, a `main.cc`, and `encoder.json`."""

    Settings: ClassVar[type[Spec]] = MicroSettings
    reader: ClassVar[str] = "micro"

    def refuses(self, source: Source) -> str:
        if source.has_trees:
            return "trees are walked by code, not by tensors, in so little memory: export it to c"
        return super().refuses(source)

    def export(self, source: Source, out: Path) -> str:
        operators = write_lite(source, out / FILE, self.settings.quantise, batch=1)
        row = np.zeros((1, source.core.width), dtype=np.float32)
        used = ask(source, "litert_run.py", "micro", [out / FILE], row).said["arena_bytes"]
        arena = (used + _SPARE + 15) // 16 * 16
        content = (out / FILE).read_bytes()
        for name, text in _files(source, content, operators, arena).items():
            (out / name).write_text(text, encoding="utf-8")
        return f"""{write_encoder(source, out)}

The model is {len(content)} bytes of flash, and its arena at most {arena} bytes of RAM. It takes a row at a
time, and answers with {" and ".join(f"`{name}`" for name in sorted(source.core.outputs))}, in this order.
`main.cc` builds with the library of [tflite-micro](https://github.com/tensorflow/tflite-micro), made for your board;
it was not built where this was written, where the interpreter of the package tflite-micro ran the model:

    make -f tensorflow/lite/micro/tools/make/Makefile TARGET=... microlite
    c++ -std=c++17 -Itflite-micro ... main.cc model_data.c libtensorflow-microlite.a

```python
{python_usage(source)}

from tflite_micro.python.tflite_micro import runtime

model = runtime.Interpreter.from_file("{FILE}")
model.set_input(encoded[:1], 0)
model.invoke()
print(model.get_output(0))
```
"""


def _files(source: Source, content: bytes, operators: Sequence[str], arena: int) -> dict[str, str]:
    return {
        "model_data.h": _HEADER,
        "model_data.c": _array(content),
        "resolver.h": _resolver(operators),
        "main.cc": _MAIN.replace("@WIDTH", str(source.core.width)).replace("@ARENA", str(arena)),
    }


def _array(content: bytes) -> str:
    lines = [", ".join(f"0x{byte:02x}" for byte in content[i : i + 16]) for i in range(0, len(content), 16)]
    body = ",\n    ".join(lines)
    return (
        f'#include "model_data.h"\n\nconst unsigned char model_data[] MODEL_ALIGNED = {{\n    {body}\n}};\n'
        + ("const unsigned int model_data_size = sizeof(model_data);\n")
    )


def _resolver(operators: Sequence[str]) -> str:
    """What has to be linked: these operators and no others."""
    calls = "".join(
        f"  if (resolver.Add{_function(name)}() != kTfLiteOk) return kTfLiteError;\n" for name in operators
    )
    return f"""#ifndef RESOLVER_H_
#define RESOLVER_H_

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

typedef tflite::MicroMutableOpResolver<{len(operators)}> Resolver;

static inline TfLiteStatus AddOperators(Resolver& resolver) {{
{calls}  return kTfLiteOk;
}}

#endif
"""


def _function(name: str) -> str:
    """`CONV_2D` -> `Conv2D`."""
    return _NAMES.get(name) or "".join(part.capitalize() for part in name.split("_")).replace("2d", "2D")


_HEADER = """#ifndef MODEL_DATA_H_
#define MODEL_DATA_H_

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) || defined(__clang__)
#define MODEL_ALIGNED __attribute__((aligned(16)))
#else
#define MODEL_ALIGNED
#endif

extern const unsigned char model_data[];
extern const unsigned int model_data_size;

#ifdef __cplusplus
}
#endif
#endif
"""

_MAIN = """#include <cstdint>
#include <cstdio>

#include "model_data.h"
#include "resolver.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/system_setup.h"
#include "tensorflow/lite/schema/schema_generated.h"

// A row of numbers, as encoder.json makes them of raw columns.
constexpr int kWidth = @WIDTH;
constexpr int kArenaSize = @ARENA;
alignas(16) static uint8_t arena[kArenaSize];
static float row[kWidth];

int main() {
  tflite::InitializeTarget();
  const tflite::Model* model = tflite::GetModel(model_data);
  if (model->version() != TFLITE_SCHEMA_VERSION) return 1;
  static Resolver resolver;
  if (AddOperators(resolver) != kTfLiteOk) return 2;
  static tflite::MicroInterpreter interpreter(model, resolver, arena, kArenaSize);
  if (interpreter.AllocateTensors() != kTfLiteOk) return 3;
  for (int i = 0; i < kWidth; ++i) interpreter.input(0)->data.f[i] = row[i];
  if (interpreter.Invoke() != kTfLiteOk) return 4;
  for (size_t k = 0; k < interpreter.outputs_size(); ++k) {
    const TfLiteTensor* output = interpreter.output(k);
    for (int i = 0; i < output->dims->data[1]; ++i) printf("%.7g ", static_cast<double>(output->data.f[i]));
    printf("\\n");
  }
  return 0;
}
"""
