"""Makes the files of the tests that stay as they are: a model as Keras 2 saved it, in three forms, and one of Keras 3.

In an environment with what `bessemer/environments/tensorflow.txt` lists, and beside it scikit-learn and tf_keras 2.21,
which is Keras 2: python make.py
"""

import shutil
from pathlib import Path

import keras
import numpy as np
import tf_keras
from sklearn.datasets import load_digits

HERE = Path(__file__).parent
X, digit = load_digits(return_X_y=True)
X, odd = X[:400, 18:24].astype(np.float32) / 16, digit[:400] % 2


def trained(library):
    layers = library.layers
    library.utils.set_random_seed(0)
    model = library.Sequential(
        [
            layers.Dense(6, activation="relu", input_shape=(6,))
            if library is tf_keras
            else library.Input((6,)),
            layers.BatchNormalization(),
            layers.Dropout(0.2),
            layers.Dense(4, activation="gelu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy")
    model.fit(X, odd, epochs=3, verbose=0)
    return model


older = trained(tf_keras)
older.save(HERE / "older.h5", include_optimizer=False)
older.save(HERE / "older.keras")
shutil.rmtree(HERE / "older", ignore_errors=True)
older.save(HERE / "older", include_optimizer=False)
np.savez(HERE / "older.npz", rows=X[:50], answers=older.predict(X[:50], verbose=0))
trained(keras).save(HERE / "newer.keras")
