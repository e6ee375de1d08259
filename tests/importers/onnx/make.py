"""Makes the ONNX files of the tests, by skl2onnx and onnxmltools, with what scikit-learn and LightGBM answer.

pip install skl2onnx onnxmltools lightgbm "protobuf<7"
python make.py
"""

from pathlib import Path

import numpy as np
from lightgbm import LGBMClassifier, LGBMRegressor
from onnxmltools import convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType as MlFloat
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_digits
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).parent
X, digit = load_digits(return_X_y=True)
X = X[:, 16:24].astype(np.float32)
ROWS = X[:50]
WORDS = np.array(["low", "mid", "top"])[digit // 4]


def keep(name, onnx, answers):
    (HERE / f"{name}.onnx").write_bytes(onnx.SerializeToString())
    np.savez(HERE / f"{name}.npz", rows=ROWS, answers=np.asarray(answers))


def sklearn(name, model, y, **settings):
    model.fit(X, y)
    answers = model.predict_proba(ROWS) if hasattr(model, "predict_proba") else model.predict(ROWS)
    keep(name, to_onnx(model, X[:1], target_opset={"": 18, "ai.onnx.ml": 3}, **settings), answers)


plain = {"options": {"zipmap": False}}
sklearn("logistic_zipmap", make_pipeline(StandardScaler(), LogisticRegression()), digit % 2)
sklearn("logistic_words", make_pipeline(StandardScaler(), LogisticRegression()), WORDS)
sklearn("forest_tensor", RandomForestClassifier(5, max_depth=4, random_state=0), WORDS, **plain)
sklearn("boosted_number", GradientBoostingRegressor(n_estimators=5), digit)
sklearn("linear_number", LinearRegression(), digit)
sklearn("perceptron", MLPClassifier((8,), max_iter=30, random_state=0), digit % 3, **plain)
named = make_pipeline(StandardScaler(), LogisticRegression()).fit(X[:, :2], digit % 2)
columns = [("a", FloatTensorType([None, 1])), ("b", FloatTensorType([None, 1]))]
keep(
    "named_columns",
    to_onnx(named, initial_types=columns, target_opset={"": 18, "ai.onnx.ml": 3}),
    named.predict_proba(ROWS[:, :2]),
)
for name, model, y in (
    ("lightgbm_zipmap", LGBMClassifier(n_estimators=5, num_leaves=7, verbose=-1), digit % 2),
    ("lightgbm_many", LGBMClassifier(n_estimators=3, num_leaves=7, verbose=-1), digit % 3),
    ("lightgbm_number", LGBMRegressor(n_estimators=5, num_leaves=7, verbose=-1), digit),
):
    model.fit(X, y)
    answers = model.predict_proba(ROWS) if hasattr(model, "predict_proba") else model.predict(ROWS)
    keep(
        name, convert_lightgbm(model, initial_types=[("input", MlFloat([None, 8]))], target_opset=15), answers
    )
