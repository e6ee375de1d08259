"""TensorFlow.js: a graph model, for browsers and Node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from bessemer.environments.plugins import ENVIRONMENTS
from bessemer.environments.work import Work, work
from bessemer.export.keras_core import KerasTarget, write_core
from bessemer.export.protocol import Source
from bessemer.export.samples import Samples
from bessemer.export.sidecar import encoded, example_rows, write_encoder

_RUNTIME = "tensorflow_js"
_SCRIPT = "https://cdn.jsdelivr.net/npm/@tensorflow/tfjs@4.22.0/dist/tf.min.js"


class TensorFlowJs(KerasTarget):
    """`model.json`, `group1-shard*.bin` and `encoder.json`."""

    environment: ClassVar[str] = _RUNTIME

    def export(self, source: Source, out: Path) -> str:
        write_core(source, {"tfjs": out}, plain=True)
        return f"{write_encoder(source, out)}\n\n{_usage(source)}"

    def asked(self, source: Source, out: Path, samples: Samples, **more: Any) -> Work:
        place = ENVIRONMENTS[_RUNTIME]
        rows = {"encoded": encoded(source, out, samples)}
        modules = {"NODE_PATH": str(place.folder / "node_modules")}
        question = {"paths": [str(out.absolute())], **more}
        return work(place, "tfjs_run.js", question, rows, tell=source.tell, environ=modules)


def _usage(source: Source) -> str:
    reader, rows, decided = (
        "",
        f"  const encoded = tf.zeros([1, {source.core.width}]);",
        "found.score.arraySync()",
    )
    if source.core.program is not None:
        reader = '\n<script src="encoder.js"></script>'
        rows = f"""  const encoder = new BessemerEncoder.Encoder(await (await fetch("encoder.json")).json());
  const rows = {json.dumps(example_rows(source), ensure_ascii=False)};
  const encoded = tf.tensor2d(encoder.encode(rows), [rows.length, encoder.width]);"""
        decided = "encoder.decide(found.score.dataSync())"
    return f"""In a page that any server of files gives out, beside this folder's files:

```html
<!doctype html>
<meta charset="utf-8">
<script src="{_SCRIPT}"></script>{reader}
<script type="module">
  const model = await tf.loadGraphModel("model.json");
{rows}
  const found = model.predict({{ encoded }});
  document.body.textContent = JSON.stringify({decided});
</script>
```
"""
