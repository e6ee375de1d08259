"""Ludwig's config: each key of today's and of older versions becomes what it means, or is listed."""

from __future__ import annotations

from pathlib import Path

import pytest
from importers_support import imported

from bessemer.core.errors import ProjectError

FEATURES = """
input_features:
  - {name: age, type: number}
  - {name: job, type: category}
"""
OUTPUT = "output_features: [{name: bought, type: binary}]\n"
SMALL = FEATURES + OUTPUT


def test_only_the_listed_features_are_used_under_their_names(tmp_path: Path) -> None:
    text = """
input_features:
  - {name: hours-per-week, type: numerical}
  - {name: "the job", column: 'j"ob', type: category, encoder: onehot}
  - {name: seen, type: date, preprocessing: {datetime_format: "%d/%m/%Y"}}
  - {name: tags, type: set}
  - {name: note, type: text}
output_features:
  - {name: income, type: category}
"""
    found = imported(tmp_path, text)
    sql = found.keys["acquire"]["sql"]
    assert '"hours-per-week",\n' in sql
    assert '"j""ob" as "the job"' in sql
    assert """try_strptime(cast("seen" as varchar), '%d/%m/%Y')""" in sql
    assert 'cast("income" as varchar) as "income"\nfrom data\n' in sql
    assert found.keys["prepare"]["columns"] == {
        "the job": {"as": "categorical", "encode": ["indicator"]},
        "seen": {"as": "timestamp"},
        "tags": {"as": "text"},
        "note": {"as": "text"},
    }
    assert "task" not in found.keys
    assert "input_features.3.type" in found.approximate


@pytest.mark.parametrize(
    ("kind", "task"), [("binary", "binary"), ("number", "regression"), ("numerical", "regression")]
)
def test_the_output_decides_the_task(kind: str, task: str, tmp_path: Path) -> None:
    found = imported(tmp_path, FEATURES + f"output_features: [{{name: y, type: {kind}}}]")
    assert (found.keys["task"], found.keys["target"]) == (task, "y")


def test_one_of_several_outputs_is_the_target_and_the_others_are_listed(tmp_path: Path) -> None:
    text = (
        FEATURES
        + "output_features: [{name: t, type: text}, {name: y, type: number}, {name: z, type: binary}]"
    )
    found = imported(tmp_path, text)
    assert found.keys["target"] == "y"
    assert {"output_features.0", "output_features.2"} <= set(found.lost)
    assert '"z"' not in found.keys["acquire"]["sql"]
    assert found.lost["output_features.2"].nearest.endswith(", and z in acquire.sql")


def test_features_that_no_table_has_are_left_out_and_listed_with_their_lines(tmp_path: Path) -> None:
    text = (
        "input_features:\n- {name: a, type: number}\n- {name: b, type: image}\n- {name: c, type: sequence}\n"
        + OUTPUT
    )
    found = imported(tmp_path, text)
    assert [(row.path, row.line) for row in found.lost.values()] == [
        ("input_features.1", 3),
        ("input_features.2", 4),
    ]
    assert all(row.nearest for row in found.lost.values())


def test_a_column_that_is_the_target_is_no_feature(tmp_path: Path) -> None:
    found = imported(tmp_path, FEATURES.replace("age", "bought") + OUTPUT)
    assert "input_features.0" in found.lost
    copied = (
        FEATURES.replace("name: age", "name: age, column: y") + "output_features: [{name: y, type: category}]"
    )
    assert "input_features.0" in imported(tmp_path, copied).lost


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        ("model_type: llm\nbase_model: m\n" + SMALL, "model_type", "language model"),
        ("base_model: m\n" + SMALL, "base_model", "language model"),
        ("model_type: gmb\n" + SMALL, "model_type", "did you mean 'gbm'"),
        (SMALL.replace("number", "numbr"), "input_features.0.type", "did you mean 'number'"),
        (SMALL.replace("job", "Age"), "input_features.1.name", "differ by case"),
        (
            SMALL.replace("type: number", "type: image").replace("category", "audio"),
            "input_features",
            "audio, image",
        ),
        (FEATURES + "output_features: [{name: y, type: text}]", "output_features", "are text"),
        (FEATURES + "output_features: []", "output_features", "no output features"),
        (OUTPUT, "input_features", "no input features"),
        (
            SMALL + "preprocessing: {split: {type: stratified}}",
            "preprocessing.split.type",
            "did you mean 'stratify'",
        ),
        (SMALL + "preprocessing: {split: {type: datetime}}", "preprocessing.split.column", "needs a column"),
        (
            SMALL + "preprocessing: {split: {probabilities: [0.5, 0.1]}}",
            "preprocessing.split.probabilities",
            "three",
        ),
        (SMALL + "trainer: 5", "trainer", "a mapping"),
    ],
)
def test_what_cannot_run_is_an_error_with_the_reason(
    text: str, path: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ProjectError) as caught:
        imported(tmp_path, text)
    assert path in {fault.path for fault in caught.value.faults}
    assert words in str(caught.value)
    assert all(fault.line for fault in caught.value.faults if fault.path in ("trainer", "model_type"))
    assert not (tmp_path / "bessemer.yaml").exists()


@pytest.mark.parametrize(
    ("preprocessing", "split"),
    [
        (
            "split: {type: random, probabilities: [0.6, 0.1, 0.3]}",
            {"method": "random", "test": "30%", "valid": "10%"},
        ),
        (
            "split_probabilities: [0.7, 0.1, 0.2]\n  force_split: true",
            {"method": "random", "test": "20%", "valid": "10%"},
        ),
        ("split: {type: stratify, column: bought}", {"method": "stratified"}),
        ("stratify: bought", {"method": "stratified"}),
        ("split: {type: datetime, column: day}", {"by": "day"}),
        ("split: {type: hash, column: customer}", {"group": "customer"}),
        ("split: {type: fixed}", {"given": "split"}),
        ("split: {type: fixed, column: age}", {"given": "age_part"}),
    ],
)
def test_splits(preprocessing: str, split: dict[str, str], tmp_path: Path) -> None:
    found = imported(tmp_path, SMALL + f"preprocessing:\n  {preprocessing}\n")
    assert found.keys["prepare"]["split"] == split


def test_a_column_that_only_splits_is_no_feature(tmp_path: Path) -> None:
    found = imported(tmp_path, SMALL + "preprocessing: {split: {type: datetime, column: day}}")
    assert found.keys["prepare"]["exclude"] == ["day"]
    assert 'as timestamp) as "day"' in found.keys["acquire"]["sql"]


def test_a_category_that_orders_the_split_is_read_twice(tmp_path: Path) -> None:
    found = imported(tmp_path, SMALL + "preprocessing: {split: {type: datetime, column: job}}")
    assert found.keys["prepare"]["split"] == {"by": "job_split"}


def test_what_a_split_here_cannot_do_is_listed(tmp_path: Path) -> None:
    found = imported(
        tmp_path, SMALL + "preprocessing: {split: {type: stratify, column: job}, force_split: false}"
    )
    assert "preprocessing.split" in found.lost
    found = imported(tmp_path, SMALL + "preprocessing: {split: {probabilities: [0.8, 0.2, 0.0]}}")
    assert "preprocessing.split.probabilities" in found.approximate


def test_missing_values(tmp_path: Path) -> None:
    text = """
input_features:
  - {name: a, type: number, preprocessing: {missing_value_strategy: drop_row, normalization: log1p}}
  - {name: b, type: number, preprocessing: {missing_value_strategy: backfill}}
  - {name: c, type: category}
  - {name: d, type: category, preprocessing: {missing_value_strategy: fill_with_const, fill_value: x}}
defaults:
  category: {preprocessing: {missing_value_strategy: drop_row, most_common: 50}}
"""
    found = imported(tmp_path, text + OUTPUT)
    assert 'where "a" is not null\n  and "c" is not null\n' in found.keys["acquire"]["sql"]
    assert found.keys["prepare"]["max_categories"] == 50
    assert {
        "input_features.0.preprocessing.normalization",
        "input_features.1.preprocessing.missing_value_strategy",
    } == set(found.lost)
    assert "input_features.3.preprocessing.missing_value_strategy" in found.approximate


def test_the_first_keys_of_all(tmp_path: Path) -> None:
    text = """
input_features:
- {missing_value_strategy: drop_row, name: Age, type: numerical}
- {name: Embarked, representation: sparse, type: category, preprocessing: {tokenizer: untokenized}}
training: {validation_field: combined, validation_measure: accuracy}
"""
    found = imported(tmp_path, text + OUTPUT)
    assert 'where "Age" is not null' in found.keys["acquire"]["sql"]
    assert found.keys["prepare"]["columns"]["Embarked"] == {"as": "categorical", "encode": ["indicator"]}
    assert found.keys["train"] == {"metric": "accuracy"}
    assert not found.lost


def test_older_defaults_stand_under_preprocessing(tmp_path: Path) -> None:
    old = (
        SMALL + "preprocessing:\n  numerical: {missing_value_strategy: drop_row}\n  text: {most_common: 30}\n"
    )
    found = imported(tmp_path, old)
    assert 'where "age" is not null' in found.keys["acquire"]["sql"]
    assert found.keys["prepare"]["text"] == {"words": 30}
    assert not found.lost


def test_boosting(tmp_path: Path) -> None:
    text = """
model_type: gbm
trainer:
  num_boost_round: 300
  learning_rate: 0.04
  num_leaves: 31
  early_stop: 4
  boosting_rounds_per_checkpoint: 10
  boosting_type: goss
  min_data_in_leaf: 0
  cat_smooth: 3
  validation_metric: roc_auc
"""
    found = imported(tmp_path, text + SMALL)
    assert found.keys["train"] == {
        "metric": "roc_auc",
        "learner": "lightgbm",
        "rounds": 300,
        "early_stopping": 40,
        "params": {"learning_rate": 0.04, "num_leaves": 31},
    }
    assert set(found.lost) == {"trainer.boosting_type", "trainer.min_data_in_leaf", "trainer.cat_smooth"}
    assert "between 1 and" in found.lost["trainer.min_data_in_leaf"].why


NETWORK = """
combiner: {type: concat, num_fc_layers: 2, fc_size: 64, dropout: 0.2}
training: {epochs: 20, batch_size: 128, early_stop: 7, learning_rate: 0.001, optimizer: {type: adam}, decay: no}
"""


@pytest.mark.usefixtures("network")
def test_a_network_becomes_a_network(tmp_path: Path) -> None:
    found = imported(tmp_path, SMALL + NETWORK)
    assert found.keys["train"] == {
        "learner": "mlp",
        "early_stopping": 7,
        "params": {"hidden_layers": 2, "hidden_size": 64, "dropout": 0.2, "epochs": 20, "batch_size": 128},
    }
    assert set(found.lost) == {"training.learning_rate", "training.optimizer"}
    assert found.approximate["combiner"].became == "train.learner: mlp"


@pytest.mark.usefixtures("network")
def test_other_combiners_have_no_counterpart(tmp_path: Path) -> None:
    found = imported(
        tmp_path, SMALL + "combiner: {type: tabnet, size: 24, output_size: 26}\ntrainer: {epochs: 1}"
    )
    assert found.keys["train"] == {"learner": "mlp", "params": {"epochs": 1}}
    assert set(found.lost) == {"combiner.type", "combiner.size", "combiner.output_size"}


@pytest.mark.usefixtures("bare")
def test_without_its_libraries_the_file_still_runs_and_says_what_to_install(tmp_path: Path) -> None:
    found = imported(tmp_path, SMALL + NETWORK)
    assert "learner" not in found.keys.get("train", {})
    assert "pip install 'bessemer[torch]'" in found.approximate["combiner"].why
    found = imported(
        tmp_path, SMALL + "hyperopt: {parameters: {trainer.learning_rate: {}}, search_alg: optuna}"
    )
    assert found.keys["train"]["automl"]["search"] == "none"
    assert "pip install 'bessemer[search]'" in found.approximate["hyperopt.search_alg"].why


def test_a_file_without_a_network_gets_the_better_of_two_learners(tmp_path: Path) -> None:
    found = imported(tmp_path, SMALL)
    assert "train" not in found.keys
    assert found.approximate["model_type"].became == "train.learner: auto"
    assert found.approximate["model_type"].line is None


@pytest.mark.parametrize(
    ("hyperopt", "automl"),
    [
        (
            "{executor: {type: ray, num_samples: 8, time_budget_s: 1800, scheduler: {type: async_hyperband}},"
            " search_alg: {type: hyperopt}, parameters: {trainer.learning_rate: {space: loguniform}}}",
            {"budget": "30m", "search": "asha", "trials": 8},
        ),
        ("{sampler: {type: grid}, executor: {type: serial}}", {"budget": "2m", "search": "grid"}),
        ("{sampler: {type: random, num_samples: 5}}", {"budget": "2m", "search": "random", "trials": 5}),
        (
            "{executor: {type: optuna, sampler: cmaes, time_budget_s: 90}}",
            {"budget": "90s", "search": "cmaes"},
        ),
        ("{search_alg: {type: variant_generator}, goal: minimize}", {"budget": "2m", "search": "random"}),
    ],
)
def test_hyperopt_becomes_automl(hyperopt: str, automl: dict[str, object], tmp_path: Path) -> None:
    found = imported(tmp_path, SMALL + f"hyperopt: {hyperopt}\n")
    assert found.keys["train"]["automl"] == automl
    found = imported(
        tmp_path, SMALL + f"model_type: gbm\nhyperopt: {hyperopt}\ntrainer: {{learning_rate: 0.1}}"
    )
    assert found.keys["train"]["automl"] == {**automl, "learners": ["lightgbm"], "members": 1}
    assert found.lost["trainer.learning_rate"].why == "the search finds it"


def test_a_grid_has_a_trial_for_each_combination(tmp_path: Path) -> None:
    text = """
hyperopt:
  executor: {num_samples: 1}
  parameters:
    income.num_fc_layers: {space: grid_search, values: [2, 4, 6, 8]}
    trainer.learning_rate: {space: grid_search, values: [0.001, 0.003, 0.007]}
  search_alg: {type: variant_generator, random_state: 1919}
"""
    found = imported(tmp_path, SMALL + text)
    assert found.keys["train"]["automl"] == {"budget": "2m", "search": "grid", "trials": 12}
    assert found.lost["hyperopt.search_alg.random_state"].nearest == "seed"
    assert found.lost["hyperopt.parameters.trainer.learning_rate"].line == 11


def test_no_hyperopt_is_no_search(tmp_path: Path) -> None:
    assert "train" not in imported(tmp_path, SMALL + "hyperopt: {}").keys
    assert "train" not in imported(tmp_path, SMALL + "hyperopt:").keys


def test_the_loss_and_weights_of_the_output(tmp_path: Path) -> None:
    output = """
output_features:
  - name: y
    type: category
    calibration: true
    top_k: 3
    loss: {type: softmax_cross_entropy, class_weights: {"<=50K": 1, ">50K": 2.5}, confidence_penalty: 1}
    num_fc_layers: 1
"""
    found = imported(tmp_path, FEATURES + output)
    assert found.keys["train"] == {"calibrate": "sigmoid", "class_weight": {"<=50K": 1, ">50K": 2.5}}
    assert set(found.lost) == {
        "output_features.0.loss.confidence_penalty",
        "output_features.0.top_k",
        "output_features.0.num_fc_layers",
    }
    output = "output_features: [{name: y, type: number, loss: {type: mean_absolute_error}, clip: [0, 1]}]"
    assert imported(tmp_path, FEATURES + output).keys["train"] == {"metric": "mae"}
    for weights in ("[1, 2]", "{a: .inf}", "{a: .nan}", "{a: -1}"):
        output = f"output_features: [{{name: y, type: category, loss: {{class_weights: {weights}}}}}]"
        assert "output_features.0.loss.class_weights" in imported(tmp_path, FEATURES + output).lost


def test_the_positive_class_and_its_weight(tmp_path: Path) -> None:
    output = "output_features: [{name: y, type: binary, loss: {positive_class_weight: 3}%s}]"
    named = imported(tmp_path, FEATURES + output % ", preprocessing: {fallback_true_label: ill}")
    assert named.keys["annotate"] == {"positive": "ill"}
    assert named.keys["train"]["class_weight"] == {"ill": 3}
    assert "output_features.0.loss.positive_class_weight" in imported(tmp_path, FEATURES + output % "").lost


def test_sampling_weights_classes(tmp_path: Path) -> None:
    found = imported(tmp_path, SMALL + "preprocessing: {oversample_minority: 1.0, sample_ratio: 0.5}")
    assert found.keys["train"] == {"class_weight": "balanced"}
    assert set(found.lost) == {"preprocessing.sample_ratio"}


def test_metrics_that_do_not_fit_are_listed(tmp_path: Path) -> None:
    for metric in ("root_mean_squared_error", "hits_at_k"):
        found = imported(tmp_path, SMALL + f"trainer: {{validation_metric: {metric}}}")
        assert "trainer.validation_metric" in found.lost
        assert "metric" not in found.keys.get("train", {})


def test_a_local_backend_is_this_machine_and_others_are_listed(tmp_path: Path) -> None:
    assert not imported(tmp_path, SMALL + "backend: local").lost
    assert "backend" in imported(tmp_path, SMALL + "backend: {type: ray}").lost


def test_what_nobody_knows_is_listed(tmp_path: Path) -> None:
    found = imported(tmp_path, SMALL + "colour: red\ntrainer: {speed: 3}\npreprocessing: {taste: x}")
    assert {"colour", "trainer.speed", "preprocessing.taste"} <= set(found.lost)


def test_merge_keys_of_yaml_are_followed(tmp_path: Path) -> None:
    text = """
base: &base {type: number, preprocessing: {missing_value_strategy: drop_row}}
input_features: [{<<: *base, name: a}]
"""
    found = imported(tmp_path, text + OUTPUT)
    assert 'where "a" is not null' in found.keys["acquire"]["sql"]
