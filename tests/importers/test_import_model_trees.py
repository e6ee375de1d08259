"""LightGBM, XGBoost and CatBoost: what the package says is what the library says, also of missing values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import catboost
import lightgbm
import numpy as np
import pandas as pd
import pytest
import xgboost
from import_model_support import agree, answers, holed, imported
from sklearn.datasets import load_digits

from bessemer.core.errors import BessemerError, FormatError
from bessemer.importers.models.categories import check_codes

TASKS = ("binary", "multiclass", "regression")


@pytest.fixture(scope="module")
def mixed() -> pd.DataFrame:
    """Numbers with holes, texts with holes, and whole numbers that are categories."""
    rng, n = np.random.default_rng(0), 400
    numbers = {name: rng.normal(size=n).astype(np.float32) for name in ("a", "b")}
    texts = pd.Categorical(rng.choice(["north", "south", "east", "west"], n))
    table = pd.DataFrame({**numbers, "c": texts, "d": pd.Categorical(rng.choice([3, 5, 9, 11, 13, 17], n))})
    return holed(table, ["a", "c"])


@pytest.fixture(scope="module")
def digits() -> pd.DataFrame:
    X = load_digits().data[:500, 16:28].astype(np.float32)
    return holed(pd.DataFrame(X, columns=[f"pixel {i}" for i in range(12)]), ["pixel 3", "pixel 7"])


def target(table: pd.DataFrame, task: str) -> np.ndarray:
    """Something that the columns say, categories among them."""
    first = table.iloc[:, 0 if "c" in table else 2].fillna(0.3).to_numpy()
    side = (first > np.median(first)).astype(int)
    if "c" in table:
        side ^= table["c"].isin(["north", "east"]).to_numpy() ^ table["d"].isin([3, 9, 17]).to_numpy()
    if task == "binary":
        return side
    second = table.iloc[:, 1 if "c" in table else 4].to_numpy()
    return side + (second > np.median(second)) if task == "multiclass" else side * 2.0 + first + second


def wanted(model: Any, table: Any, task: str) -> np.ndarray:
    return np.asarray(model.predict(table) if task == "regression" else model.predict_proba(table))


@pytest.mark.parametrize("task", TASKS)
def test_lightgbm_with_numbers_and_categories(mixed: pd.DataFrame, task: str, tmp_path: Path) -> None:
    mixed = mixed.assign(c=mixed["c"].cat.rename_categories({"west": "wést, ü"}))
    kind = lightgbm.LGBMRegressor if task == "regression" else lightgbm.LGBMClassifier
    grown = kind(
        n_estimators=10, num_leaves=8, min_child_samples=5, min_data_per_group=5, cat_smooth=1, cat_l2=1,
        max_cat_to_onehot=2, verbose=-1, n_jobs=1,
    ).fit(mixed, target(mixed, task))  # fmt: skip
    grown.booster_.save_model(tmp_path / "model.txt")
    assert "cat_threshold=" in (tmp_path / "model.txt").read_text()
    model = imported(tmp_path / "model.txt")
    assert [f.dtype for f in model.signature.inputs] == ["number", "number", "string", "integer"]
    agree(model, mixed, wanted(grown, mixed, task))


def test_lightgbm_sends_unseen_categories_where_it_does(mixed: pd.DataFrame, tmp_path: Path) -> None:
    grown = lightgbm.LGBMClassifier(
        n_estimators=10,
        min_child_samples=5,
        min_data_per_group=5,
        cat_smooth=1,
        cat_l2=1,
        verbose=-1,
        n_jobs=1,
    ).fit(mixed, target(mixed, "binary"))
    grown.booster_.save_model(tmp_path / "model.txt")
    unseen = mixed.assign(c="nowhere", d=99)
    empty = mixed.assign(
        c=pd.Categorical([None] * len(mixed), mixed["c"].cat.categories), d=mixed["d"].astype(float)
    )
    empty["d"] = pd.Categorical([None] * len(mixed), mixed["d"].cat.categories)
    agree(imported(tmp_path / "model.txt"), unseen, grown.predict_proba(empty))


@pytest.mark.parametrize("objective", ["poisson", "quantile", "huber"])
def test_lightgbm_of_other_objectives(digits: pd.DataFrame, objective: str, tmp_path: Path) -> None:
    grown = lightgbm.LGBMRegressor(objective=objective, n_estimators=5, verbose=-1, n_jobs=1)
    grown.fit(digits, np.abs(target(digits, "regression")))
    grown.booster_.save_model(tmp_path / "model.txt")
    agree(
        imported(tmp_path / "model.txt"),
        digits.set_axis([c.replace(" ", "_") for c in digits], axis=1),
        grown.predict(digits),
    )


def test_lightgbm_as_a_forest(digits: pd.DataFrame, tmp_path: Path) -> None:
    grown = lightgbm.LGBMClassifier(
        boosting_type="rf", n_estimators=5, bagging_freq=1, bagging_fraction=0.6, verbose=-1, n_jobs=1
    ).fit(digits.to_numpy(), target(digits, "binary"))
    grown.booster_.save_model(tmp_path / "model.txt")
    table = digits.set_axis([f"Column_{i}" for i in range(12)], axis=1)
    agree(imported(tmp_path / "model.txt"), table, grown.predict_proba(digits.to_numpy()))


@pytest.mark.parametrize("suffix", ["json", "ubj"])
@pytest.mark.parametrize("task", TASKS)
def test_xgboost_with_numbers_and_categories(
    mixed: pd.DataFrame, task: str, suffix: str, tmp_path: Path
) -> None:
    kind = xgboost.XGBRegressor if task == "regression" else xgboost.XGBClassifier
    grown = kind(n_estimators=10, max_depth=4, enable_categorical=True, max_cat_to_onehot=2, n_jobs=1)
    grown.fit(mixed, target(mixed, task))
    file = tmp_path / f"model.{suffix}"
    grown.get_booster().save_model(file)
    model = imported(file.rename(tmp_path / "a.bin"))  # its name says nothing
    assert [f.dtype for f in model.signature.inputs] == ["number", "number", "string", "integer"]
    agree(model, mixed, wanted(grown, mixed, task))


def test_xgboost_cuts_texts_that_are_not_ascii(mixed: pd.DataFrame, tmp_path: Path) -> None:
    table = mixed.assign(c=mixed["c"].cat.rename_categories({"west": "wést, ü"}))
    grown = xgboost.XGBClassifier(n_estimators=1, enable_categorical=True, n_jobs=1)
    grown.fit(table, target(mixed, "binary")).get_booster().save_model(tmp_path / "model.json")
    with pytest.raises(FormatError, match="whose text is cut"):
        imported(tmp_path / "model.json")


@pytest.mark.parametrize(
    ("settings", "task"),
    [
        ({"booster": "dart", "rate_drop": 0.3}, "multiclass"),
        ({"booster": "gblinear"}, "binary"),
        ({"objective": "count:poisson"}, "regression"),
        ({"base_score": 0.2}, "binary"),
    ],
)
def test_xgboost_of_other_kinds(digits: pd.DataFrame, settings: Any, task: str, tmp_path: Path) -> None:
    kind = xgboost.XGBRegressor if task == "regression" else xgboost.XGBClassifier
    table = digits.fillna(0) if settings.get("booster") == "gblinear" else digits
    grown = kind(n_estimators=6, n_jobs=1, **settings).fit(table, np.abs(target(digits, task)))
    grown.get_booster().save_model(tmp_path / "model.json")
    agree(imported(tmp_path / "model.json"), table, wanted(grown, table, task))


@pytest.mark.parametrize(
    ("task", "policy", "nan_mode"),
    [
        ("binary", "SymmetricTree", "Min"),
        ("binary", "Lossguide", "Max"),
        ("multiclass", "SymmetricTree", "Max"),
        ("multiclass", "Lossguide", "Min"),
        ("regression", "SymmetricTree", "Max"),
    ],
)
def test_catboost(digits: pd.DataFrame, task: str, policy: str, nan_mode: str, tmp_path: Path) -> None:
    kind = catboost.CatBoostRegressor if task == "regression" else catboost.CatBoostClassifier
    grown = kind(
        iterations=8, depth=4, nan_mode=nan_mode, grow_policy=policy, thread_count=1, verbose=0,
        allow_writing_files=False,
    ).fit(digits, target(digits, task))  # fmt: skip
    grown.save_model(str(tmp_path / "model.json"), format="json")
    agree(imported(tmp_path / "model.json"), digits, wanted(grown, digits, task), 2e-6)


def test_catboost_with_categories_says_why_not(mixed: pd.DataFrame, tmp_path: Path) -> None:
    table = mixed.assign(c=mixed["c"].astype(object).fillna("none"), d=mixed["d"].astype(str))
    grown = catboost.CatBoostClassifier(iterations=2, thread_count=1, verbose=0, allow_writing_files=False)
    grown.fit(table, target(mixed, "binary"), cat_features=["c", "d"])
    grown.save_model(str(tmp_path / "model.json"), format="json")
    with pytest.raises(Exception, match="categorical features") as error:
        imported(tmp_path / "model.json")
    assert "hashes" in str(error.value)


def test_words_are_classes_where_they_are_said(digits: pd.DataFrame, tmp_path: Path) -> None:
    grown = xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(digits, target(digits, "binary"))
    grown.get_booster().save_model(tmp_path / "model.json")
    model = imported(tmp_path / "model.json", classes=["no", "yes"], columns=[f"x{i}" for i in range(12)])
    found = answers(model, digits.set_axis([f"x{i}" for i in range(12)], axis=1), "prediction")
    assert found.tolist() == np.where(grown.predict(digits) == 1, "yes", "no").tolist()


def test_contributions_are_those_of_the_library(digits: pd.DataFrame, tmp_path: Path) -> None:
    grown = lightgbm.LGBMClassifier(n_estimators=8, num_leaves=7, verbose=-1, n_jobs=1)
    grown.fit(digits.to_numpy(), target(digits, "binary"))
    grown.booster_.save_model(tmp_path / "model.txt")
    model = imported(tmp_path / "model.txt")
    rows = [
        {f"Column_{i}": None if v != v else v for i, v in enumerate(row)}
        for row in digits.to_numpy()[:20].tolist()
    ]
    told = grown.predict_proba(digits.to_numpy()[:20], pred_contrib=True)
    found = [
        [one[f"contribution_Column_{i}"] for i in range(12)] for one in model.predict_rows(rows, explain=True)
    ]
    assert np.abs(np.array(found) - told[:, :-1]).max() < 1e-5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda m: m["learner"]["gradient_booster"]["model"]["trees"][0]["left_children"].__setitem__(
                0, 0
            ),
            "two parents",
        ),
        (
            lambda m: m["learner"]["gradient_booster"]["model"]["trees"][0]["split_conditions"].__setitem__(
                0, float("nan")
            ),
            "no numbers",
        ),
        (
            lambda m: m["learner"]["gradient_booster"]["model"]["trees"][0]["split_indices"].__setitem__(
                0, 10**6
            ),
            "does not have",
        ),
        (lambda m: m["learner"]["gradient_booster"]["model"]["trees"].pop(), "no XGBoost model"),
        (lambda m: m["learner"]["learner_model_param"].__setitem__("num_feature", str(10**12)), "columns"),
        (lambda m: m["learner"]["objective"].__setitem__("name", "survival:aft"), "objective"),
    ],
)
def test_a_tree_that_is_none_is_refused(digits: pd.DataFrame, change: Any, said: str, tmp_path: Path) -> None:
    grown = xgboost.XGBClassifier(n_estimators=2, n_jobs=1).fit(digits, target(digits, "binary"))
    saved = json.loads(grown.get_booster().save_raw("json"))
    change(saved)
    (tmp_path / "model.json").write_text(json.dumps(saved))
    with pytest.raises(Exception, match=said):
        imported(tmp_path / "model.json")


@pytest.mark.parametrize(
    ("task", "settings"),
    [
        ("binary", {}),
        ("multiclass", {"num_parallel_tree": 2, "subsample": 0.7}),
        ("regression", {"booster": "dart", "rate_drop": 0.2}),
    ],
)
def test_xgboost_stopped_early_keeps_its_best_rounds(
    digits: pd.DataFrame, task: str, settings: Any, tmp_path: Path
) -> None:
    kind = xgboost.XGBRegressor if task == "regression" else xgboost.XGBClassifier
    grown = kind(
        n_estimators=40, max_depth=6, learning_rate=1.0, early_stopping_rounds=3, n_jobs=1, **settings
    )
    y = np.random.default_rng(0).permutation(target(digits, task))  # nothing to learn: later rounds only harm
    grown.fit(digits[:60], y[:60], eval_set=[(digits[60:160], y[60:160])], verbose=False)
    grown.get_booster().save_model(tmp_path / "model.json")
    assert grown.best_iteration + 1 < grown.get_booster().num_boosted_rounds()
    model = imported(tmp_path / "model.json")
    agree(model, digits, wanted(grown, digits, task), 1e-5)
    notes = model.provenance["imported"]["notes"]
    assert any(f"the best {grown.best_iteration + 1} rounds are taken" in note for note in notes)


GROUPED: dict[str, Any] = {
    "verbose": -1, "num_threads": 1, "objective": "regression", "min_data_per_group": 1, "cat_smooth": 1,
    "max_cat_to_onehot": 1,
}  # fmt: skip


def constant_and_codes() -> tuple[pd.DataFrame, lightgbm.Booster]:
    """A column of categories that never vary, and one of whole numbers that are categories, not pandas'."""
    rng, n = np.random.default_rng(0), 300
    table = pd.DataFrame(
        {"k": pd.Categorical(["only"] * n), "m": rng.integers(0, 6, n), "b": rng.normal(size=n)}
    )
    y = np.array([0, 5, 1, 4, 2, 3])[table["m"]] + 0.1 * table["b"]
    return table, lightgbm.train(GROUPED, lightgbm.Dataset(table, y, categorical_feature=["k", "m"]), 4)


def test_lightgbm_gives_categories_to_the_column_that_has_them(tmp_path: Path) -> None:
    table, grown = constant_and_codes()
    grown.save_model(tmp_path / "model.txt")
    model = imported(tmp_path / "model.txt")
    assert [f.dtype for f in model.signature.inputs] == ["string", "integer", "number"]
    agree(model, table.assign(k="only"), grown.predict(table))


def test_lightgbm_categories_of_one_column_or_another_are_refused(tmp_path: Path) -> None:
    _, grown = constant_and_codes()
    text = grown.model_to_string().replace('[["only"]]', '[["a", "b", "c", "d", "e", "f"]]')
    (tmp_path / "model.txt").write_text(text)
    with pytest.raises(FormatError, match="which columns they are of is not said") as error:
        imported(tmp_path / "model.txt")
    assert "never vary, or of whole numbers" in error.value.why


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ('""', "empty text"),
        ('"\\ud800"', "nobody can read"),
        ('"\\u001b[31mX"', "nobody can read"),
        ('"south"', "two categories"),
    ],
)
def test_categories_that_are_no_names_are_refused(
    mixed: pd.DataFrame, name: str, said: str, tmp_path: Path
) -> None:
    grown = lightgbm.LGBMClassifier(n_estimators=2, verbose=-1, n_jobs=1).fit(mixed, target(mixed, "binary"))
    text = grown.booster_.model_to_string()
    assert '"north"' in text
    (tmp_path / "model.txt").write_text(text.replace('"north"', name))
    with pytest.raises(FormatError, match=said):
        imported(tmp_path / "model.txt")


def test_sets_that_many_nodes_name_are_counted_as_often(
    mixed: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown = xgboost.XGBClassifier(n_estimators=3, enable_categorical=True, max_cat_to_onehot=2, n_jobs=1)
    grown.fit(mixed, target(mixed, "binary"))
    saved = json.loads(grown.get_booster().save_raw("json"))
    trees = saved["learner"]["gradient_booster"]["model"]["trees"]
    every = max(len(tree["categories"]) for tree in trees)
    for tree in trees:
        tree["categories_segments"] = [0] * len(tree["categories_segments"])
        tree["categories_sizes"] = [len(tree["categories"])] * len(tree["categories_sizes"])
    (tmp_path / "model.json").write_text(json.dumps(saved))
    constant_and_codes()[1].save_model(tmp_path / "model.txt")
    for file, most in (
        ("model.json", every),
        ("model.txt", 6),
    ):  # that one has six categories, in all its trees
        monkeypatch.setattr("bessemer.importers.models.categories._MOST_CODES", most)
        with pytest.raises(FormatError, match="sets of the model have"):
            imported(tmp_path / file)
    check_codes(6)


def test_catboost_with_a_column_of_a_huge_number_is_refused(digits: pd.DataFrame, tmp_path: Path) -> None:
    grown = catboost.CatBoostRegressor(iterations=2, thread_count=1, verbose=0, allow_writing_files=False)
    grown.fit(digits, target(digits, "regression")).save_model(str(tmp_path / "model.json"), format="json")
    saved = json.loads((tmp_path / "model.json").read_text())
    saved["features_info"]["float_features"][0]["flat_feature_index"] = 10**12
    (tmp_path / "model.json").write_text(json.dumps(saved))
    with pytest.raises(BessemerError, match="takes 1,000,000,000,001 columns"):
        imported(tmp_path / "model.json")
