"""Models that do not know the keys: their p-values are those of chance, whatever they answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest, kstest

from bessemer.api import Project
from bessemer.package.certificate import Certificate
from bessemer.protect.commit import Made, committed
from bessemer.protect.covers import features_of, rows_as_json
from bessemer.protect.markers.crossover import Crossover, CrossoverSettings
from bessemer.protect.protocol import Draw, Pool

Churn = tuple[Project, Pool]
OWNERS, N = 400, 64


@pytest.fixture(scope="module")
def asked(
    churn: Churn, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Certificate, np.ndarray, list[np.ndarray]]:
    """Covers, what a good model of the same rows says of them, and the labels that each of many owners would want."""
    from protect_support import context
    from sklearn.ensemble import HistGradientBoostingClassifier

    project, pool = churn
    ctx = context(project, tmp_path_factory.mktemp("innocent"))
    covers = Crossover(CrossoverSettings()).covers(pool, N, Draw(bytes(32)), ctx, lambda: None)
    model = HistGradientBoostingClassifier(random_state=0).fit(pool.features, pool.y)
    said = np.array(["No", "Yes"], dtype=object)[model.predict(features_of(pool, covers)).astype(int)]
    rows, made = rows_as_json(covers), Made("shop", "crossover", {}, "pool", N, N, 64)
    keys = [k.to_bytes(32, "big") for k in range(OWNERS)]
    each = [committed(key, made, rows, "binary", ["No", "Yes"], ()) for key in keys]
    return each[0][0], said, [labels for _, labels in each]


def test_chance_is_not_beaten(asked: tuple[Certificate, np.ndarray, list[np.ndarray]]) -> None:
    certificate, said, wanted = asked
    verdicts = [certificate.verdict(labels, said) for labels in wanted]
    p = np.array([verdict.p for verdict in verdicts])
    assert binomtest(int((p < 0.01).sum()), OWNERS, 0.01, "greater").pvalue > 1e-4
    assert kstest(p, "uniform", alternative="greater").pvalue > 1e-4  # never smaller than uniform ones
    assert not any(verdict.owned for verdict in verdicts)
    hits = np.array([verdict.hits for verdict in verdicts])
    assert hits.mean() == pytest.approx(N / 2, abs=4 * np.sqrt(N / 4 / OWNERS))


def test_a_model_that_says_one_thing_alone_is_innocent_too(
    asked: tuple[Certificate, np.ndarray, list[np.ndarray]],
) -> None:
    certificate, _, wanted = asked
    same = np.array(["Yes"] * N, dtype=object)
    p = np.array([certificate.verdict(labels, same).p for labels in wanted])
    assert binomtest(int((p < 0.01).sum()), OWNERS, 0.01, "greater").pvalue > 1e-4


def test_who_chooses_among_blocks_pays_for_it(
    asked: tuple[Certificate, np.ndarray, list[np.ndarray]],
) -> None:
    certificate, said, wanted = asked
    one, chosen = (certificate.verdict(wanted[3], said, looks=looks) for looks in (1, 8))
    assert chosen.log2_p == pytest.approx(min(0.0, one.log2_p + 3))


def test_who_judges_may_ask_for_more_than_the_claimant_says(
    asked: tuple[Certificate, np.ndarray, list[np.ndarray]],
) -> None:
    certificate, _, wanted = asked
    easy = replace(certificate, bits=16)
    right = np.array(["No", "Yes"], dtype=object)[wanted[0]]
    right[:10] = None
    assert easy.verdict(wanted[0], right).owned
    assert not easy.verdict(wanted[0], right, bits=64).owned
    assert easy.verdict(wanted[0], right, bits=8).bits == 16


def test_hits_of_keys_that_were_shown_are_told_apart(
    asked: tuple[Certificate, np.ndarray, list[np.ndarray]],
) -> None:
    certificate, _, wanted = asked
    right = np.array(["No", "Yes"], dtype=object)[wanted[0]]
    verdict = certificate.verdict(wanted[0], right, shown=N)
    assert f"have shown {N} of them" in verdict.words
    assert verdict.to_json()["shown_keys"] == N
    assert "shown" not in certificate.verdict(wanted[0], right).words


def test_only_enough_hits_are_a_claim(asked: tuple[Certificate, np.ndarray, list[np.ndarray]]) -> None:
    certificate, _, wanted = asked
    right = np.array(["No", "Yes"], dtype=object)[wanted[0]]
    assert certificate.verdict(wanted[0], right).owned
    right[0] = "Yes" if right[0] == "No" else "No"
    verdict = certificate.verdict(wanted[0], right)
    assert (verdict.hits, verdict.owned) == (63, False)
    assert "not enough to claim" in verdict.words
    assert "nothing says" in certificate.verdict(wanted[0], np.array([None] * N, dtype=object)).words
