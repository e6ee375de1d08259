"""All that Elasticsearch and Kibana are given, as files for those who put it there by their own means."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from bessemer.core.elastic.login import check_prefix
from bessemer.core.elastic.templates import component_templates, index_templates, policies
from bessemer.monitor.elastic.dashboard import saved_objects, to_ndjson

#: The file with Kibana's saved objects.
KIBANA = "kibana.ndjson"


def files(prefix: str) -> Iterator[tuple[str, str]]:
    """Path and text of each file: of the first three folders each is the body of a PUT that its path names."""
    for name, body in policies(prefix):
        yield f"_ilm/policy/{name}.json", _text({"policy": body})
    for name, body in component_templates(prefix):
        yield f"_component_template/{name}.json", _text(body)
    for name, body in index_templates(prefix):
        yield f"_index_template/{name}.json", _text(body)
    yield KIBANA, to_ndjson(saved_objects(prefix))


def write(folder: Path, prefix: str) -> list[Path]:
    """Write all files below a folder; gives their paths.

    Raises:
        OSError: it cannot be written.
        UsageError: the prefix is none.
    """
    check_prefix(prefix)
    written = []
    for name, text in files(prefix):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        written.append(path)
    return written


def _text(body: object) -> str:
    return json.dumps(body, indent=2) + "\n"
