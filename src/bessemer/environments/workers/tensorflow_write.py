"""Writes a numeric core in the formats of TensorFlow. Its argument is a folder with the question."""

import json
import os
import re
import shutil
import sys
import zipfile

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1", TF_ENABLE_ONEDNN_OPTS="0")

import keras
import keras_model
import numpy as np
import tensorflow as tf
from keras_values import Unknown

#: The first moment that a zip can tell: its members are always of then.
_THEN = (1980, 1, 1, 0, 0, 0)


def saved_model(model, question, out):
    """With one signature, `serving_default`, and without what is another one each time."""
    served = tf.Module()
    served.weights = [variable.value for variable in model.variables]

    @tf.function(input_signature=[tf.TensorSpec((None, question["width"]), tf.float32, name="encoded")])
    def serve(encoded):
        return model(encoded, training=False)

    options = tf.saved_model.SaveOptions(experimental_debug_stripper=True)
    served.serve = serve
    tf.saved_model.save(served, out, signatures={"serving_default": serve}, options=options)
    for name in ("fingerprint.pb", "assets", "debug"):
        path = os.path.join(out, name)
        shutil.rmtree(path) if os.path.isdir(path) else os.path.exists(path) and os.remove(path)


def native(model, question, out):
    """`.keras`, without the day on which it was saved, and without where things were in memory then."""
    rough = os.path.join(question["folder"], "rough.keras")
    model.save(rough)
    with zipfile.ZipFile(rough) as old, zipfile.ZipFile(out, "w") as new:
        for name in sorted(old.namelist()):
            content = old.read(name)
            if name == "metadata.json":
                told = {
                    "keras_version": json.loads(content)["keras_version"],
                    "date_saved": "1980-01-01@00:00:00",
                }
                content = json.dumps(told).encode()
            elif name == "config.json":
                content = _counted(content)
            new.writestr(zipfile.ZipInfo(name, _THEN), content)


def _counted(config):
    """What layers share by its number in the order of the file: Keras names it by its place in memory."""
    number = {}
    count = lambda found: b"%s%d" % (found[1], number.setdefault(found[2], len(number)))  # noqa: E731
    return re.sub(rb'("shared_object_id": )(\d+)', count, config)


def architecture(model, question, out):
    with open(out, "w", encoding="utf-8") as file:
        file.write(_counted(model.to_json().encode()).decode())


WRITERS = {
    "savedmodel": saved_model,
    "keras": native,
    "h5": lambda model, question, out: model.save(out),
    "keras_json": architecture,
    "keras_weights": lambda model, question, out: model.save_weights(out),
}


def lite(model, question, out):
    import tensorflow_lite

    return tensorflow_lite.write(model, question, out)


def browser(model, question, out):
    import tensorflow_web

    tensorflow_web.write(model, question, out)


WRITERS |= {"tflite": lite, "tfjs": browser}


def main(folder):
    with open(os.path.join(folder, "question.json"), encoding="utf-8") as file:
        question = json.load(file)
    question["folder"] = folder
    said = {}
    try:
        print("progress: building the layers", flush=True)
        model = keras_model.build(question, folder)
        for kind, out in question["write"]:
            print(f"progress: writing {kind}", flush=True)
            said |= WRITERS[kind](model, question, out) or {}
    except Unknown as error:
        said["refused"] = str(error)
    with open(os.path.join(folder, "answer.json"), "w", encoding="utf-8") as file:
        json.dump({**said, "versions": [tf.__version__, keras.__version__, np.__version__]}, file)


if __name__ == "__main__":
    main(sys.argv[1])
