"""TorchServe's handler of this model.

A request's body is a JSON list: of rows by their columns, [{"age": 41, "city": "Oslo"}], or of rows of numbers as the
model takes them, [[0.1, 2.0, ...]]. The answer has an object a row: `prediction`, and of classes `probability`, each by
its name.
"""

from __future__ import annotations

import json
import os

import numpy as np
import torch


class Handler:
    """The class that TorchServe finds in this file."""

    def initialize(self, context):
        folder = context.system_properties["model_dir"]
        gpu = context.system_properties.get("gpu_id")
        self._device = f"cuda:{gpu}" if torch.cuda.is_available() and gpu is not None else "cpu"
        self._model = torch.jit.load(os.path.join(folder, "core.pt"), map_location=self._device).eval()
        with open(os.path.join(folder, "answers.json"), encoding="utf-8") as file:
            self._told = json.load(file)
        self._encoder = None
        if os.path.exists(os.path.join(folder, "encoder.json")):
            from encoder import Encoder

            self._encoder = Encoder.load(os.path.join(folder, "encoder.json"))

    def handle(self, data, context):
        """An answer a request. TorchServe may hand several over at once."""
        return [self._answer(request.get("body", request.get("data"))) for request in data]

    def _answer(self, body):
        try:
            rows = json.loads(body) if isinstance(body, (bytes, bytearray, str)) else body
            encoded = self._encoded(rows)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            from ts.utils.util import PredictionException

            raise PredictionException(f"the rows cannot be read: {error}", 400) from None
        with torch.no_grad():
            found = self._model(torch.from_numpy(encoded).to(self._device))
        return self._told_of(found[-1].cpu().numpy())

    def _encoded(self, rows):
        if not isinstance(rows, list) or not rows:
            raise ValueError("a JSON list of rows is expected")
        if isinstance(rows[0], dict):
            if self._encoder is None:
                raise ValueError("this model takes rows of numbers")
            return self._encoder.encode(rows)
        encoded = np.asarray(rows, dtype=np.float32)
        if encoded.ndim != 2 or encoded.shape[1] != self._told["width"]:
            raise ValueError(
                f"a row has {self._told['width']} numbers, these are of the shape {encoded.shape}"
            )
        return encoded

    def _told_of(self, values):
        classes, threshold = self._told["classes"], self._told["threshold"]
        if self._told["task"] == "regression":
            return [{"prediction": float(value)} for value in values[:, 0]]
        found = []
        for row in values:
            told = {"probability": {str(name): float(p) for name, p in zip(classes, row)}}
            if self._told["task"] != "binary":
                told["prediction"] = classes[int(row.argmax())]
            elif threshold is not None:
                told["prediction"] = classes[int(row[1] >= np.float32(threshold))]
            found.append(told)
        return found
