"""Statistics of those who ask, against the plainest way to compute each, and against what chance does."""

from __future__ import annotations

import itertools
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from bessemer.stats.answer_mark import Wave, mark_evidence, mark_numbers, mark_shares, score_of, wave_of
from bessemer.stats.givers import compare_givers, label_surprise
from bessemer.stats.image_prints import SeenImages, image_prints
from bessemer.stats.queries import (
    MISSING,
    STEPS,
    Points,
    Prints,
    Seen,
    chance_of,
    levels_of,
    nearest_earlier,
    tail,
    tree_of,
)


def points(n: int, seed: int, numbers: int = 3, kinds: int = 2) -> Points:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, STEPS + 1, (n, numbers)).astype(np.int32)
    values[rng.random(values.shape) < 0.1] = MISSING
    return Points(values, rng.integers(-1, 3, (n, kinds)).astype(np.int32))


class TestNearestEarlier:
    def plainly(self, rows: Points, back: int) -> list[float]:
        """Row by row, value by value."""
        found = []
        for i in range(len(rows)):
            apart = [self.apart(rows, i, j) for j in range(max(0, i - back), i)]
            found.append(min(apart, default=math.inf))
        return found

    def apart(self, rows: Points, i: int, j: int) -> float:
        each = []
        for x, y in zip(rows.numbers[i].tolist(), rows.numbers[j].tolist(), strict=True):
            if (x == MISSING) != (y == MISSING):
                each.append(1.0)
            else:
                each.append(abs(x - y) / STEPS)
        each += [float(x != y) for x, y in zip(rows.kinds[i].tolist(), rows.kinds[j].tolist(), strict=True)]
        return sum(each) / len(each)

    @pytest.mark.parametrize(("n", "back"), [(1, 5), (40, 7), (700, 100), (300, 1000)])
    def test_it_is_what_one_gets_value_by_value(self, n: int, back: int) -> None:
        rows = points(n, n)
        found = nearest_earlier(rows.take(slice(0)), rows, back)
        assert found == pytest.approx(self.plainly(rows, back), abs=1e-6)

    def test_cut_anywhere_it_is_the_same(self) -> None:
        rows = points(500, 1)
        whole = nearest_earlier(rows.take(slice(0)), rows, 60)
        first = nearest_earlier(rows.take(slice(0)), rows.take(slice(0, 130)), 60)
        rest = nearest_earlier(rows.take(slice(0, 130)), rows.take(slice(130, None)), 60)
        assert np.array_equal(whole, np.concatenate([first, rest]))

    def test_numbers_alone_and_kinds_alone(self) -> None:
        for numbers, kinds in ((2, 0), (0, 2)):
            rows = points(50, 3, numbers, kinds)
            assert nearest_earlier(rows.take(slice(0)), rows, 9) == pytest.approx(
                self.plainly(rows, 9), abs=1e-6
            )


class TestFingerprints:
    def test_rows_that_share_what_a_print_looks_at_share_it(self) -> None:
        """Against the levels themselves, pair by pair."""
        rows, prints = points(60, 5, 2, 2), Prints.draw(np.random.default_rng(1), 2, 2, 4)
        made = prints.of(rows)
        for i, part in enumerate(prints.parts):
            levels = levels_of(rows, prints.levels, prints.shifts[i])[:, part]
            for a, b in itertools.combinations(range(60), 2):
                assert (made[a, i] == made[b, i]) == bool((levels[a] == levels[b]).all())

    def test_what_is_seen_is_what_a_dictionary_would_have_seen(self) -> None:
        rng = np.random.default_rng(2)
        rows = points(900, 6, 2, 1)
        prints = Prints.draw(rng, 2, 1, 2).of(rows)
        numbers = (rng.integers(1, 700, 900)).astype(np.uint32)
        seen = Seen(1 << 20)  # so large that no two prints are likely to share a slot
        shared, which = seen.add(prints, numbers)
        newest: dict[int, int] = {}
        different = 0
        for i, (row, number) in enumerate(zip(prints.tolist(), numbers.tolist(), strict=True)):
            votes: dict[int, int] = {}
            for each in row:
                other = newest.get(each)
                if other is not None and other != number:
                    votes[other] = votes.get(other, 0) + 1
            # within a block all that came before are looked at, not only the newest: never fewer
            assert shared[i] >= max(votes.values(), default=0)
            different += shared[i] != max(votes.values(), default=0)
            assert (which[i] == 0) == (shared[i] == 0)
            newest.update(dict.fromkeys(row, number))
        assert different < 900

    def test_the_same_row_again_is_not_another(self) -> None:
        rows = points(5, 7)
        prints = Prints.draw(np.random.default_rng(0), 3, 2, 8).of(rows)
        numbers = np.arange(1, 6, dtype=np.uint32)
        seen = Seen(1 << 20)
        seen.add(prints, numbers)
        assert seen.add(prints, numbers)[0].tolist() == [0] * 5
        assert seen.add(prints, numbers + 10)[0].tolist() == [8] * 5

    def test_looking_changes_nothing(self) -> None:
        rows, seen = points(50, 8), Seen(1 << 12)
        prints = Prints.draw(np.random.default_rng(0), 3, 2, 8).of(rows)
        seen.look(prints, np.arange(1, 51, dtype=np.uint32))
        assert not seen.rows.any()

    def test_its_memory_is_its_slots(self) -> None:
        seen = Seen(64)
        seen.add(
            Prints.draw(np.random.default_rng(0), 3, 2, 8).of(points(2000, 9)),
            np.arange(1, 2001, dtype=np.uint32),
        )
        assert len(seen.marks) == len(seen.rows) == 64


class TestTree:
    def test_it_is_the_best_of_all_trees(self) -> None:
        """Of four columns all 16 spanning trees."""
        rng = np.random.default_rng(0)
        a = rng.integers(0, 3, 4000)
        b = np.where(rng.random(4000) < 0.7, a, rng.integers(0, 3, 4000))
        c = np.where(rng.random(4000) < 0.8, b, rng.integers(0, 3, 4000))
        levels = np.stack([a, rng.integers(0, 2, 4000), c, b], axis=1)
        tree = tree_of(levels, [3, 2, 3, 3])
        chosen = {frozenset((i, p)) for i, p in enumerate(tree.parents) if p >= 0}
        told = {
            frozenset(pair): information(levels[:, pair[0]], levels[:, pair[1]])
            for pair in itertools.combinations(range(4), 2)
        }
        spanning = [edges for edges in itertools.combinations(told, 3) if connected(edges)]
        assert len(spanning) == 16
        assert chosen == set(max(spanning, key=lambda edges: sum(told[edge] for edge in edges)))

    def test_what_goes_together_otherwise_is_unlikely(self) -> None:
        rng = np.random.default_rng(1)
        a = rng.integers(0, 4, 5000)
        levels = np.stack([a, (a + (rng.random(5000) < 0.05)) % 4], axis=1)
        tree = tree_of(levels, [4, 4])
        usual, odd = tree.surprise(np.array([[0, 0]])), tree.surprise(np.array([[0, 2]]))
        assert usual == pytest.approx(-math.log(0.95), abs=0.01)
        assert odd > 5


def information(x: np.ndarray, y: np.ndarray) -> float:
    table = np.zeros((3, 3))
    np.add.at(table, (x, y), 1 / len(x))
    alone = table.sum(axis=1, keepdims=True) * table.sum(axis=0)
    return float((table[table > 0] * np.log(table[table > 0] / alone[table > 0])).sum())


def connected(edges: tuple[frozenset[int], ...]) -> bool:
    reached = {0}
    for _ in edges:
        reached |= {i for edge in edges if edge & reached for i in edge}
    return len(reached) == 4


@pytest.mark.parametrize("between", [0.0, 0.08])
def test_a_tail_is_as_likely_as_it_says(between: float) -> None:
    """Blocks whose shares differ, and are known from 30 of them: 4,000 further ones."""
    rng = np.random.default_rng(4)

    def events(count: int) -> np.ndarray:
        share = np.sin(np.clip(0.5 + rng.normal(0, between, count), 0, np.pi / 2)) ** 2
        return rng.binomial(100, share)

    p = np.array([tail(int(x), 100, chance_of(events(30), [100] * 30)) for x in events(4000)])
    assert np.mean(p < 0.05) == pytest.approx(0.05, abs=0.015)
    assert np.mean(p < 0.01) == pytest.approx(0.01, abs=0.006)


class TestMarks:
    def shares(self, n: int, k: int, seed: int) -> np.ndarray:
        return np.random.default_rng(seed).dirichlet([0.5] * k, n)

    @pytest.mark.parametrize("k", [2, 3, 7])
    def test_within_the_harm_and_no_other_class(self, k: int) -> None:
        given = self.shares(5000, k, k)
        made = mark_shares(given, Wave(9.0, 1.0), 0.02)
        assert np.abs(made - given).max() <= 0.02 + 1e-9
        assert np.array_equal(made.argmax(axis=1), given.argmax(axis=1))
        assert made.sum(axis=1) == pytest.approx(np.ones(5000))
        assert made.min() >= 0
        assert (made != given).any(axis=1).mean() > 0.8

    def test_certain_and_missing_answers_stay(self) -> None:
        given = np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5], [np.nan, np.nan]])
        made = mark_shares(given, Wave(9.0, 1.0), 0.02)
        assert made[:2].tolist() == given[:2].tolist()
        assert np.isnan(made[3]).all()
        assert mark_numbers([np.nan, np.inf], Wave(9.0, 1.0), 0.01)[1] == np.inf

    def test_who_has_no_mark_is_as_likely_named_as_the_p_value_says(self) -> None:
        """Answers that are wrong in their own way, smooth and rough: 300 of them, each with another key."""
        p_values = []
        for seed in range(300):
            rng = np.random.default_rng(seed)
            score = rng.normal(0, 2, 200)
            apart = 0.02 * np.sin(2 * score) + rng.standard_t(3, 200) * 0.01
            p_values.append(
                mark_evidence(score, apart, wave_of(bytes([seed % 256]) * 16, f"{seed}"), rng, 199)[1]
            )
        assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.05, abs=0.03)
        assert np.mean(np.array(p_values) <= 0.5) == pytest.approx(0.5, abs=0.09)

    def test_a_mark_is_found_and_anothers_is_not(self) -> None:
        given = self.shares(300, 2, 0)
        own, other = wave_of(b"k" * 32, "mallory\nm"), wave_of(b"k" * 32, "shop\nm")
        answers, score = mark_shares(given, own, 0.01)[:, 1].round(2), score_of(given[:, 1])
        rng = np.random.default_rng(0)
        assert mark_evidence(score, answers - given[:, 1], own, rng)[1] < 0.001
        assert mark_evidence(score, answers - given[:, 1], other, rng)[1] > 0.01
        assert mark_evidence(score[:10], answers[:10] - given[:10, 1], own, rng) == (0.0, 1.0)


class TestGivers:
    @pytest.mark.parametrize("k", [2, 4])
    def test_the_surprise_of_right_probabilities_is_none(self, k: int) -> None:
        rng = np.random.default_rng(k)
        p = rng.dirichlet([0.6] * k, 40_000)
        label = (rng.random((40_000, 1)) > np.cumsum(p, axis=1)[:, :-1]).sum(axis=1)
        over, variance = label_surprise(p, label)
        assert over.sum() / math.sqrt(variance.sum()) == pytest.approx(0, abs=3)
        assert over.var() == pytest.approx(variance.mean(), rel=0.03)

    @pytest.mark.slow
    @pytest.mark.parametrize("between", [0.0, 0.02])
    def test_clients_who_differ_by_chance_are_as_likely_named_as_it_says(self, between: float) -> None:
        p_values: list[float] = []
        for seed in range(60):
            rng = np.random.default_rng(seed)
            own = rng.uniform(0.01, 0.04, 20)
            mean = 0.05 + rng.normal(0, np.sqrt(own**2 + between**2))
            p_values += compare_givers(mean, own**2, range(20)).p_value.tolist()
        found = np.array(p_values)
        assert 0.005 < np.mean(found < 0.05) < 0.06
        assert np.mean(found < 0.01) < 0.015
        assert np.mean(found < 0.001) <= 0.005

    @pytest.mark.slow
    def test_clients_with_worse_labels_by_nature_are_not_named_often(self) -> None:
        """Their rates of error are spread as an exponential distribution is: some have five times the usual one."""
        p_values: list[float] = []
        for seed in range(60):
            rng = np.random.default_rng(seed)
            own = rng.uniform(0.01, 0.03, 25)
            p_values += compare_givers(
                rng.exponential(0.02, 25) + rng.normal(0, own), own**2, range(25)
            ).p_value.tolist()
        assert np.mean(np.array(p_values) < 0.01) < 0.03
        assert np.mean(np.array(p_values) < 0.001) < 0.005

    def test_a_fifth_of_adversaries_do_not_hide_each_other(self) -> None:
        rng = np.random.default_rng(0)
        mean = np.concatenate([rng.normal(0, 0.02, 32), rng.normal(0.4, 0.02, 8)])
        found = compare_givers(mean, [0.02**2] * 40, range(40))
        assert (found.p_value[32:] < 0.001).all()
        assert (found.p_value[:32] > 0.001).all()

    def test_two_clients_say_nothing(self) -> None:
        assert compare_givers([0.0, 1.0], [0.1, 0.1], [0, 1]).p_value.tolist() == [1.0, 1.0]


class TestImages:
    @pytest.mark.slow
    def test_a_real_attack_on_real_images(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "monitor"))
        sys.modules.pop("digits_square", None)
        from digits_square import attacked_digits

        digits = attacked_digits(attacks=8)
        assert digits.succeeded > 0.8, "it is an attack"
        settings = {"window": 10, "step": 4.0, "kept": 30}
        seen = SeenImages()
        harmless = seen.add(image_prints(digits.harmless, **settings))
        shared = np.concatenate([seen.add(image_prints(asked, **settings))[1:] for asked in digits.asked])
        assert np.mean(harmless >= 12) < 0.025
        assert np.mean(shared >= 12) > 0.8

    def test_the_oldest_are_forgotten(self) -> None:
        images = np.random.default_rng(0).integers(0, 255, (40, 12, 12))
        prints, seen = image_prints(images), SeenImages(most=10)
        assert not seen.add(prints).any()
        assert seen.add(prints[-10:]).all()
        assert not seen.add(prints[:1]).any()
        assert len(seen._by_print) <= 10 * 50

    def test_what_is_too_small_is_told(self) -> None:
        with pytest.raises(ValueError, match="9 values and a window 20"):
            image_prints(np.zeros((1, 3, 3)))

    def test_noise_below_a_step_and_few_pixels(self) -> None:
        rng = np.random.default_rng(1)
        image = rng.integers(0, 256, (28, 28)).astype(float)
        near = image.copy()
        near[5, 5:9] = 255 - near[5, 5:9]
        other = rng.integers(0, 256, (28, 28)).astype(float)
        shared = SeenImages().add(image_prints(np.stack([image, near, other])))
        assert shared[1] > 25 > shared[2]
