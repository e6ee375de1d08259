"""Foreign models of Keras and TensorFlow as functions of TensorFlow, loaded after they were looked at."""

import importlib
import json
import os
import zipfile

import h5py
import keras
import keras_hdf5
import tensorflow as tf
from keras.src.legacy.saving import saving_utils
from keras_config import Refused, checked

#: Bytes of all weights together.
LARGEST = 2**28
_SERVED = "serving_default"
#: Where Keras keeps the classes of its operators.
_OPERATORS = ("numpy", "nn", "core", "math")
#: Longest sequence whose steps are written one by one, since a graph of ours has no loops.
_STEPS = 512


class Read:
    """call: makes of tensors, in the order of `inputs`, a dictionary of tensors. inputs: (name, shape, type) of each;
    rows are any number. version: of who read it."""

    def __init__(self, call, inputs, version):
        self.call, self.inputs, self.version = call, inputs, version


def native(path):
    """`.keras`; what is in it was looked at when it was packed."""
    weights = os.path.join(os.path.dirname(path), "weights.h5")
    with zipfile.ZipFile(path) as kept, open(weights, "wb") as out:
        out.write(kept.read("model.weights.h5"))
    keras_hdf5.check(weights, LARGEST)
    return _called(keras.saving.load_model(path, compile=False, safe_mode=True))


def h5(path):
    """A whole model in HDF5, whose architecture is written anew as it was looked at."""
    keras_hdf5.check(path, LARGEST)
    said = checked(json.loads(keras_hdf5.architecture(path)))
    with h5py.File(path, "r+") as file:
        file.attrs["model_config"] = json.dumps(_placed(said))
        file.attrs.pop("training_config", None)
    return _called(keras.saving.load_model(path, compile=False, safe_mode=True))


def _placed(value):
    """The same with the modules of operators: in HDF5 Keras does not write them, and looks for layers alone.

    What is called as a layer is, if it says how it is trained, as every layer does.
    """
    if isinstance(value, list):
        return [_placed(one) for one in value]
    if not isinstance(value, dict):
        return value
    found = {key: _placed(one) for key, one in value.items()}
    name, said = found.get("class_name"), found.get("config")
    if isinstance(said, dict) and "inbound_nodes" in found and "module" not in found:
        module = _module(name)
        if module and not (hasattr(keras.layers, name) and "trainable" in said):
            found |= {"module": module, "registered_name": name}
    return found


def _module(name):
    for module in (f"keras.src.ops.{one}" for one in _OPERATORS):
        found = getattr(importlib.import_module(module), name, None)
        if isinstance(found, type) and issubclass(found, keras.Operation):
            return module
    return ""


def in_two(architecture, weights):
    keras_hdf5.check(weights, LARGEST)
    with open(architecture, encoding="utf-8") as file:
        said = json.load(file)
    if "module" in said:
        model = keras.saving.deserialize_keras_object(said, safe_mode=True)
    else:  # as Keras 2 wrote it
        model = saving_utils.model_from_config(_placed(said))
    model.load_weights(weights)
    return _called(model)


def saved_model(path):
    """Of the signatures that which is served; what the functions hold was looked at before."""
    loaded = tf.saved_model.load(path)
    names = list(loaded.signatures)
    if _SERVED not in names and len(names) != 1:
        raise Refused(
            f"the SavedModel has {len(names)} signatures and none is '{_SERVED}'",
            ", ".join(names[:10]),
            "tf.saved_model.save(module, FOLDER, signatures={'serving_default': function})",
        )
    served = loaded.signatures[_SERVED if _SERVED in names else names[0]]
    _, specs = served.structured_input_signature
    inputs = [(name, spec.shape, spec.dtype) for name, spec in sorted(specs.items())]

    def call(*tensors):
        return served(**{name: tensor for (name, _, _), tensor in zip(inputs, tensors)})

    call.kept = loaded  # its variables live as long as it does
    return Read(call, inputs, f"TensorFlow {tf.__version__}")


def _called(model):
    if not getattr(model, "inputs", None):
        raise Refused(
            "the model does not say what it takes",
            "its first layer has no input shape",
            "begin it with keras.Input((columns,)), or call it once before it is saved",
        )
    for layer in model._flatten_layers():
        _unroll(layer)
    inputs = [(tensor.name, tensor.shape, tf.as_dtype(tensor.dtype)) for tensor in model.inputs]
    names = getattr(model, "output_names", [model.layers[-1].name])

    def call(*tensors):
        made = model(list(tensors) if len(tensors) > 1 else tensors[0], training=False)
        if isinstance(made, dict):
            return made
        return dict(zip(names, keras.tree.flatten(made)))

    return Read(call, inputs, f"Keras {keras.__version__}")


def _unroll(layer):
    """Have a recurrent layer write its steps one by one, where their number is known."""
    both = isinstance(layer, keras.layers.Bidirectional)
    for part in (layer.forward_layer, layer.backward_layer) if both else (layer,):
        if isinstance(part, keras.layers.RNN) and layer._inbound_nodes:
            part.unroll = 0 < (layer.input.shape[1] or 0) <= _STEPS


READERS = {"keras": native, "h5": h5, "in_two": in_two, "savedmodel": saved_model}
