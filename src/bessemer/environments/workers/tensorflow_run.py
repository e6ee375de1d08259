"""Runs what was written for TensorFlow and Keras. Its argument is a folder with the question and `encoded.npy`."""

import json
import os
import sys

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1", TF_ENABLE_ONEDNN_OPTS="0")

import keras
import numpy as np
import tensorflow as tf
from timing import microseconds_a_row


def saved_model(paths):
    serve = tf.saved_model.load(paths[0]).signatures["serving_default"]
    return lambda x: serve(encoded=tf.constant(x))


def native(paths):
    return _called(keras.saving.load_model(paths[0], compile=False, safe_mode=True))


def operations(kind=keras.Operation):
    """Keras's own operators by their names: its older format does not know where they are."""
    for one in kind.__subclasses__():
        if not issubclass(one, keras.layers.Layer):
            yield one.__name__, one
            yield from operations(one)


def h5(paths):
    model = keras.saving.load_model(paths[0], compile=False, custom_objects=dict(operations()))
    return _called(model)


def in_two(paths):
    with open(paths[0], encoding="utf-8") as file:
        model = keras.models.model_from_json(file.read())
    model.load_weights(paths[1])
    return _called(model)


def _called(model):
    call = tf.function(lambda x: model(x, training=False))
    return lambda x: call(tf.constant(x))


READERS = {"savedmodel": saved_model, "keras": native, "h5": h5, "in_two": in_two}


def main(folder):
    with open(os.path.join(folder, "question.json"), encoding="utf-8") as file:
        question = json.load(file)
    x = np.load(os.path.join(folder, "encoded.npy"), allow_pickle=False)
    run = READERS[question["read"]](question["paths"])
    for name, found in run(x).items():
        np.save(os.path.join(folder, f"out_{name}.npy"), found.numpy(), allow_pickle=False)
    said = {"runtime": f"TensorFlow {tf.__version__}, Keras {keras.__version__}"}
    if question.get("time"):
        said["latency"] = microseconds_a_row(run, x)
    with open(os.path.join(folder, "answer.json"), "w", encoding="utf-8") as file:
        json.dump(said, file)


if __name__ == "__main__":
    main(sys.argv[1])
