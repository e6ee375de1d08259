"""The commitment: what is shown can be checked, and nothing can be chosen afterwards."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from scipy.stats import chisquare

from bessemer.core.errors import FormatError
from bessemer.package.certificate import Certificate
from bessemer.protect.commit import Made, check_opened, committed, salt_of
from bessemer.protect.commitment import Tree, follows, label_of, leaf

KEY, OTHER = bytes([1] * 32), bytes([2] * 32)


def made(keys: int) -> Made:
    return Made("shop", "crossover", {}, "pool", keys, keys, 64)


def rows(keys: int) -> list[dict[str, object]]:
    return [{"a": k, "b": f"row {k}", "c": None} for k in range(keys)]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13])
def test_every_leaf_follows_and_no_other_does(size: int) -> None:
    tree = Tree(tuple(leaf(k, bytes(32), {"a": k}) for k in range(size)))
    for place in range(size):
        path = tree.path(place)
        assert follows(tree.root, size, place, tree.leaves[place], path)
        assert not follows(tree.root, size, place, leaf(place, bytes(32), {"a": -1}), path)
        assert not follows(tree.root, size, place, tree.leaves[place], [*path, bytes(32)])
        assert not follows(tree.root, size, (place + 1) % size or size, tree.leaves[place], path)
        assert not path or not follows(tree.root, size, place, tree.leaves[place], path[:-1])


def test_an_inner_node_is_no_leaf() -> None:
    """A tree whose inner nodes were hashed like its leaves would let one stand for the other (RFC 6962, 2.1)."""
    tree = Tree(tuple(leaf(k, bytes(32), {}) for k in range(4)))
    inner = hashlib.sha256(b"\x01" + tree.leaves[0] + tree.leaves[1]).digest()
    assert follows(tree.root, 2, 0, inner, [tree.path(0)[-1]])  # as a tree of two it would do
    assert not follows(tree.root, 4, 0, inner, [tree.path(0)[-1]])  # as one of four it does not


def test_one_changed_cover_changes_the_labels_of_the_others() -> None:
    """So covers cannot be chosen one by one until a model that is there already gives their labels."""
    _, before = committed(KEY, made(200), rows(200), "multiclass", range(10), ())
    changed = rows(200)
    changed[7]["a"] = 8
    _, after = committed(KEY, made(200), changed, "multiclass", range(10), ())
    assert (before != after).mean() == pytest.approx(0.9, abs=0.08)


def test_labels_are_even() -> None:
    drawn = [label_of(bytes(32), k, bytes([3] * 32), 7) for k in range(7000)]
    assert chisquare(np.bincount(drawn, minlength=7)).pvalue > 0.001


def test_only_the_owner_of_the_very_keys_opens_a_certificate() -> None:
    said, labels = committed(KEY, made(20), rows(20), "binary", ["no", "yes"], ())
    assert check_opened(KEY, made(20), rows(20), said).tolist() == labels.tolist()
    with pytest.raises(Exception, match="the certificate is of owner"):
        check_opened(OTHER, made(20), rows(20), said)
    other = [*rows(19), {"a": -5}]
    with pytest.raises(Exception, match="does not commit to these keys"):
        check_opened(KEY, made(20), other, said)
    with pytest.raises(Exception, match="does not commit to these keys"):
        check_opened(KEY, Made("shop", "crossover", {"columns": 3}, "pool", 20, 20, 64), rows(20), said)


def test_a_certificate_tells_nothing_of_the_key_the_salts_or_the_labels() -> None:
    said, labels = committed(KEY, made(64), rows(64), "binary", ["no", "yes"], ())
    text = str(said.to_json())
    secret = made(64).secret(KEY)
    for hidden in (KEY, secret, *(salt_of(secret, k) for k in range(64))):
        assert hidden.hex() not in text
    assert str(labels.tolist()) not in text
    assert Certificate.from_json(said.to_json()) == said


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"block": 0},
        {"block": 65},
        {"root": "00"},
        {"answers": []},
        {"more": 1},
        {"keys": None},
        {"bits": 0},
        {"bits": 15},
        {"bits": 257},
        {"bits": 64.0},
        {"bits": True},
        {"bits": "64"},
        {"format": "1"},
        {"format": True},
        {"owner": 3},
        {"root": "zz" * 32},
        {"commitment": None},
        {"task": ["binary"]},
        {"task": "guess"},
        {"answers": "ab"},
        {"answers": [{}, []]},
        {"answers": 2},
        {"edges": [1.0]},
        {"edges": {"a": 1}},
        {"answers": [], "edges": [2.0, 1.0]},
        {"answers": [], "edges": [float("nan")]},
        {"answers": [], "edges": [10**400]},
        {"answers": [], "edges": ["1"]},
        {"keys": 10**4000},
        {"keys": 64.5},
    ],
)
def test_a_certificate_that_contradicts_itself_is_refused(change: dict[str, object]) -> None:
    said, _ = committed(KEY, made(64), rows(64), "binary", ["no", "yes"], ())
    with pytest.raises(FormatError, match="certificate"):
        Certificate.from_json({**said.to_json(), **change})


@pytest.mark.parametrize("value", [None, [], "certificate", 3, {}, {"format": 1}])
def test_what_is_no_certificate_is_refused(value: object) -> None:
    with pytest.raises(FormatError, match="certificate"):
        Certificate.from_json(value)
