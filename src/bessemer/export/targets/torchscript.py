"""TorchScript: the core as a program of its own, which torch runs in C++, Java and Python without its source."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

from bessemer.export.protocol import Source
from bessemer.export.torch_core import check_general, module_of, recorded_with, recording
from bessemer.export.torch_format import TorchFormat

#: Types get a number where the process has had one of their name already.
_MANGLED = re.compile(rb"\.___torch_mangle_\d+")
#: Where the recorder stood in our source, with paths of this machine.
_SOURCE = ".debug_pkl"


class TorchScript(TorchFormat):
    """`core.pt`, by `torch.jit.trace`, and `encoder.json`."""

    FILE = "core.pt"
    RUNTIME = "TorchScript"
    LOADED = 'torch.jit.load("core.pt")'

    def write(self, source: Source, file: Path) -> None:
        file.write_bytes(script(source))

    def load(self, file: Path) -> Any:
        import torch

        with recording():
            return torch.jit.load(file, map_location="cpu").eval()


def script(source: Source) -> bytes:
    """The content of a TorchScript file.

    Raises:
        UncarriedError: there is no core, or it depends on how many rows there are.
    """
    import torch

    with recording():
        traced: Any = torch.jit.trace(module_of(source), (recorded_with(source),), check_trace=False)
        check_general(source, traced)
        kept = io.BytesIO()
        torch.jit.save(traced, kept)
    return _cleaned(kept.getvalue())


def _cleaned(archive: bytes) -> bytes:
    """The same program without what depends on this process and this machine."""
    import torch

    reader = torch._C.PyTorchFileReader(io.BytesIO(archive))
    cleaned = io.BytesIO()
    writer = torch._C.PyTorchFileWriter(cleaned)
    for name in reader.get_all_records():
        if name.endswith(_SOURCE) or name.startswith((".data/", "traced_inputs")):
            continue
        content = reader.get_record(name)
        if name == "data.pkl" or name.startswith("code/"):
            content = _MANGLED.sub(b"", content)
        writer.write_record(re.sub(r"/___torch_mangle_\d+", "", name), content, len(content))
    writer.write_end_of_file()
    return cleaned.getvalue()
