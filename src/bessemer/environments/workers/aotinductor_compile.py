"""Compiles a program of torch.export into a package with a shared library.

question: `program` (a .pt2 file), `package` (the file to write), `options` of inductor. Runs in a folder of its own,
whose name ends up in the library and is taken out of it again.
"""

import io
import json
import os
import re
import sys
import sysconfig
from pathlib import Path

#: What is taken along: the library, and what torch asks about it before it loads it.
KEPT = (".so", "_metadata.json", "archive_format", "archive_version", "byteorder")
#: The note with the build's digest in an ELF file: its head, and 20 bytes.
BUILD_ID = re.compile(rb"(\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0).{20}", re.DOTALL)
#: Sources, and what was said of them.
DROPPED = (".kernel_metadata.json",)


def anonymous(content, folders):
    """The library without folders of this machine, which stand in messages of its asserts, and without the linker's
    digest of what it was before; as long as before."""
    for folder in folders:
        content = content.replace(folder, b"." * len(folder))
    return BUILD_ID.sub(lambda found: found[1] + bytes(20), content)


def rewritten(archive, folders):
    import torch

    reader = torch._C.PyTorchFileReader(io.BytesIO(archive))
    out = io.BytesIO()
    writer = torch._C.PyTorchFileWriter(out)
    for name in reader.get_all_records():
        if name.endswith(KEPT) and not name.endswith(DROPPED):
            content = anonymous(reader.get_record(name), folders)
            writer.write_record(name, content, len(content))
    writer.write_end_of_file()
    return out.getvalue()


def main(folder):
    question = json.loads((folder / "question.json").read_text(encoding="utf-8"))
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(folder / "cache")
    import torch

    torch.set_num_threads(1)
    program = torch.export.load(question["program"])
    made = folder / "core.pt2"
    torch._inductor.aoti_compile_and_package(
        program, package_path=str(made), inductor_configs=question["options"]
    )
    folders = [str(folder / "cache"), str(folder), sysconfig.get_path("purelib"), sys.prefix]
    content = rewritten(made.read_bytes(), [name.encode() for name in folders])
    Path(question["package"]).write_bytes(content)
    (folder / "answer.json").write_text(json.dumps({"torch": torch.__version__}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
