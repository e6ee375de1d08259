"""Has the worker convert small models of many kinds of layers, in one process: prints what it says of each, as JSON.

In Bessemer's environment `tensorflow`: python zoo.py FOLDER WORKERS
"""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, sys.argv[2])

import keras
import numpy as np
import tensorflow_onnx
from keras import layers
from keras_config import Refused

os.chdir(sys.argv[1])
STEPS = layers.Reshape((3, 2))
MODELS = {
    "activations": [
        layers.Dense(8, activation="gelu"), layers.PReLU(), layers.ELU(), layers.Dense(4, activation="mish"),
        layers.Dense(4, activation="selu"), layers.Softmax(),
    ],
    "norms": [
        layers.LayerNormalization(), layers.UnitNormalization(), layers.GroupNormalization(3),
        layers.RMSNormalization(),
    ],
    "images": [
        layers.Reshape((2, 3, 1)), layers.UpSampling2D(), layers.Conv2DTranspose(2, 3), layers.SeparableConv2D(3, 2),
        layers.BatchNormalization(), layers.Cropping2D(1), layers.Permute((3, 1, 2)), layers.GlobalMaxPooling2D(),
    ],
    "recurrent": [STEPS, layers.Bidirectional(layers.LSTM(3, return_sequences=True)), layers.GRU(2)],
    "steps": [
        STEPS, layers.TimeDistributed(layers.Dense(4)), layers.Conv1D(4, 2, padding="causal"), layers.Flatten(),
    ],
    "bins": [layers.Discretization([0.0, 0.5, 1.0]), layers.Embedding(4, 2), layers.Flatten(), layers.Dense(1)],
    "exact": [layers.Rescaling(1.0), layers.Embedding(4, 2, dtype="float64"), layers.Flatten(), layers.Dense(1)],
    "pooled": [layers.Reshape((6, 1)), layers.MaxPooling1D(2), layers.Flatten(), layers.Dense(1)],
}  # fmt: skip

keras.utils.set_random_seed(0)
said = {}
for name, parts in MODELS.items():
    model = keras.Sequential([keras.Input((6,)), *parts])
    model.save(f"{name}.keras")
    if name == "bins":
        np.save("bins.npy", model(np.float32([[np.nan, 0.2, 0.7, 2, -1, np.nan]])))
    if name == "exact":
        np.save("exact.npy", model(np.float32([[0, 1, 2, 3, -1, -4]])))
    Path(name).mkdir()
    try:
        said[name] = tensorflow_onnx.answered(
            {"read": "keras", "paths": [str(Path(f"{name}.keras").resolve())]}, name
        )
    except Refused as error:
        said[name] = f"{error.what}: {error.why}"
Path("said.json").write_text(json.dumps(said))
