"""What every way to optimise must keep. In a plug-in's own tests, with a loaded `model`:

from bessemer.testing.optimizations import check_way

def test_my_way(model):
    check_way(MyWay, MyWay.Settings(), model)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bessemer.core.spec import Spec
from bessemer.optimize.rows import rows_of
from bessemer.optimize.variant import FEATURES, MARGIN, Parent, Variant, Way
from bessemer.package.cut import extract, value_info
from bessemer.package.model import Model
from bessemer.package.natives import open_native
from bessemer.package.onnx_format import FLOAT, parse, serialize
from bessemer.package.runtime import open_session
from bessemer.package.safety import check_graph

#: Rows that a graph is held against its native model on.
_ROWS = 200


def check_way(kind: type[Way], settings: Any, model: Model) -> list[Variant]:
    """Make the variants of a model twice, and hold each against what it says of itself.

    Returns:
        the variants.

    Raises:
        AssertionError: the way breaks its protocol; the text says how.
        UnsuitedError: it does not suit this model.
    """
    assert issubclass(kind.Settings, Spec), f"{kind.__name__}: its settings are no Spec"
    for name, field in kind.Settings.model_fields.items():
        assert field.description, f"{kind.__name__}: the setting '{name}' has no description"
    parent = Parent(model, rows_of(model, None, 0).learn_features, 0)
    made, again = (kind(settings).variants(parent) for _ in range(2))
    assert made, f"{kind.__name__}: it made nothing, and said nothing"
    assert [v.graph for v in made] == [v.graph for v in again], (
        f"{kind.__name__}: other bytes the second time"
    )
    outputs = {o.name for o in parse(parent.graph).graph.output}
    for variant in made:
        check_graph(variant.graph)
        found = {o.name for o in parse(variant.graph).graph.output}
        assert found == outputs, f"{variant.name}: its outputs are {sorted(found)}"
        _check_native(variant, parent.X[:_ROWS])
    return made


def _check_native(variant: Variant, X: np.ndarray) -> None:
    if variant.native is None:
        return
    whole = parse(variant.graph)
    part = extract(whole, [value_info(whole, FEATURES, FLOAT, ["N", None])], [MARGIN])
    said = open_session(serialize(part), 1).run([MARGIN], {FEATURES: X})[0]
    known = open_native(variant.native.kind, variant.native.content, 1).margin(X)
    away = float(np.abs(said - known).max(initial=0.0))
    assert away < 1e-3, f"{variant.name}: the graph is {away} away from the native model that explains it"
