"""The methods for networks, and what they have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from bessemer.core.plugins import PluginRef, PluginTable

if TYPE_CHECKING:
    from bessemer.core.spec import Spec
    from bessemer.explain.deep.question import Attribution, Question


class DeepExplainer(Protocol):
    """One way to explain a network: any torch module from a tensor (N, ...) to scores (N, K) or (N,).

    The module comes back as it was: its weights, its gradients, its hooks and its mode. The same question gives the
    same answer.
    """

    Settings: ClassVar[type[Spec]]

    def __init__(self, settings: Any) -> None: ...

    def explain(self, question: Question) -> Attribution:
        """What it found, with its baseline and its error.

        Raises:
            UsageError: the question lacks what the method needs, or the network is of a kind that it cannot explain.
        """


def _ref(name: str, kind: str, summary: str, *needs: str) -> PluginRef:
    target = f"bessemer.explain.deep.{name}:{kind}"
    return PluginRef(target, extra="deep", requires=("torch", *needs), summary=summary)


DEEP: PluginTable[DeepExplainer] = PluginTable(
    "bessemer.deep_explainers",
    {
        "integrated_gradients": _ref(
            "integrated_gradients",
            "IntegratedGradients",
            "gradients added up on the way from the baseline",
            "captum",
        ),
        "saliency": _ref("saliency", "Saliency", "the gradient of the score", "captum"),
        "smooth_grad": _ref("smooth_grad", "SmoothGrad", "the mean gradient under noise", "captum"),
        "grad_cam": _ref(
            "grad_cam", "GradCAM", "where a layer of convolutions speaks for the score", "captum"
        ),
        "deep_lift": _ref("deep_lift", "DeepLIFT", "differences from the baseline, layer by layer", "captum"),
        "lrp": _ref("lrp", "LRP", "the score handed back layer by layer", "captum"),
        "occlusion": _ref(
            "occlusion", "Occlusion", "what the score loses when a window is covered", "captum"
        ),
        "activation_maximisation": _ref(
            "activation_maximisation", "ActivationMaximisation", "an input that an output likes best"
        ),
        "tcav": _ref("tcav", "TCAV", "whether the score goes with a concept shown by examples", "sklearn"),
    },
)
