"""From which probability on a document says the second of two classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bessemer.importers.models.pmml.xml import Element

USED = 0.5


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
