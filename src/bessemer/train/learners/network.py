"""A network of an encoder for each image, text or embedding and one for the table; the same bytes in every run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from bessemer.train.networks.choice import encoder_fault, encoders_fault, objective_fault
from bessemer.train.networks.plugins import USUAL
from bessemer.train.params import Param, Tune

if TYPE_CHECKING:
    from bessemer.train.learner import Callbacks, Part, Problem
    from bessemer.train.native_model import HeadModel


def _encoder(kind: str, meaning: str) -> Param:
    return Param(USUAL[kind], str, meaning, check=partial(encoder_fault, kind=kind))


class Network:
    """Encoders, a combiner and a head (the idea of Ludwig; Molino et al. 2019), trained by torch on the CPU and shipped
    as one ONNX graph.
    """

    NAME: ClassVar[str] = "network"
    MONOTONE: ClassVar[bool] = False
    QUANTILE: ClassVar[bool] = True
    PARAMS: ClassVar[Mapping[str, Param]] = {
        # what it is made of
        "image_encoder": _encoder("image", "network of each image"),
        "text_encoder": _encoder("tokens", "network of each text"),
        "embedding_encoder": _encoder("embedding", "network of each embedding"),
        "table_encoder": _encoder("table", "network of all other features"),
        "encoders": Param(None, dict, "encoders of single columns: {column: encoder}", check=encoders_fault),
        "combiner": Param(
            "concat",
            str,
            "how answers of several encoders become one: side by side, or weighed anew in each row",
            choices=("concat", "attention"),
        ),
        "hidden_layers": Param(1, int, "hidden layers behind the combiner", 0, 16),
        "hidden_size": Param(128, int, "units of each", 1, 8192, tune=Tune(32, 512, log=True)),
        "dropout": Param(0.1, float, "share of these units left out", 0, 0.95, tune=Tune(0, 0.5)),
        # how it learns
        "objective": Param("plain", str, "what a step minimises", check=objective_fault),
        "epochs": Param(
            None,
            int,
            "passes over the rows, the schedule is as long; 300,000 rows in all, but 10 to 60",
            1,
            10_000,
        ),
        "batch_size": Param(
            None,
            int,
            "rows that go through at once; 64, 128 from 5,000 rows on, 256 from 50,000",
            1,
            1_000_000,
        ),
        "accumulate": Param(1, int, "batches whose gradients make one step", 1, 10_000),
        "sampler": Param(
            "shuffled",
            str,
            "rows of a step: each once an epoch, or every class as often as the others",
            choices=("shuffled", "balanced"),
        ),
        "optimizer": Param(
            "adamw", str, "AdamW, or descent with Nesterov's momentum", choices=("adamw", "sgd")
        ),
        "learning_rate": Param(
            None,
            float,
            "at its highest; 0.002 of AdamW and 0.05 of SGD; `auto` finds it by a short trial",
            1e-7,
            10,
            choices=("auto",),
            tune=Tune(2e-4, 1e-2, log=True),
        ),
        "schedule": Param(
            "cosine",
            str,
            "of the learning rate behind the warm-up",
            choices=("cosine", "linear", "one_cycle", "constant"),
        ),
        "warmup": Param(0.05, float, "share of the training in which the learning rate rises", 0, 1),
        "weight_decay": Param(
            0.05, float, "of weights, not of biases", 0, 10, tune=Tune(1e-4, 0.3, log=True)
        ),
        "clip": Param(
            1.0, float, "largest norm of the gradient, longer ones are shortened; 0 for none", 0, 1e6
        ),
        "ema": Param(
            0.0,
            float,
            "decay of the weights' moving average, which then ships; 0 for none, 0.999 is usual",
            0,
            0.999_999,
        ),
        "label_smoothing": Param(0.0, float, "share of a label that is spread over all classes", 0, 0.9),
        "precision": Param(
            "float32",
            str,
            "of layers in training (autocast); what ships is float32",
            choices=("float32", "bfloat16"),
        ),
        # what is done to images
        "flip": Param(False, bool, "images: mirror half of them"),
        "shift": Param(0, int, "images: move by up to so many pixels", 0, 1024),
        "rotate": Param(0.0, float, "images: turn by up to so many degrees", 0, 180),
        "crop": Param(0.0, float, "images: leave out up to this share of the sides", 0, 0.9),
        "cutout": Param(0.0, float, "images: blank a square of this share of the sides", 0, 0.9),
        "mixup": Param(
            0.0, float, "mix rows two by two, in shares from Beta(mixup, mixup); not with texts", 0, 100
        ),
        # how it is kept safe
        "squeeze": Param(
            0, int, "images: bits that a pixel is rounded to before anything looks at it; 0 for none", 0, 16
        ),
        "check": Param(
            "note",
            str,
            "whether the network can learn one small batch by heart: say so, or stop where it cannot",
            choices=("note", "stop", "none"),
        ),
        "checkpoint_steps": Param(None, int, "a checkpoint every so many steps", 1, 1_000_000_000),
        "checkpoint_seconds": Param(20.0, float, "a checkpoint after so many seconds", 0, 1e9),
        "threads": Param(1, int, "of torch; another number gives other last bits", 1, 1024),
    }

    def fit(
        self, problem: Problem, train: Part, valid: Part, params: Mapping[str, Any], callbacks: Callbacks
    ) -> HeadModel:
        """Train on `train`, keep the epoch that is best on `valid`; the last one where there are no such rows.

        Raises:
            UsageError: parameters that do not fit the data, or a network that cannot learn one batch (`check`).
        """
        from bessemer.train.networks.fit import fit

        return fit(problem, train, valid, params, callbacks)
