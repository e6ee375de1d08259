"""The explainers, and what they have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from bessemer.core.plugins import PluginRef, PluginTable

if TYPE_CHECKING:
    from bessemer.core.spec import Spec
    from bessemer.core.stage import Context
    from bessemer.explain.explanation import Explanation, Kind
    from bessemer.explain.sample import Sample
    from bessemer.explain.subject import Subject


class Explainer(Protocol):
    """One way to explain a model, on a sample of rows that it has never seen.

    kind: what its explanations look like. Settings: what the project file may say of it; where they have a property
    `named`, a list of columns, these must be there, which is checked before anything is trained.
    NEEDS_ACTUAL may be set to True: then rows of a package alone must have their targets.
    """

    kind: ClassVar[Kind]
    Settings: ClassVar[type[Spec]]

    def __init__(self, settings: Any) -> None: ...

    def refuses(self, subject: Subject) -> str:
        """Why this model cannot be explained in this way, in a sentence; '' where it can."""

    def explain(
        self, subject: Subject, sample: Sample, ctx: Context, advance: Callable[[], None]
    ) -> Explanation:
        """The explanation. The same seed gives the same one; `advance` is called now and then."""


EXPLAINERS: PluginTable[Explainer] = PluginTable(
    "bessemer.explainers",
    {
        "permutation": PluginRef(
            "bessemer.explain.explainers.permutation:Permutation",
            summary="what the metric loses when a column is shuffled",
        ),
        "contributions": PluginRef(
            "bessemer.explain.explainers.contributions:MeanContributions",
            summary="how far a column moves the score, on average",
        ),
        "ale": PluginRef(
            "bessemer.explain.explainers.ale:AccumulatedLocalEffects",
            summary="how the score goes with a column, among rows that are like each other",
        ),
        "ale_2d": PluginRef(
            "bessemer.explain.explainers.ale_2d:AccumulatedLocalEffects2D",
            summary="what two columns do together beyond what each does alone",
        ),
        "partial_dependence": PluginRef(
            "bessemer.explain.explainers.partial_dependence:PartialDependence",
            summary="the mean score if all rows had the same value in a column",
        ),
        "partial_dependence_2d": PluginRef(
            "bessemer.explain.explainers.partial_dependence_2d:PartialDependence2D",
            summary="the mean score if all rows had the same values in two columns",
        ),
        "ice": PluginRef(
            "bessemer.explain.explainers.ice:IndividualConditionalExpectation",
            summary="how the score of single rows would go with a column's value",
        ),
        "interactions": PluginRef(
            "bessemer.explain.explainers.interactions:Interactions",
            summary="which pairs of columns do together what neither does alone",
        ),
        "shap_interactions": PluginRef(
            "bessemer.explain.explainers.shap_interactions:ShapInteractions",
            summary="how far two columns move the score together, of models of trees",
        ),
        "surrogate": PluginRef(
            "bessemer.explain.explainers.surrogate:Surrogate",
            summary="one small tree that says nearly what the model says",
        ),
        "lime": PluginRef(
            "bessemer.explain.explainers.lime:Lime",
            summary="a small linear model of what the model does near a row",
        ),
        "anchors": PluginRef(
            "bessemer.explain.explainers.anchors:Anchors",
            summary="a rule that holds a row's prediction where it is",
        ),
        "counterfactuals": PluginRef(
            "bessemer.explain.explainers.counterfactuals:Counterfactuals",
            summary="the least that would have to differ for another prediction",
        ),
        "influence": PluginRef(
            "bessemer.explain.explainers.influence:Influence",
            summary="the training rows that speak for and against a prediction",
        ),
        "prototypes": PluginRef(
            "bessemer.explain.explainers.prototypes:Prototypes",
            summary="few rows that stand for all, and those that they do not stand for",
        ),
        "saliency_maps": PluginRef(
            "bessemer.explain.explainers.saliency_maps:SaliencyMaps",
            summary="which pixels of an image speak for what the model says",
        ),
        "integrated_gradients": PluginRef(
            "bessemer.explain.explainers.integrated_gradients:IntegratedGradients",
            extra="deep",
            requires=("torch", "captum"),
            summary="the gradient of a neural network, added up from the median row to the row",
        ),
        "deep_lift": PluginRef(
            "bessemer.explain.explainers.deep_lift:DeepLift",
            extra="deep",
            requires=("torch", "captum"),
            summary="what differs from the median row, handed back layer by layer of a neural network",
        ),
    },
)
