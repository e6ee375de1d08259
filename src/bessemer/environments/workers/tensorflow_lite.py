"""TensorFlow Lite: by TensorFlow's own converter."""

import os

import numpy as np
import tensorflow as tf

#: What is done in 8-bit integers where that is asked for.
PRODUCTS = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}


def write(model, question, out):
    """quantise: none; float16, weights of 16 bits; int8, products of 8-bit integers, by how large numbers were on the
    rows of `calibration.npy`. batch: a fixed number of rows, or None."""
    weights = tf.Module()
    weights.kept = [variable.value for variable in model.variables]

    @tf.function(
        input_signature=[
            tf.TensorSpec((question.get("batch"), question["width"]), tf.float32, name="encoded")
        ]
    )
    def serve(encoded):
        return model(encoded, training=False)

    weights.serve = serve
    rough = os.path.join(question["folder"], "rough")
    tf.saved_model.save(weights, rough, signatures={"serving_default": serve})
    converter = tf.lite.TFLiteConverter.from_saved_model(rough)
    content = _CONVERTED[question.get("quantise", "none")](converter, question)
    with open(out, "wb") as file:
        file.write(content)
    return {"operators": sorted(_operators(content))}


def _float16(converter, question):
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    return converter.convert()


def _int8(converter, question):
    """Products alone are of integers: columns keep their sizes, and norms their precision."""
    rows = np.load(os.path.join(question["folder"], "calibration.npy"), allow_pickle=False)
    fed = lambda: ({"encoded": row[None]} for row in rows)  # noqa: E731
    others = _operators(converter.convert()) - PRODUCTS
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = fed
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    options = tf.lite.experimental.QuantizationDebugOptions(denylisted_ops=sorted(others))
    quantiser = tf.lite.experimental.QuantizationDebugger(
        converter=converter, debug_dataset=fed, debug_options=options
    )
    return quantiser.get_nondebug_quantized_model()


def _operators(content):
    """The names of a model's operators."""
    return {told["op_name"] for told in tf.lite.Interpreter(model_content=content)._get_ops_details()}


_CONVERTED = {"none": lambda converter, question: converter.convert(), "float16": _float16, "int8": _int8}
