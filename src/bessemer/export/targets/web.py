"""A page that scores rows in the browser: the whole graph, texts too, by onnxruntime-web; any file server serves it."""

from __future__ import annotations

import html
import json
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from bessemer._version import __version__
from bessemer.environments.errors import ToolError
from bessemer.environments.plugins import ENVIRONMENTS
from bessemer.export.base import Base
from bessemer.export.javascript import encoder_js
from bessemer.export.protocol import Answers, Source
from bessemer.export.samples import Samples, plain_rows
from bessemer.export.sidecar import example_rows
from bessemer.export.web.browser import open_folder
from bessemer.package.onnx_format import all_nodes, parse

#: Of the package from npm: what a page with one thread of WebAssembly takes.
_RUNTIME = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
_PAGE = ("index.html", "page.css", "page.js", "model.js", "rows.js")
#: Rows that a question to the page has.
_AT_ONCE = 500
#: Decodes images; no build of onnxruntime for the web has its operators.
_FOREIGN = "com.microsoft.extensions"
_ASK = "async (rows) => { const { load } = await import('./model.js'); return (await load()).predict(rows); }"


class Web(Base):
    """`index.html` and what it needs; works offline."""

    takes: ClassVar[Literal["graph"]] = "graph"
    environment: ClassVar[str] = "onnxruntime_web"

    def refuses(self, source: Source) -> str:
        foreign = sorted({n.op_type for n in all_nodes(parse(source.graph).graph) if n.domain == _FOREIGN})
        return f"onnxruntime-web has no operator {foreign[0]}" if foreign else ""

    def export(self, source: Source, out: Path) -> str:
        place = ENVIRONMENTS[self.environment]
        modules = place.ensure(source.tell) / "node_modules" / "onnxruntime-web"
        version = json.loads((modules / "package.json").read_text(encoding="utf-8"))["version"]
        (out / "onnxruntime").mkdir()
        for name in _RUNTIME:
            shutil.copyfile(modules / "dist" / name, out / "onnxruntime" / name)
        web = files("bessemer.export.web")
        for name in _PAGE:
            text = web.joinpath(name).read_text(encoding="utf-8")
            if name == "index.html":
                text = text.replace("TITLE", html.escape(f"{source.model.name} {source.model.version}"))
            (out / name).write_text(text, encoding="utf-8")
        (out / "encoder.js").write_text(encoder_js(), encoding="utf-8")
        (out / "model.onnx").write_bytes(source.graph)
        facts = json.dumps(_facts(source, version), ensure_ascii=False, indent=1)
        (out / "signature.json").write_text(facts + "\n", encoding="utf-8")
        row = json.dumps(example_rows(source), ensure_ascii=False)
        return f"""A page that runs the model in the browser, by onnxruntime-web {version} (MIT), which is in it:

    python -m http.server --directory .

and open http://localhost:8000. Any file server serves it; nothing is fetched from elsewhere, no row leaves the
page. In a page of your own:

```js
// <script src="encoder.js"></script> comes first
import {{ load }} from "./model.js";

const model = await load();
console.log(await model.predict({row}));
```
"""

    def check(self, source: Source, out: Path, samples: Samples) -> Answers:
        answers: list[dict[str, Any]] = []
        with open_folder(out) as (page, runtime):
            for start in range(0, len(samples), _AT_ONCE):
                answers += page.evaluate(_ASK, samples.rows[start : start + _AT_ONCE])
        if len(answers) != len(samples):
            raise ToolError(f"the page answered {len(answers)} of {len(samples)} rows")
        labels = [answer["prediction"] for answer in answers]
        if source.model.task == "regression":
            return Answers(np.array(labels, dtype=np.float32)[:, None], runtime)
        return Answers(np.array([a["probability"] for a in answers], dtype=np.float32), runtime, labels)


def _facts(source: Source, version: str) -> dict[str, Any]:
    """What the page knows of the model."""
    model = source.model
    return {
        "name": model.name,
        "version": model.version,
        "task": model.task,
        "target": model.signature.target,
        "classes": list(model.classes),
        "inputs": [
            {
                "name": f.name,
                "dtype": f.dtype,
                "tensor": f.tensor,
                "nullable": f.nullable,
                "domain": dict(f.domain),
            }
            for f in model.signature.inputs
        ],
        "samples": plain_rows(model),
        "bessemer": __version__,
        "onnxruntime": version,
    }
