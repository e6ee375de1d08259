"""HDF5 files that mean harm, and what the worker says of each, as JSON.

In Bessemer's environment `tensorflow`: python hdf5.py FOLDER WORKERS
"""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[2])

import h5py
import keras_hdf5
import numpy as np
from keras_config import Refused

os.chdir(sys.argv[1])
Path("secret.bin").write_bytes(bytes(64))
with h5py.File("other.h5", "w") as other:
    other["x"] = np.zeros(4)


def external(file):
    file.create_dataset("w", (16,), "<f4", external=[("secret.bin", 0, 64)])


def virtual(file):
    layout = h5py.VirtualLayout((4,), "<f8")
    layout[:] = h5py.VirtualSource("other.h5", "x", (4,))
    file.create_virtual_dataset("w", layout)


def linked(file):
    file["w"] = h5py.ExternalLink("other.h5", "x")


def soft(file):
    file["w"] = h5py.SoftLink("/v")


def swollen(file):
    file.create_dataset("w", (10**10,), "<f4", chunks=(10**6,), compression="gzip")


def objects(file):
    file["w"] = np.array(["a"], dtype=object)


def circle(file):
    file.create_group("a")["b"] = file["/"]


def real(file):
    file.create_group("layers/dense/vars")["0"] = np.zeros((3, 2), np.float32)


said = {}
for make in (external, virtual, linked, soft, swollen, objects, circle, real):
    with h5py.File("it.h5", "w") as file:
        make(file)
    try:
        keras_hdf5.check("it.h5", 10**6)
        said[make.__name__] = ""
    except Refused as error:
        said[make.__name__] = error.what
content = Path("it.h5").read_bytes()
for at in (100, 600, len(content) - 300):
    Path("it.h5").write_bytes(content[:at])
    try:
        keras_hdf5.check("it.h5", 10**6)
        said[f"cut {at}"] = ""
    except Refused as error:
        said[f"cut {at}"] = error.what
Path("said.json").write_text(json.dumps(said))
