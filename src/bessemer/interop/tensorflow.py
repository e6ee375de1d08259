"""TensorFlow inside torch and torch inside TensorFlow, with gradients through both.

    from bessemer.interop.tensorflow import to_tensorflow, to_torch

    layer = to_torch(keras_model)        # takes torch tensors; loss.backward() goes through it
    layer = to_tensorflow(torch_module)  # takes those of TensorFlow; tape.gradient(...) goes through it

Tensors on the CPU are shared, not copied, where the frameworks allow it. Gradients are of first order: a second
derivative is refused by torch, and has no path in TensorFlow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = ["to_tensorflow", "to_torch"]


def to_torch(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of TensorFlow as one of torch.

    Args:
        function: a Keras model, a `tf.function`, or any callable of TensorFlow tensors that gives one tensor or a tuple
            of them. Floating tensors get gradients, others (ids, masks) none.

    Returns:
        a callable of torch tensors, on the CPU, that gives as many torch tensors. To train variables of the function
        from torch, pass their values as arguments.

    Raises:
        ImportError: torch or TensorFlow is not installed.
        TypeError: when called: an argument is no torch tensor.
    """
    import tensorflow as tf
    import torch

    class FromTensorFlow(torch.autograd.Function):  # type: ignore[misc]
        """Records what TensorFlow does, and asks its tape on the way back."""

        @staticmethod
        def forward(ctx: Any, *inputs: Any) -> Any:
            given = [tf.convert_to_tensor(_numpy(x)) for x in inputs]
            ctx.floats = [i for i, x in enumerate(inputs) if x.is_floating_point()]
            with tf.GradientTape(persistent=True) as tape:  # the way back may be asked for more than once
                for i in ctx.floats:
                    tape.watch(given[i])
                made = function(*given)
            ctx.tape, ctx.given = tape, given
            ctx.outputs = list(made) if isinstance(made, list | tuple) else [made]
            found = tuple(torch.from_numpy(_own(y)) for y in ctx.outputs)
            ctx.mark_non_differentiable(*(y for y in found if not y.is_floating_point()))
            return found if isinstance(made, list | tuple) else found[0]

        @staticmethod
        @torch.autograd.function.once_differentiable  # type: ignore[untyped-decorator, unused-ignore]
        def backward(ctx: Any, *slopes: Any) -> Any:
            outputs = [y for y in ctx.outputs if y.dtype.is_floating]
            given = [
                tf.convert_to_tensor(_numpy(slope))
                for slope, y in zip(slopes, ctx.outputs, strict=True)
                if y.dtype.is_floating
            ]
            sources = [ctx.given[i] for i in ctx.floats]
            found = ctx.tape.gradient(
                outputs, sources, given, unconnected_gradients=tf.UnconnectedGradients.ZERO
            )
            back: list[Any] = [None] * len(ctx.given)
            for i, slope in zip(ctx.floats, found, strict=True):
                back[i] = torch.from_numpy(_own(tf.convert_to_tensor(slope)))  # of a lookup it is sparse
            return tuple(back)

    def call(*inputs: Any) -> Any:
        for i, x in enumerate(inputs):
            if not isinstance(x, torch.Tensor):
                raise TypeError(f"argument {i} is a {type(x).__name__}, not a torch tensor")
        return FromTensorFlow.apply(*inputs)

    return call


def to_tensorflow(function: Callable[..., Any], outputs: Sequence[Any] | None = None) -> Callable[..., Any]:
    """A function of torch as one of TensorFlow, eager or inside a `tf.function`.

    Args:
        function: a torch module, or any callable of torch tensors that gives one tensor or a tuple of them, and the
            same for the same arguments: on the way back it is computed once more. Gradients are of the arguments; a
            module's own parameters do not change.
        outputs: the TensorFlow types of a tuple of outputs; None for one output of the type of the first floating
            argument.

    Returns:
        a callable of TensorFlow tensors, that gives one of them, or a tuple where `outputs` says so.

    Raises:
        ImportError: torch or TensorFlow is not installed.
    """
    import tensorflow as tf
    import torch

    def run(inputs: Sequence[Any], follow: bool) -> tuple[list[Any], list[Any]]:
        given = [torch.from_numpy(_own(x)) for x in inputs]
        for x in given:
            x.requires_grad_(follow and x.is_floating_point())
        with torch.set_grad_enabled(follow):
            made = function(*given)
        return given, list(made) if isinstance(made, list | tuple) else [made]

    def forward(*inputs: Any) -> list[Any]:
        _, made = run(inputs, follow=False)
        return [tf.convert_to_tensor(_numpy(y)) for y in made]

    def backward(count: int, *inputs_and_slopes: Any) -> list[Any]:
        inputs, slopes = inputs_and_slopes[:count], inputs_and_slopes[count:]
        given, made = run(inputs, follow=True)
        pairs = [(y, torch.from_numpy(_own(s))) for y, s in zip(made, slopes, strict=True) if y.requires_grad]
        sources = [x for x in given if x.requires_grad]
        found = iter(
            torch.autograd.grad([y for y, _ in pairs], sources, [s for _, s in pairs], allow_unused=True)
            if pairs and sources
            else [None] * len(sources)
        )
        slopes_back = [next(found) if x.requires_grad else None for x in given]
        return [
            tf.zeros_like(x) if slope is None else tf.convert_to_tensor(_numpy(slope))
            for x, slope in zip(inputs, slopes_back, strict=True)
        ]

    @tf.custom_gradient  # type: ignore[untyped-decorator, unused-ignore]
    def call(*inputs: Any) -> Any:
        given = [tf.convert_to_tensor(x) for x in inputs]
        kinds = list(outputs) if outputs is not None else [_first_floating(given)]
        made = tf.py_function(forward, given, kinds)

        def gradient(*slopes: Any) -> list[Any]:
            found = tf.py_function(
                lambda *all_of: backward(len(given), *all_of), [*given, *slopes], [x.dtype for x in given]
            )
            for x, slope in zip(given, found, strict=True):
                slope.set_shape(x.shape)
            return [slope if x.dtype.is_floating else None for x, slope in zip(given, found, strict=True)]

        return (tuple(made) if outputs is not None else made[0]), gradient

    return call  # type: ignore[no-any-return]


def _first_floating(inputs: Sequence[Any]) -> Any:
    for x in inputs:
        if x.dtype.is_floating:
            return x.dtype
    raise TypeError("no argument is floating: say with `outputs` what types it gives")


def _numpy(tensor: Any) -> Any:
    """A torch tensor's values, shared where it lies in one piece."""
    return tensor.detach().contiguous().cpu().numpy()


def _own(tensor: Any) -> Any:
    """A TensorFlow tensor's values, copied where they may not be written to."""
    values = np.asarray(tensor.numpy())  # of rank 0 it is a scalar of numpy, which torch does not take
    return values if values.flags.writeable else values.copy()
