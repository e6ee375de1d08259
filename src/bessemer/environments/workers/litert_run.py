"""Runs a `.tflite` by LiteRT, or row by row by TensorFlow Lite Micro. Its argument is a folder with the question and
`encoded.npy`."""

import json
import os
import re
import sys
import tempfile
from importlib.metadata import version

import numpy as np
from timing import microseconds_a_row


def litert(content):
    """Any number of rows at once."""
    from ai_edge_litert.interpreter import Interpreter

    made = Interpreter(model_content=content, num_threads=1)
    answer = made.get_signature_runner("serving_default")

    def run(x, kept=made):  # the runner alone does not keep the memory of the answers
        return {name: found.copy() for name, found in answer(encoded=x).items()}

    return _row_by_row(run) if made.get_input_details()[0]["shape_signature"][0] > 0 else run


def _row_by_row(run):
    def all_rows(x):
        found = [run(row[None]) for row in x]
        return {name: np.concatenate([one[name] for one in found]) for name in found[0]}

    return all_rows


def micro(content):
    """A row at a time."""
    from tflite_micro.python.tflite_micro import runtime

    made, names = runtime.Interpreter.from_bytes(content), _output_names(content)

    def run(x):
        made.set_input(x, 0)
        made.invoke()
        return {name: made.get_output(i).copy() for i, name in enumerate(names)}

    run(np.zeros(made.get_input_details(0)["shape"], dtype=np.float32))
    _measured.update(flash_bytes=len(content), **_allocated(made))
    return _row_by_row(run)


#: What a microcontroller holds.
_measured = {}


def _allocated(made):
    """Of what it says of its arena, on the channel of errors, the whole: on a machine of 64 bits, and so an upper bound
    for those of 32."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            made.print_allocations()
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        file.seek(0)
        said = file.read().decode()
    found = re.search(r"Arena allocation total (\d+) bytes", said)
    if found is None:
        raise ValueError(f"the interpreter says nothing of its arena: {said!r}")
    return {"arena_bytes": int(found[1])}


def _output_names(content):
    """In the order of the outputs."""
    from ai_edge_litert.interpreter import Interpreter

    made = Interpreter(model_content=content)
    named = made.get_signature_runner("serving_default").get_output_details()
    by_tensor = {told["index"]: name for name, told in named.items()}
    return [by_tensor[told["index"]] for told in made.get_output_details()]


READERS = {"litert": (litert, "ai-edge-litert"), "micro": (micro, "tflite-micro")}


def main(folder):
    with open(os.path.join(folder, "question.json"), encoding="utf-8") as file:
        question = json.load(file)
    x = np.load(os.path.join(folder, "encoded.npy"), allow_pickle=False)
    with open(question["paths"][0], "rb") as file:
        content = file.read()
    reader, package = READERS[question["read"]]
    run = reader(content)
    for name, found in run(x).items():
        np.save(os.path.join(folder, f"out_{name}.npy"), found, allow_pickle=False)
    said = {"runtime": f"{package} {version(package)}", **_measured}
    if question.get("time"):
        said["latency"] = microseconds_a_row(run, x)
    with open(os.path.join(folder, "answer.json"), "w", encoding="utf-8") as file:
        json.dump(said, file)


if __name__ == "__main__":
    main(sys.argv[1])
