"""The certificate of a marked model: signed into its package before release, so that its owner can be proved later.

It says how many keys there are and commits to them; it tells nobody which they are, nor the owner's key. A key is a raw
row and the answer that the model was taught to give to it. Any model that does not know the keys gives that answer by
chance alone, once in `choices` times: so many hits are binomial, and how unlikely they are is exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import TYPE_CHECKING, Any, get_args

from bessemer.core.errors import FormatError
from bessemer.core.signature import Task, class_text
from bessemer.stats.binomial import log2_upper_tail

if TYPE_CHECKING:
    import numpy as np

FORMAT = 1
MEMBER = "certificate.json"
#: The bits that a claim may take, and the most keys: as many as the project file can ask for.
FEWEST_BITS, MOST_BITS, _MOST_KEYS = 16, 256, 10_000_000


@dataclass(frozen=True)
class Certificate:
    """A commitment to the keys of one model.

    owner: the hash of the owner's key. root: of the tree over the keys (`protect.commitment.Tree`), hex.
    commitment: the hash of all this and of what is kept from the public: the marker, its settings, the training rows;
        salted, hex.
    answers: the classes, in the order of the label; [] where a number is predicted.
    edges: of a number: where one bin ends and the next begins; the first and the last bin are open.
    keys: how many there are. block: how many of them one dispute shows.
    bits: ownership is claimed when chance explains the hits with 2^-bits at most; 16 to 256. It is the claimant's own
        word, so who judges holds it against a number of his own (`verdict`).
    """

    owner: str
    root: str
    commitment: str
    task: Task
    answers: tuple[Any, ...]
    edges: tuple[float, ...]
    keys: int
    block: int
    bits: int
    format: int = FORMAT

    @property
    def choices(self) -> int:
        """How many answers there are, of which each label is one."""
        return len(self.answers) or len(self.edges) + 1

    @property
    def blocks(self) -> int:
        """How many disputes the keys are enough for."""
        return self.keys // self.block

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> Certificate:
        """Read one.

        Raises:
            FormatError: it is no certificate, or a newer one.
        """
        if not isinstance(value, Mapping) or set(value) != {field.name for field in fields(cls)}:
            raise _unreadable("it has other fields than a certificate")
        if not _whole(value["format"], 1, math.inf):
            raise _unreadable("its `format` is no whole number from 1 on")
        if value["format"] > FORMAT:
            raise FormatError(
                f"the certificate has format {value['format']}, and this Bessemer reads {FORMAT}",
                fix="use a newer Bessemer",
            )
        for name, (right, wanted) in _FIELDS.items():
            if not right(value[name]):
                raise _unreadable(f"its `{name}` is not {wanted}")
        made = cls(**{**value, "answers": tuple(value["answers"]), "edges": tuple(value["edges"])})
        if made.block > made.keys or made.choices < 2 or (made.answers and made.edges):
            raise _unreadable("its numbers contradict each other")
        return made

    def labels_said(self, said: np.ndarray) -> np.ndarray:
        """(n,) int64: which label each of a model's answers is; -1 for one that is none of them.

        Args:
            said: (n,) classes as a model names them (or their texts), or numbers.

        >>> import numpy as np
        >>> c = Certificate("", "", "", "binary", (False, True), (), 2, 1, 64)
        >>> c.labels_said(np.array(["true", "False", "maybe"], dtype=object)).tolist()
        [1, 0, -1]
        """
        import numpy as np

        if self.answers:
            known = {class_text(answer): k for k, answer in enumerate(self.answers)}
            return np.array([known.get(class_text(one), -1) for one in said.tolist()], dtype=np.int64)
        numbers = np.array([number_said(one) for one in said.tolist()], dtype=np.float64)
        found: np.ndarray = np.searchsorted(np.asarray(self.edges), numbers, side="right").astype(np.int64)
        return np.where(np.isfinite(numbers), found, -1)

    def verdict(
        self, labels: np.ndarray, said: np.ndarray, *, looks: int = 1, bits: int = 0, shown: int = 0
    ) -> Verdict:
        """What follows from the answers to some keys.

        Args:
            labels: (n,) the keys' labels. said: (n,) what the model answers to them (see `labels_said`).
            looks: among how many sets of keys the owner could choose the one that is judged.
            bits: what a claim takes at least, whatever the certificate says.
            shown: how many of the keys others have seen.
        """
        hits = int((self.labels_said(said) == labels).sum())
        return Verdict(len(labels), hits, self.choices, max(self.bits, bits), looks, shown)


def number_said(value: Any) -> float:
    """An answer as a number; NaN where it is none, or none that a float can hold.

    >>> number_said("1.5"), number_said(None), number_said(10**400)
    (1.5, nan, nan)
    """
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _unreadable(why: str) -> FormatError:
    return FormatError(
        "the certificate cannot be read", why=why, fix="give the package as its owner signed it"
    )


def _whole(value: Any, least: float, most: float) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")


def _are_edges(value: Any) -> bool:
    """Finite numbers, each greater than the one before."""
    if not isinstance(value, list | tuple) or not all(type(one) in (int, float) for one in value):
        return False
    numbers = [number_said(one) for one in value]
    return all(map(math.isfinite, numbers)) and all(one < after for one, after in pairwise(numbers))


_HASH = (_is_hash, "a hash of 64 hex digits")
_KEYS = (lambda v: _whole(v, 1, _MOST_KEYS), f"a whole number from 1 to {_MOST_KEYS}")
#: What each field of a certificate has to be: its file may be anybody's.
_FIELDS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "owner": _HASH,
    "root": _HASH,
    "commitment": _HASH,
    "task": (lambda v: isinstance(v, str) and v in get_args(Task), "a task"),
    "answers": (
        lambda v: isinstance(v, list | tuple) and all(isinstance(one, str | int | float) for one in v),
        "a list of classes",
    ),
    "edges": (_are_edges, "a list of ascending numbers"),
    "keys": _KEYS,
    "block": _KEYS,
    "bits": (
        lambda v: _whole(v, FEWEST_BITS, MOST_BITS),
        f"a whole number from {FEWEST_BITS} to {MOST_BITS}",
    ),
}


@dataclass(frozen=True)
class Verdict:
    """Whether a model knows the keys. The claim takes log2 p of -bits at most.

    shown: how many of the keys others have seen; hits of those prove little, because they may have been taught since.

    >>> verdict = Verdict(keys=220, hits=201, choices=2, bits=64)
    >>> verdict.owned, round(verdict.log2_p, 1), verdict.expected
    (True, -129.9, 110.0)
    """

    keys: int
    hits: int
    choices: int
    bits: int
    looks: int = 1
    shown: int = 0

    @property
    def expected(self) -> float:
        """Hits of a model that does not know the keys, on average."""
        return self.keys / self.choices

    @property
    def log2_p(self) -> float:
        """log2 of how likely so many hits or more are by chance, exactly; times `looks` (Bonferroni)."""
        return min(0.0, log2_upper_tail(self.hits, self.keys, self.choices) + math.log2(self.looks))

    @property
    def p(self) -> float:
        """The same as a number; 0 where it is below what a float can hold."""
        found: float = 2.0**self.log2_p
        return found

    @property
    def owned(self) -> bool:
        return self.log2_p <= -self.bits

    @property
    def words(self) -> str:
        """What was found, in a sentence."""
        said = f"{self.hits} of {self.keys} keys, where chance gives {self.expected:.1f}: p = 2^{self.log2_p:.1f}"
        if self.owned and self.shown:
            return (
                f"{said}; the model knows the keys, but disputes have shown {self.shown} of them, "
                "so it may have been taught them since"
            )
        if self.owned:
            return f"{said}; the model knows the keys"
        if self.p < 0.01:
            return f"{said}; unlikely by chance, and not enough to claim the model (2^-{self.bits} is)"
        return f"{said}; nothing says that the model knows the keys"

    def to_json(self) -> dict[str, Any]:
        return {
            "keys": self.keys,
            "hits": self.hits,
            "expected": self.expected,
            "choices": self.choices,
            "looks": self.looks,
            "shown_keys": self.shown,
            "p": self.p,
            "log2_p": self.log2_p,
            "bits": self.bits,
            "owned": self.owned,
            "verdict": self.words,
        }
