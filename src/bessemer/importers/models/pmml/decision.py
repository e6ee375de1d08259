"""Which class a document says: from which probability on the second of two, and what the leaves of a tree name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bessemer.importers.models.pmml.terms import Node
from bessemer.importers.models.pmml.xml import Element

USED = 0.5
#: How near two shares are that float32 may not tell apart.
_NEAR = 2.0**-20
TIED = "where two classes have the same share, the document may name either; here it is the first one in their order"


def threshold_of(model: Element, classes: Sequence[str], note: Callable[[str], None]) -> float:
    """The threshold that an output field applies to the probability; 0.5 where none does.

    A note says what other things output fields make of the classes, which a package does not.
    """
    output = model.first("Output")
    fields = [] if output is None else output.all("OutputField")
    known = {one.get("name"): one.get("value") for one in fields if one.get("feature") == "probability"}
    found = USED
    for one in fields:
        if one.get("feature") != "transformedValue":
            continue
        limit = _limit(one, known, classes)
        if limit is None:
            note(f"the document's output '{one.get('name')[:60]}' is left out")
        else:
            found = limit
    return found


def check_scores(names: Sequence[str], answers: Sequence[Node], note: Callable[[str], None]) -> None:
    """See that each leaf of a tree names the class of the greatest share, which is what a package says.

    Raises:
        FormatError: one names another class.
    """
    leaves = [one.value for one in answers if one.op == "tree"]
    if not leaves or len(leaves) < len(answers) or any(one.tree is not leaves[0].tree for one in leaves):
        return
    shares = np.stack([one.value for one in leaves], axis=1)
    said = (shares[:, 1] > USED).astype(int) if len(names) == 2 else shares.argmax(axis=1)
    for row, place, node, name in zip(shares, said.tolist(), leaves[0].nodes, leaves[0].scores, strict=False):
        if name == names[place]:
            continue
        if abs(row[list(names).index(name)] - row[place]) > _NEAR:
            node.refuse(
                f"names the class '{name[:40]}', and '{names[place][:40]}' has the greater share there",
                "a package says the class of the greatest share",
                "write the tree again without costs or priors, or leave its ScoreDistribution out",
            )
        note(TIED)


def _limit(field: Element, known: dict[str, str], classes: Sequence[str]) -> float | None:
    """t, of `if(probability >= t, second class, first class)`."""
    choice = field.first("Apply")
    if choice is None or choice.get("function") != "if" or len(choice.children) != 3 or len(classes) != 2:
        return None
    test, yes, no = choice.children
    if test.get("function") != "greaterOrEqual" or [one.tag for one in test.children] != [
        "FieldRef",
        "Constant",
    ]:
        return None
    if (yes.text, no.text) != (classes[1], classes[0]) or known.get(test.children[0].get("field")) != classes[
        1
    ]:
        return None
    return test.children[1].as_number(test.children[1].text)
