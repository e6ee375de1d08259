"""Whether a suspect has learnt from answers that a server of ours altered for a client (DAWN).

The rows were chosen by a key, so among all rows that the client asked for the altered ones are a random subset, and a
model that knows nothing of them gives the wrong class on these as often as it would have on the others. How often it
does is therefore hypergeometric, exactly, whatever the suspect is: it may even make the same mistakes as ours, or
answer otherwise the longer it is asked, as they are asked for in an order that has nothing to do with the choice.

Nothing of it was committed to before: who has the log and the key could have written both for the suspect. So it
convinces whoever keeps them, and nobody else.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bessemer.core.errors import DataError, UsageError, did_you_mean
from bessemer.core.signature import class_text
from bessemer.package.altered_answers import Alteration, row_texts, wrong_class
from bessemer.package.certificate import Certificate
from bessemer.package.prediction_log.read import read_log
from bessemer.package.read import PackageContents
from bessemer.package.records import rows_to_feeds
from bessemer.protect.suspects.suspect import Marked, open_suspect

if TYPE_CHECKING:
    from bessemer.core.signature import Signature
    from bessemer.package.remote.client import Door

#: Altered rows of a client that a suspect is asked for, at most, and others for each of them.
MOST, OTHERS = 1000, 10
#: Rows of a log that are looked at; of more, the newest.
_ROWS = 1_000_000


@dataclass(frozen=True)
class Learnt:
    """What a suspect knows of the answers that one client was given.

    altered, hits: rows that were answered wrongly, and where the suspect says that wrong class. others, others_hits:
    rows that were answered rightly, and where it says the wrong class that they would have had. skipped: rows that
    were left out, as what the log says of them is no class of the package. log2_p: of so many hits by chance, times
    the clients of the log that were given an altered answer. owned: whether that is 2^-bits or less.
    """

    client: str
    altered: int
    hits: int
    others: int
    others_hits: int
    skipped: int
    log2_p: float
    owned: bool

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class _Asked:
    """Rows of a client, once each: what was asked, the class that was true to the model, and the draw of the key."""

    rows: list[Mapping[str, Any]]
    wrong: list[Any]
    chosen: np.ndarray
    skipped: int


def learnt(
    contents: PackageContents,
    suspect: str,
    log: Path,
    alteration: Alteration,
    clients: Sequence[str] = (),
    *,
    bits: int = 64,
    door: Door | None = None,
) -> list[Learnt]:
    """Ask a suspect for the rows of each client, the surest first.

    Args:
        contents: the package that was served; of the log only what its version said is read. log: the folder of its
            prediction log.
        clients: those to show; by default all in the log. All count, or who looks at one after the other would not
            pay for it.

    Raises:
        UsageError: the log has no such model, version or client, or the suspect cannot be asked.
        DataError: the model predicts a number, the log lacks an input, or no client was given an altered answer.
    """
    signature = contents.signature
    if signature.task == "regression":
        raise DataError("the answers of this model were not altered: it predicts a number")
    asked = _asked(log, contents.manifest.version, signature, alteration)
    unknown = next((name for name in clients if name not in asked), None)
    if unknown is not None:
        raise UsageError(f"the log has no client '{unknown}'", fix=did_you_mean(unknown, asked))
    told = {name: one for name, one in asked.items() if one.chosen.any() and not one.chosen.all()}
    shown = {name: one for name, one in told.items() if not clients or name in clients}
    if not shown:
        raise DataError(
            "no client was given an altered answer, or none beside",
            why=f"of {_rows_of(asked, clients)} different rows, {alteration.share:.2%} are altered",
            fix="the key, the share and the digits have to be those of the server; else wait for more questions",
        )
    own = Certificate("", "", "", signature.task, tuple(signature.classes), (), 2, 1, bits)
    model = open_suspect(suspect, Marked(own, signature, contents.bytes("model.onnx")), door)
    found = [_learnt(name, one, model.said(one.rows), len(told), bits) for name, one in shown.items()]
    return sorted(found, key=lambda each: (each.log2_p, each.client))


def _rows_of(asked: Mapping[str, _Asked], clients: Sequence[str]) -> int:
    return sum(len(one.rows) for name, one in asked.items() if not clients or name in clients)


def _learnt(client: str, asked: _Asked, said: np.ndarray, looks: int, bits: int) -> Learnt:
    hits = np.array([class_text(a) == class_text(b) for a, b in zip(said.tolist(), asked.wrong, strict=True)])
    altered, others = hits[asked.chosen], hits[~asked.chosen]
    log2_p = min(0.0, _log2_p(altered, others) + math.log2(looks))
    figures = (len(altered), int(altered.sum()), len(others), int(others.sum()))
    return Learnt(client, *figures, asked.skipped, log2_p, log2_p <= -bits)


def _log2_p(altered: np.ndarray, others: np.ndarray) -> float:
    """Of so many hits or more among the altered rows, were they drawn from all rows by chance."""
    from scipy.stats import hypergeom

    rows, hits = len(altered) + len(others), int(altered.sum() + others.sum())
    return float(hypergeom.logsf(int(altered.sum()) - 1, rows, hits, len(altered)) / math.log(2))


def _asked(log: Path, version: str, signature: Signature, alteration: Alteration) -> dict[str, _Asked]:
    """By client what was asked: each row once, with the place of its class."""
    seen: dict[str, dict[bytes, tuple[Mapping[str, Any], int]]] = {}
    skipped: Counter[str] = Counter()
    place = {class_text(one): i for i, one in enumerate(signature.classes)}
    for client, text, row, said in _logged(log, version, signature, alteration):
        known = seen.setdefault(client, {})
        own = place.get(class_text(said))
        if own is None:
            skipped[client] += 1
        else:
            known.setdefault(text, (row, own))
    return {
        client: _drawn(alteration, signature.classes, client, rows, skipped[client])
        for client, rows in sorted(seen.items())
    }


def _logged(
    log: Path, version: str, signature: Signature, alteration: Alteration
) -> Iterator[tuple[str, bytes, Mapping[str, Any], Any]]:
    """Each row of the log that a version answered: who asked, its text, itself, and the class that was true to it."""
    names = [field.name for field in signature.inputs]
    wanted = ["client", "out.prediction", *(f"in.{name}" for name in names)]
    for batch in read_log(log, alteration.model, version=version, labels=False, newest=_ROWS):
        if missing := [name for name in wanted if name not in batch.schema.names]:
            raise DataError(
                f"the log does not have '{missing[0]}', so a suspect cannot be asked for its rows"
            )
        rows = [{name: one[f"in.{name}"] for name in names} for one in batch.select(wanted).to_pylist()]
        texts = row_texts(rows_to_feeds(rows, signature.inputs), signature.inputs, alteration.digits)
        who, said = (batch.column(name).to_pylist() for name in ("client", "out.prediction"))
        yield from ((c or "", t, r, s) for c, t, r, s in zip(who, texts, rows, said, strict=True))


def _drawn(
    alteration: Alteration,
    classes: Sequence[Any],
    client: str,
    seen: Mapping[bytes, tuple[Mapping[str, Any], int]],
    skipped: int,
) -> _Asked:
    """The altered rows, and some of the others, which the key draws; in an order in which neither come first."""
    texts = sorted(seen)
    chosen, shifts = alteration.of(client, texts)
    order = np.argsort(shifts, kind="stable")
    altered = order[chosen[order]][:MOST]
    kept = np.concatenate([altered, order[~chosen[order]][: OTHERS * max(1, len(altered))]])
    kept = kept[alteration.order(client, [texts[i] for i in kept])]
    rows, true = zip(*(seen[texts[i]] for i in kept), strict=True) if len(kept) else ((), ())
    wrong = [
        classes[wrong_class(own, int(shifts[i]), len(classes))] for own, i in zip(true, kept, strict=True)
    ]
    return _Asked(list(rows), wrong, chosen[kept], skipped)
