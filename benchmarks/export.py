"""Every target on every kind of model: parity with the package in the target's own runtime, size, latency.

    python benchmarks/export.py                       # everything; writes the table of docs/export-table.md
    python benchmarks/export.py --only onnx,tflite    # some targets; the others' lines stay

Models are of the kinds that people have: boosted trees, an ensemble, a linear model, a network on a table (census
income, 14 columns, 8 of them texts with missing values) and a convolutional network (scikit-learn's digits). Rows are
those that every export is held against: missing and unseen values among them. What cannot be run here says why.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "export"))

from packages_support import model, package  # noqa: E402

from bessemer.core.errors import BessemerError  # noqa: E402
from bessemer.export.plugins import TARGETS  # noqa: E402
from bessemer.export.protocol import Source  # noqa: E402
from bessemer.export.run import export  # noqa: E402
from bessemer.export.samples import samples_of  # noqa: E402

KINDS = {
    "lightgbm": "LightGBM",
    "ensemble": "ensemble",
    "logistic": "logistic",
    "table_net": "table network",
    "convnet": "convnet",
}
PAGE = ROOT / "docs" / "export-table.md"
KEPT = ROOT / "benchmarks" / "export.json"


def measured(target: str, kind: str, folder: Path) -> dict[str, Any]:
    """One cell: what was proven, how large it is, how quick; or why there is none."""
    loaded = model(kind)
    begin = time.perf_counter()
    try:
        told = export(Source(loaded), target, folder / target / kind)
    except BessemerError as error:
        return {"refused": error.why or error.what}
    out = folder / target / kind
    found: dict[str, Any] = {
        **told["proof"],
        "bytes": sum(facts["bytes"] for name, facts in told["files"].items() if name != "README.md"),
        "seconds": round(time.perf_counter() - begin, 1),
    }
    kind_of: Any = TARGETS.load(target)
    made = kind_of(kind_of.Settings())
    if hasattr(made, "latency") and told["proof"]["run"]:
        found["micros"] = made.latency(Source(loaded), out, samples_of(loaded))
    return found


def cell(found: dict[str, Any] | None) -> str:
    if found is None:
        return "-"
    if "refused" in found:
        return f"no: {found['refused']}"
    size = f"{found['bytes'] / 1024:,.0f} kB"
    if not found["run"]:
        return f"written ({size}), not run: {found['why']}"
    parts = [f"{found['max_difference']:.1g}", f"{found['label_flips']} flips", size]
    if "micros" in found:
        parts.append(", ".join(f"{value:,.0f} µs at {batch}" for batch, value in found["micros"].items()))
    return "; ".join(parts)


def page(kept: dict[str, dict[str, Any]]) -> str:
    versions = sorted({c["runtime"] for row in kept.values() for c in row.values() if c.get("runtime")})
    lines = [
        "# What exports to what",
        "",
        "Written by `python benchmarks/export.py`: each package in each target's own runtime. A cell says the greatest",
        "difference of a probability from the package's, how many of the rows got another class, the size on disk, and",
        "where it was measured the microseconds a row at batches of 1 and 64 (two cores, shared).",
        "",
        f"| target | {' | '.join(KINDS.values())} |",
        f"| --- |{' --- |' * len(KINDS)}",
        *(
            f"| `{name}` | {' | '.join(cell(row.get(kind)) for kind in KINDS)} |"
            for name, row in kept.items()
        ),
        "",
        f"Runtimes: {', '.join(versions)}.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="targets, with commas between")
    asked = parser.parse_args()
    kept = json.loads(KEPT.read_text()) if KEPT.is_file() else {}
    for kind in KINDS:
        print(f"{kind}: {package(kind).stat().st_size:,} bytes", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for target in asked.only.split(",") if asked.only else TARGETS:
            kept[target] = {}
            for kind in KINDS:
                kept[target][kind] = measured(target, kind, Path(folder))
                print(f"{target:16} {kind:10} {cell(kept[target][kind])}", flush=True)
            KEPT.write_text(
                json.dumps({name: kept[name] for name in TARGETS if name in kept}, indent=1) + "\n"
            )
    PAGE.write_text(page({name: kept[name] for name in TARGETS if name in kept}), encoding="utf-8")
    print(f"\nthe table is in {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
