"""Grad-CAM: where a layer of convolutions speaks for the score."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field
from torch import nn

from bessemer.core.errors import UsageError
from bessemer.core.spec import Spec
from bessemer.explain.deep.question import Attribution, Question, array, still
from bessemer.explain.explanation import Baseline, Error


class GradCAM:
    """The layer's channels, weighted by the mean gradient of the score in each, added up and brought to the inputs'
    size by bilinear interpolation. values: (N, 1, height, width), or (N, 1, length) of sequences.

    Without a layer in the question it is the last one of convolutions.

    Source: Selvaraju et al., "Grad-CAM: visual explanations from deep networks", ICCV 2017.
    """

    class Settings(Spec):
        """What is kept."""

        positive: bool = Field(True, description="Only what speaks for the score, as in the paper.")

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def explain(self, question: Question) -> Attribution:
        from captum.attr import LayerAttribution, LayerGradCam

        question = question if question.layer else replace(question, layer=_last(question.module))
        with still(question.module):
            found = LayerGradCam(question.module, question.named_layer()).attribute(
                question.inputs, target=question.targets(), relu_attributions=self.settings.positive
            )
        size = tuple(question.inputs.shape[2:])
        if found.ndim != question.inputs.ndim or found.ndim < 3:
            raise UsageError(
                f"Grad-CAM cannot look at layer '{question.layer}': what it gives has no height and width",
                fix="name a layer of convolutions",
            )
        modes = {1: "linear", 2: "bilinear", 3: "trilinear"}
        values = LayerAttribution.interpolate(found, size, interpolate_mode=modes[len(size)])
        cell = max(wide / narrow for wide, narrow in zip(size, found.shape[2:], strict=True))
        return Attribution(
            array(values),
            Baseline("nothing: it is what the layer adds to the score, by its gradient"),
            Error(
                "resolution",
                cell,
                "how many values of the input, along an edge, one cell of the layer stands for",
            ),
            {"layer": question.layer, "cells": list(found.shape[2:])},
        )


def _last(module: nn.Module) -> str:
    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    names = [name for name, one in module.named_modules() if isinstance(one, kinds)]
    if not names:
        raise UsageError("Grad-CAM needs a layer of convolutions, and the network has none")
    last: str = names[-1]
    return last
