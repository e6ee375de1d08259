"""The values of a graph in Keras: a tensor, and where each axis of the graph's is in it.

A transposition only says so, and is made where an operator needs it: images stay with their channels last, as
TensorFlow has them, and rows stay first, where the graph has trees before them.
"""

import numpy as np
from keras import ops


class Value:
    """tensor: Keras's, or NumPy's of a constant, whose axes are the graph's own. order: of each axis of the graph's,
    the tensor's axis."""

    def __init__(self, tensor, order=None):
        self.tensor = tensor
        self.order = tuple(range(len(tensor.shape))) if order is None else tuple(order)

    @property
    def constant(self):
        return isinstance(self.tensor, np.ndarray)

    @property
    def rank(self):
        return len(self.order)

    @property
    def shape(self):
        """As the graph has it; None for the rows."""
        return tuple(self.tensor.shape[axis] for axis in self.order)

    def axis(self, number):
        """The tensor's axis of one of the graph's, which may be counted from the end."""
        return self.order[number % self.rank]

    def ordered(self, order):
        """The tensor with its axes in another order."""
        if order == self.order:
            return self.tensor
        perm = np.argsort(order)  # of each axis that is wanted, the graph's
        moved = [self.order[axis] for axis in perm]
        return np.transpose(self.tensor, moved) if self.constant else ops.transpose(self.tensor, moved)

    @property
    def plain(self):
        """The tensor with its axes as the graph has them."""
        return self.ordered(tuple(range(self.rank)))


class Unknown(Exception):
    """What cannot be built: a clause."""


def alike(values):
    """The tensors of values that are taken number by number, and the order that they are in.

    Those with fewer axes get leading ones, as the graph's rules of broadcasting say.
    """
    rank = max(value.rank for value in values)
    first = next((v for v in values if v.rank == rank and not v.constant), None)
    order = first.order if first is not None else tuple(range(rank))
    return [_raised(value, rank).ordered(order) for value in values], order


def _raised(value, rank):
    more = rank - value.rank
    if not more or not value.rank:  # a single number goes with everything
        return Value(value.tensor, range(rank)) if more == rank and more else value
    tensor = value.plain
    for _ in range(more):
        tensor = tensor[None] if value.constant else ops.expand_dims(tensor, 0)
    return Value(tensor)


def closed(order):
    """The same order without gaps."""
    return tuple(int(place) for place in np.argsort(np.argsort(order)))
