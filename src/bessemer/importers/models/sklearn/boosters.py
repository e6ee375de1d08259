"""LightGBM's estimators in an archive of skops, as MLflow keeps them: the booster is a text, the classes are beside."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bessemer.importers.models.foreign import Asked, Foreign, agreed_classes, refused
from bessemer.importers.models.lightgbm import LightGBM
from bessemer.importers.models.sklearn.archive import Thing


def is_lightgbm(model: Thing) -> bool:
    """Whether the archive holds an estimator of LightGBM alone."""
    return model.kind.startswith("lightgbm.")


def of_lightgbm(model: Thing, asked: Asked) -> Foreign:
    """The model.

    Raises:
        FormatError: it was not trained, or its booster cannot be taken over. UsageError: other classes were asked for.
    """
    booster = model["_Booster"] if model.name != "Booster" else model
    if not isinstance(booster, Thing) or not isinstance(text := booster["_handle"], str):
        raise refused(f"the {model.name} has no booster", "was it trained?")
    if model.name == "LGBMClassifier":
        asked = replace(
            asked, classes=agreed_classes(asked, np.asarray(model["_classes"]).reshape(-1).tolist())
        )
    return LightGBM().read(text.encode("utf-8"), asked)
