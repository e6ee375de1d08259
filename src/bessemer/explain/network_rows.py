"""Single rows of a neural network, explained by a method for networks and summed by column."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.errors import BessemerError, FormatError
from bessemer.explain.explanation import Baseline, Error, Explanation
from bessemer.explain.local import explained_rows, named_class, output_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from bessemer.explain.deep.question import Attribution, Question
    from bessemer.explain.head_network import HeadNetwork
    from bessemer.explain.sample import Floats, Sample
    from bessemer.explain.subject import Subject

#: How far the network that is explained may be from the one that ships, relative to the largest score (at least 1).
TOLERANCE = 1e-4


def refused(subject: Subject) -> str:
    """Why there is no network to look into; '' where there is."""
    kind = str(subject.facts["native"]["kind"])
    if kind != "head":
        return f"it looks inside a single neural network, and the model is of the kind '{kind}'"
    try:
        _network(subject)
    except FormatError as error:
        return f"it knows the networks of the mlp learner, and {error.what}"
    return ""


def explained_network(
    explain: Callable[[Question], Attribution],
    rows: int,
    subject: Subject,
    sample: Sample,
    advance: Callable[[], None],
) -> Explanation:
    """Attributions of up to `rows` rows against the median row.

    The way from the baseline to a row is taken in the network's own inputs: scaled features between -3 and 3, and a
    flag for each one that may be missing. A feature's part is that of its value and its flag.

    Raises:
        BessemerError: the network does not say what the head that ships says.
    """
    from bessemer.explain.deep.question import Question as Asked

    positions = explained_rows(subject, sample, rows)
    network, median = _network(subject), _median(subject)
    features = np.concatenate([median, sample.features[positions]])
    inputs = network.entered(features)
    check_parity(network, subject, features)
    base = subject.contributions.score(median)[0]
    scale = np.broadcast_to(subject.contributions.scale, base.shape)
    found: list[dict[str, Any]] = []
    for at, row in enumerate(positions, start=1):
        output = output_of(subject, sample, row)
        asked = Asked(network.module, inputs[at : at + 1], output, baseline=inputs[:1])
        parts = explain(asked).values[0] * scale[output]
        each = np.bincount(network.owner, weights=parts, minlength=features.shape[1])
        summed = subject.contributions.by_group(each[None, :, None], subject.groups)[0, :, 0]
        found.append(
            {
                "row": row,
                "score": float(sample.score[row, output]),
                "base": float(base[output]),
                "contributions": dict(zip(subject.groups, summed.tolist(), strict=True)),
                **named_class(subject, sample, row),
            }
        )
        advance()
    baseline = Baseline("the median of each feature over the training rows", tuple(base.tolist()))
    return Explanation("attributions", baseline, _error(found), {"rows": found})


def _error(rows: list[dict[str, Any]]) -> Error:
    gaps = [abs(row["base"] + sum(row["contributions"].values()) - row["score"]) for row in rows]
    return Error(
        "completeness gap",
        max(gaps, default=0.0),
        "the worst difference of base and contributions from the score",
    )


def check_parity(network: HeadNetwork, subject: Subject, features: npt.NDArray[np.float32]) -> None:
    """Refuse a network that says something else than the head it was read from."""
    from bessemer.explain.deep.question import array

    said = array(network.module(network.entered(features)))
    wanted: Floats = subject.contributions.native.margin(features)
    allowed = TOLERANCE * max(1.0, float(np.abs(wanted).max(initial=0.0)))
    gap = float(np.abs(said - wanted).max(initial=0.0))
    if not gap <= allowed:  # NaN is refused too
        raise BessemerError(
            f"the network read from the model differs from it by {gap:.3g} (allowed: {allowed:.3g})",
            why="its graph is not wired as the mlp learner does it, so its inside cannot be explained",
            fix="leave integrated_gradients and deep_lift out of explain.explainers",
        )


def _network(subject: Subject) -> HeadNetwork:
    from bessemer.explain.head_network import head_network

    return head_network(subject.native)


def _median(subject: Subject) -> npt.NDArray[np.float32]:
    """(1, F): the row that the head's own contributions are measured against."""
    from bessemer.package.natives import Head

    head = subject.contributions.native
    assert isinstance(head, Head)
    found: npt.NDArray[np.float32] = head.baseline[None, :]
    return found
