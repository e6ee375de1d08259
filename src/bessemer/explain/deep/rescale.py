"""captum's DeepLIFT, for every activation that treats each number by itself."""

from __future__ import annotations

from typing import Any

from captum.attr import DeepLift
from captum.attr._core.deep_lift import SUPPORTED_NON_LINEAR, nonlinear
from torch import Tensor, nn

_ELEMENTWISE = (
    *(nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.ReLU6, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid),
    *(nn.Softsign, nn.LogSigmoid, nn.Tanhshrink, nn.Softshrink, nn.Hardshrink, nn.Threshold),
)


class Rescaled(DeepLift):  # type: ignore[misc]
    """captum knows the rescale rule, but applies it to six activations; the rest would pass as if they were linear.

    A module of ours or of others takes part by an attribute `elementwise` that is True. Where an activation's input
    goes past it as well (a skip connection), captum would replace the gradient of both ways; here it gets a copy of its
    own.
    """

    def _register_hooks(self, module: nn.Module, attribute_to_layer_input: bool = True) -> None:
        if self._can_register_hook(module):
            self.forward_handles.append(module.register_forward_pre_hook(_own_copy))
        super()._register_hooks(module, attribute_to_layer_input=attribute_to_layer_input)

    def _is_non_linear(self, module: nn.Module) -> bool:
        return type(module) in SUPPORTED_NON_LINEAR or _is_elementwise(module)

    def _backward_hook(self, module: nn.Module, grad_input: Tensor, grad_output: Tensor) -> Any:
        if not _is_elementwise(module) or not self.satisfies_attribute_criteria(module):
            return super()._backward_hook(module, grad_input, grad_output)
        found = nonlinear(module, module.input, module.output, grad_input, grad_output, eps=self.eps)
        del module.input, module.output
        return found


def _own_copy(_module: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(one.clone() for one in given)


def _is_elementwise(module: nn.Module) -> bool:
    return isinstance(module, _ELEMENTWISE) or getattr(module, "elementwise", False) is True
