"""Occlusion: what the score loses when a window of the input is covered."""

from __future__ import annotations

from pydantic import Field

from bessemer.core.spec import Spec
from bessemer.explain.deep.question import Attribution, Question, array, still
from bessemer.explain.explanation import Error


class Occlusion:
    """The score less that with a window at the baseline, averaged over the windows that a value is in. values: the
    inputs' shape. Windows go over all channels of an image or sequence, and over columns of a table.

    Source: Zeiler and Fergus, "Visualizing and understanding convolutional networks", ECCV 2014.

    >>> import torch
    >>> network = torch.nn.Linear(2, 1)
    >>> _ = torch.nn.init.constant_(network.weight, 3.0)
    >>> found = Occlusion(Occlusion.Settings(window=1)).explain(Question(network, torch.tensor([[1.0, 2.0]])))
    >>> found.values.round(3).tolist()
    [[3.0, 6.0]]
    """

    class Settings(Spec):
        """The window."""

        window: int = Field(3, ge=1, le=1024, description="Values along each edge of the window.")
        stride: int = Field(1, ge=1, le=1024, description="Values from one window to the next.")

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def explain(self, question: Question) -> Attribution:
        from captum.attr import Occlusion as Captum

        shape = question.inputs.shape[1:]
        channels, edges = ((), shape) if len(shape) == 1 else (shape[:1], shape[1:])
        window = (*channels, *(min(self.settings.window, edge) for edge in edges))
        strides = (*channels, *(min(self.settings.stride, wide) for wide in window[len(channels) :]))
        with still(question.module):
            values = Captum(question.module).attribute(
                question.inputs,
                window,
                strides,
                baselines=question.against,
                target=question.targets(),
            )
            return Attribution(
                array(values),
                question.compared(),
                Error("resolution", float(max(window[len(channels) :])), "values along the edge of a window"),
            )
