"""Models of Keras and TensorFlow as their users save them, trained on real rows, with what they answer.

In Bessemer's environment `tensorflow`: python write.py FOLDER, which has X.npy (N, 64) from 0 to 1 and digit.npy (N,),
and customers.npy and churned.npy of a telephone company.
"""

import os
import sys
from pathlib import Path

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1", TF_ENABLE_ONEDNN_OPTS="0")

import keras
import numpy as np
import tensorflow as tf
from keras import layers

os.chdir(sys.argv[1])
X, digit = np.load("X.npy"), np.load("digit.npy")
odd = digit % 2


def fitted(model, x, y, loss, epochs=2):
    model.compile(keras.optimizers.Adam(0.01), loss)
    model.fit(x, y, epochs=epochs, batch_size=64, verbose=0)
    return model


def answers(name, model, x):
    np.save(f"{name}.npy", np.asarray(model(x, training=False)))


keras.utils.set_random_seed(0)
table = X[:, 16:32]
rows = keras.Input((16,))
made = layers.Conv1D(6, 3, padding="same", activation="relu")(layers.Reshape((16, 1))(rows))
made = layers.Dropout(0.2)(layers.BatchNormalization()(layers.MaxPooling1D()(made)))
made = layers.GlobalAveragePooling1D()(layers.SeparableConv1D(8, 3)(made))
binary = fitted(
    keras.Model(rows, layers.Dense(1, activation="sigmoid")(made)), table, odd, "binary_crossentropy"
)
binary.export("served", verbose=False)
answers("binary", binary, table)

customers, churned = np.load("customers.npy"), np.load("churned.npy")
scaled = layers.Normalization()
scaled.adapt(customers)
churn = keras.Sequential(
    [keras.Input((4,)), scaled, layers.Dense(8, activation="tanh"), layers.BatchNormalization(momentum=0.9)]
)
churn.add(layers.Dense(1, activation="sigmoid"))
fitted(churn, customers, churned, "binary_crossentropy", 8).save("churn.keras")
answers("churn", churn, customers)

many = keras.Sequential(
    [
        keras.Input((16,)),
        layers.Normalization(mean=table.mean(0), variance=table.var(0) + 0.01),
        layers.Dense(12, activation="gelu"),
        layers.LayerNormalization(),
        layers.Dense(10, activation="softmax"),
    ]
)
fitted(many, table, digit, "sparse_categorical_crossentropy").save("many.h5")
answers("many", many, table)

town, size = keras.Input((1,), name="town", dtype="int32"), keras.Input((3,), name="size")
both = layers.Concatenate()([layers.Flatten()(layers.Embedding(10, 3)(town)), size])
both = layers.Add()([layers.Dense(6)(both), layers.LeakyReLU()(layers.Dense(6)(both))])
two = {"town": digit[:, None].astype("int32"), "size": table[:, :3]}
number = fitted(
    keras.Model([town, size], layers.Dense(1)(both)), [two["town"], two["size"]], odd + table[:, 4], "mse"
)
Path("number").mkdir()
Path("number/architecture.json").write_text(number.to_json())
number.save_weights("number/model.weights.h5")
answers("number", number, [two["town"], two["size"]])

image = keras.Input((8, 8, 1), name="photo")
seen = layers.ReLU(6.0)(
    layers.Conv2D(6, 3, strides=2, padding="same")(layers.ZeroPadding2D(1)(layers.Rescaling(2.0)(image)))
)
seen = layers.Flatten()(layers.AveragePooling2D(2)(layers.DepthwiseConv2D(3, padding="same")(seen)))
pictures = X.reshape(-1, 8, 8, 1)
convnet = keras.Model(image, layers.Dense(10, activation="softmax")(seen))
fitted(convnet, pictures, digit, "sparse_categorical_crossentropy").save("convnet.keras")
answers("convnet", convnet, pictures)


class Plain(tf.Module):
    """No layers at all; and a vocabulary beside, which reads a file when it is loaded."""

    def __init__(self):
        self.w = tf.Variable(np.linspace(-1, 1, 16, dtype=np.float32)[:, None])

    @tf.function(input_signature=[tf.TensorSpec([None, 16], tf.float32, name="pixels")])
    def predict(self, pixels):
        return {"value": tf.tanh(pixels @ self.w) + tf.reduce_max(pixels, axis=1, keepdims=True)}


plain = Plain()
tf.saved_model.save(plain, "plain", signatures={"predict": plain.predict})
np.save("plain.npy", plain.predict(table)["value"].numpy())

Path("words.txt").write_text("a\nb\n")
line = tf.lookup.TextFileIndex
words = tf.lookup.TextFileInitializer("words.txt", tf.string, line.WHOLE_LINE, tf.int64, line.LINE_NUMBER)


class Worded(tf.Module):
    def __init__(self):
        self.table = tf.lookup.StaticVocabularyTable(words, 1)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def predict(self, said):
        return self.table.lookup(said)


worded = Worded()
tf.saved_model.save(worded, "worded", signatures=worded.predict)


class Reads(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32)])
    def predict(self, x):
        return x + tf.cast(tf.strings.length(tf.io.read_file("words.txt")), tf.float32)


reads = Reads()
tf.saved_model.save(reads, "reads", signatures=reads.predict)

secret = keras.Model(rows, layers.Lambda(lambda x: x * 2)(rows))
secret.save("lambda.keras")
secret.save("lambda.h5")
