"""Means of features against brute force, published tables and laws that are known."""

from __future__ import annotations

import numpy as np
import pytest

from bessemer.stats.components import Components
from bessemer.stats.mean_features import RIDGE, MeanFeatures, MeanTest, traces_of
from bessemer.stats.packed import pack_symmetric, unpack_symmetric
from bessemer.stats.random_features import cosines, frequencies, normals, uniforms
from bessemer.stats.rank_sum import RankSum
from bessemer.stats.text_features import BUCKETS, text_features
from bessemer.stats.three_moments import ThreeMoments


def test_parts_have_the_mean_and_covariance_of_the_whole() -> None:
    x = np.random.default_rng(0).normal(size=(500, 7))
    merged = MeanFeatures.of(x[:100]).merged(MeanFeatures.of(x[100:120])).merged(MeanFeatures.of(x[120:]))
    np.testing.assert_allclose(merged.mean, x.mean(axis=0), atol=1e-13)
    np.testing.assert_allclose(merged.covariance, np.cov(x.T, bias=True), atol=1e-13)
    assert merged.rows == 500


def test_the_discrepancy_is_that_of_its_definition() -> None:
    rng = np.random.default_rng(1)
    before, now = rng.normal(size=(4000, 5)), rng.normal(size=(300, 5)) + 0.1
    reference = MeanFeatures.of(before)
    test = MeanTest.whitened(reference)
    parts = test.seen(now[:77]).merged(test.seen(now[77:]))
    gap = now.mean(axis=0) - before.mean(axis=0)
    covariance = np.cov(before.T, bias=True)
    ridge = RIDGE * np.trace(covariance) / 5
    expected = gap @ np.linalg.solve(covariance + ridge * np.eye(5), gap)
    found = test.compare(parts)
    assert found is not None
    assert found.value == pytest.approx(expected, rel=1e-9)
    assert found.critical(found.p_value) == pytest.approx(found.value, rel=1e-6)


def test_what_is_not_finite_is_refused() -> None:
    """NaN is greater than nothing: a test would never find anything."""
    reference = MeanFeatures.of(np.random.default_rng(1).normal(size=(4000, 5)))
    window = np.zeros((100, 5))
    for wrong in (np.nan, np.inf):
        window[3, 2] = wrong
        with pytest.raises(ValueError, match="NaN or infinite"):
            MeanTest.whitened(reference).seen(window)
        with pytest.raises(ValueError, match="NaN or infinite"):
            MeanTest(10, np.array([wrong]), np.ones(1), (1.0, 1.0, 1.0))


def test_nothing_and_nothing_is_nothing() -> None:
    none = MeanFeatures(0, np.zeros(3), np.zeros((3, 3)))
    assert none.merged(none).rows == 0
    some = MeanFeatures.of(np.random.default_rng(1).normal(size=(40, 3)))
    for both in (none.merged(some), some.merged(none)):
        assert both.rows == 40
        np.testing.assert_allclose(both.covariance, some.covariance)


def test_directions_have_one_sign_where_parts_are_equal() -> None:
    """Of two parts that are equal but for the last digits the first is positive."""
    for tilt in (-1e-12, 0, 1e-12):
        covariance = np.array([[1 + tilt, -0.9], [-0.9, 1 - tilt]])
        found = Components.of(MeanFeatures(10, np.zeros(2), covariance))
        np.testing.assert_allclose(found.directions, [[0.5**0.5, -(0.5**0.5)]], atol=1e-9)


@pytest.mark.parametrize("scaled", [False, True])
def test_p_values_are_even_where_nothing_has_changed(scaled: bool) -> None:
    """Features that are skewed, of which some hardly ever vary, at 200 rows: by many references and windows."""
    rng = np.random.default_rng(2)

    def features(n: int) -> np.ndarray:
        x = rng.normal(size=(n, 3))
        rare = rng.random((n, 4)) < 0.03
        return np.concatenate([np.cos(x @ np.ones((3, 4)) + np.arange(4)), np.exp(x / 2), rare], axis=1)

    p = []
    for _ in range(60):
        reference = MeanFeatures.of(features(5000))
        test = MeanTest.whitened(reference)
        if scaled:
            diagonal = np.diag(reference.covariance)
            test = MeanTest.scaled(reference.rows, reference.mean, diagonal, traces_of(reference))
        for _ in range(20):
            found = test.compare(test.seen(features(200)))
            assert found is not None
            p.append(found.p_value)
    assert np.mean(np.array(p) < 0.5) == pytest.approx(0.5, abs=0.06)
    assert np.mean(np.array(p) < 0.1) == pytest.approx(0.1, abs=0.035)
    assert np.mean(np.array(p) < 0.01) < 0.025


def test_the_law_of_weighted_chi_squares() -> None:
    """Against draws; of equal weights it is a chi-square itself."""
    from scipy.stats import chi2

    equal = ThreeMoments(7.0, 14.0, (8 / 7) ** 0.5)
    for value in (2.0, 7.0, 20.0, 40.0):
        assert equal.beyond(value) == pytest.approx(chi2.sf(value, 7), rel=1e-9)
    weights = np.array([3.0, 1.0, 1.0, 0.5, 0.1])
    first, second, third = (float((weights**k).sum()) for k in (1, 2, 3))
    law = ThreeMoments(first, 2 * second, 8 * third / (2 * second) ** 1.5)
    draws = (np.random.default_rng(3).normal(size=(200_000, 5)) ** 2) @ weights
    for p in (0.3, 0.1, 0.01, 0.001):
        assert np.mean(draws > law.critical(p)) == pytest.approx(p, rel=0.15)


def test_random_features_are_those_of_a_kernel() -> None:
    """The mean product of the features of two vectors is the kernel: half of it of each spread."""
    x, y = np.random.default_rng(4).normal(size=(2, 3))
    count = 40_000
    weights = np.stack([frequencies(f"coordinate {i}", count) for i in range(3)])
    made = cosines((np.stack([x, y]) @ weights).astype(np.float32), "angles")
    distance = float(((x - y) ** 2).sum())
    expected = (np.exp(-distance / 2) + np.exp(-3 * distance / 2)) / 2
    assert float((made[0] * made[1]).mean()) == pytest.approx(expected, abs=0.02)


def test_what_is_random_stays_as_it_is() -> None:
    """References that were written once are read for ever: these numbers must not change."""
    assert uniforms("bessemer", 2).tolist() == pytest.approx(
        [0.056348685357770545, 0.9166310951572181], abs=1e-15
    )
    assert normals("bessemer", 2).tolist() == pytest.approx(
        [-1.5861849061558284, 1.3827621451610774], abs=1e-12
    )
    drawn = normals("many", 100_000)
    assert abs(drawn.mean()) < 0.015
    assert drawn.std() == pytest.approx(1, abs=0.01)


def test_rank_sums_are_those_of_scipy() -> None:
    from scipy.stats import mannwhitneyu

    rng = np.random.default_rng(5)
    scores = rng.integers(0, 20, 400).astype(float)
    inside = rng.random(400) < 0.4
    scores[inside] += rng.integers(0, 3, inside.sum())
    found = RankSum.of(inside, scores)
    exact = mannwhitneyu(
        scores[inside], scores[~inside], alternative="greater", use_continuity=False, method="asymptotic"
    )
    assert found.area == pytest.approx(exact.statistic / inside.sum() / (~inside).sum())
    assert found.p_value == pytest.approx(exact.pvalue, rel=1e-9)
    assert found.critical(found.p_value) == pytest.approx(found.area)
    assert RankSum.of(np.ones(5, dtype=bool), np.arange(5.0)).p_value == 1


def test_components_are_those_of_scikit_learn() -> None:
    from sklearn.decomposition import PCA

    rng = np.random.default_rng(6)
    x = rng.normal(size=(300, 6)) @ rng.normal(size=(6, 6))
    found = Components.of(MeanFeatures.of(x))
    theirs = PCA(len(found.directions)).fit(x)
    left = x - theirs.inverse_transform(theirs.transform(x))
    np.testing.assert_allclose(found.distances(x), (left**2).sum(axis=1), atol=1e-6)
    assert theirs.explained_variance_ratio_.sum() >= 0.7 > theirs.explained_variance_ratio_[:-1].sum()


# texts -----------------------------------------------------------------------------------------------
def encoded(texts: list[str]) -> np.ndarray:
    parts = [text.encode() for text in texts]
    starts = np.cumsum([0, *map(len, parts)])
    return text_features(np.frombuffer(b"".join(parts), np.uint8), starts)


def test_a_text_has_the_same_features_wherever_it_stands() -> None:
    texts = ["the red house", "", "東京 is here, é!", "...", "a", "the red house"]
    together = encoded(texts)
    for i, text in enumerate(texts):
        np.testing.assert_array_equal(together[i], encoded([text])[0], err_msg=text)
    np.testing.assert_array_equal(encoded(["red the house"])[0, :BUCKETS], together[0, :BUCKETS])
    assert not np.array_equal(encoded(["red the house"])[0], together[0]), "runs of bytes know the order"


def test_shares_are_of_words() -> None:
    both, one, other = encoded(["cat dog", "cat", "dog"])
    np.testing.assert_allclose(both[:BUCKETS], (one[:BUCKETS] + other[:BUCKETS]) / 2)
    words = encoded([f"word{i}" for i in range(5000)])[:, :BUCKETS]
    used = words.sum(axis=0)
    assert used.min() > 10, "every bucket has words"
    assert used.max() < 90


def test_symmetric_matrices_are_packed_by_half() -> None:
    x = np.float32(np.random.default_rng(7).normal(size=(9, 9))).astype(np.float64)
    np.testing.assert_array_equal(unpack_symmetric(pack_symmetric(x + x.T)), np.float32(x + x.T))
