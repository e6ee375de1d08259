"""A multilayer perceptron for tables in the style of RealMLP, the same bytes in every run, also after a kill."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from bessemer.train.params import Param, Tune

if TYPE_CHECKING:
    from bessemer.train.learner import Callbacks, Part, Problem
    from bessemer.train.native_model import HeadModel


class MLP:
    """The network of Holzmüller, Grinsztajn and Steinwart (2024, "Better by default: strong pre-tuned MLPs and
    boosted trees on tabular data"), trained by torch on the CPU and shipped as its ONNX graph.
    """

    NAME: ClassVar[str] = "mlp"
    MONOTONE: ClassVar[bool] = False
    QUANTILE: ClassVar[bool] = True
    PARAMS: ClassVar[Mapping[str, Param]] = {
        "epochs": Param(
            None,
            int,
            "passes over the rows, the learning rate's schedule is as long; a million rows in all, but 12 to 256",
            1,
            10_000,
        ),
        "batch_size": Param(None, int, "rows of a step; 256, and 512 from 50,000 rows on", 1, 1_000_000),
        "hidden_layers": Param(3, int, "hidden layers", 1, 16, tune=Tune(2, 4)),
        "hidden_size": Param(256, int, "units of each hidden layer", 1, 8192, tune=Tune(64, 512, log=True)),
        "activation": Param(
            None,
            str,
            "what a hidden unit does; selu for classes, mish for numbers",
            choices=("selu", "mish", "silu", "relu"),
            tune=Tune(words=("selu", "mish", "silu")),
        ),
        "learning_rate": Param(
            None,
            float,
            "of AdamW at its highest; 0.04 for classes, 0.2 for numbers",
            1e-6,
            10,
            tune=Tune(0.01, 0.4, log=True),
        ),
        "dropout": Param(
            0.15,
            float,
            "share of the hidden units left out; falls to 0 over the second half",
            0,
            0.95,
            tune=Tune(0, 0.5),
        ),
        "weight_decay": Param(
            0.02, float, "of AdamW; falls to 0 over the second half", 0, 10, tune=Tune(1e-4, 0.1, log=True)
        ),
        "label_smoothing": Param(
            None,
            float,
            "share of a label that is spread over all classes; 0.1 where the metric looks at labels, else 0",
            0,
            0.9,
        ),
        "embedding": Param(
            "pbld",
            str,
            "how a number enters: beside four of its own learnt periodic waves, or plain",
            choices=("pbld", "none"),
            tune=Tune(words=("pbld", "none")),
        ),
        "embedding_sigma": Param(
            0.1,
            float,
            "spread of the waves' first frequencies",
            1e-4,
            100,
            tune=Tune(0.02, 1, log=True),
        ),
    }

    def fit(
        self, problem: Problem, train: Part, valid: Part, params: Mapping[str, Any], callbacks: Callbacks
    ) -> HeadModel:
        """Train on `train`, keep the epoch that is best on `valid`; the last one where there are no such rows."""
        from bessemer.train.learners.mlp_train import fit

        return fit(problem, train, valid, params, callbacks)
