"""What is imported runs: configs as the tools' own documentation has them, on samples of real tables."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest
from importers_support import imported

from bessemer.api import Project, load

pytestmark = pytest.mark.slow

NUMBERS = ("age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week")
CATEGORIES = (
    "workclass",
    "education",
    "marital_status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "native_country",
)

TELCO = (
    "contract kind",
    "tenure",
    "SeniorCitizen",
    "day",
    "MonthlyCharges",
    "InternetService",
    "Contract",
    "PaymentMethod",
)


def features(number: str = "number") -> str:
    lines = [f"  - name: {name}\n    type: {number}" for name in NUMBERS]
    lines += [f"  - name: {name}\n    type: category" for name in CATEGORIES]
    return "\n".join(["input_features:", *lines, ""])


CENSUS = features() + "output_features:\n  - name: income\n    type: category\n"

#: name -> (Ludwig's config or igel's file, the table)
FILES = {
    "adult census": (CENSUS, "adult"),
    "adult census in 0.4": (
        features("numerical")
        + """
output_features:
  - name: income
    type: category
combiner:
  type: tabnet
  size: 24
  num_steps: 5
  relaxation_factor: 1.5
training:
  batch_size: 4096
  epochs: 1
  learning_rate: 0.02
  optimizer:
    type: adam
  decay: true
  validation_metric: accuracy
preprocessing:
  stratify: income
  split_probabilities: [0.6, 0.2, 0.2]
""",
        "adult",
    ),
    "boosting with weights": (
        CENSUS
        + '    loss: {class_weights: {"<=50K": 1, ">50K": 2}}\n'
        + "model_type: gbm\ntrainer: {num_boost_round: 100, num_leaves: 15}\n"
        + "preprocessing: {split: {type: hash, column: native_country}}\n",
        "adult",
    ),
    "titanic's fixed split and a date": (
        """
input_features:
  - {name: contract kind, column: Contract, type: category, encoder: {type: onehot}}
  - {name: tenure, type: number, preprocessing: {missing_value_strategy: fill_with_mean}}
  - {name: SeniorCitizen, type: category}
  - {name: day, type: date, preprocessing: {datetime_format: "%d/%m/%Y", missing_value_strategy: drop_row}}
output_features:
  - {name: Churn, type: binary}
preprocessing: {split: {type: fixed}}
""",
        "telco",
    ),
    "a split by time": (
        """
input_features:
  - {name: MonthlyCharges, type: number}
  - {name: tenure, type: number}
  - {name: InternetService, type: category}
  - {name: Contract, type: category}
  - {name: PaymentMethod, type: category}
output_features:
  - {name: Churn, type: binary}
preprocessing: {split: {type: datetime, column: iso, probabilities: [0.6, 0.2, 0.2]}}
""",
        "telco",
    ),
    "hyperopt": (
        CENSUS
        + """
hyperopt:
  goal: maximize
  metric: roc_auc
  output_feature: income
  parameters:
    trainer.learning_rate: {space: loguniform, lower: 0.001, upper: 0.1}
  search_alg: {type: hyperopt}
  executor: {type: ray, num_samples: 2, time_budget_s: 120}
""",
        "adult",
    ),
    "igel's forest": (
        """
dataset:
    split: {test_size: 0.2, shuffle: True, stratify: default}
    preprocess:
        missing_values: mean
        encoding: {type: oneHotEncoding}
        scale: {method: standard, target: inputs}
model:
    type: classification
    algorithm: RandomForest
    arguments: {n_estimators: 30, max_depth: 12}
target:
    - Churn
""",
        "telco",
    ),
    "igel's search": (
        """
model:
    type: classification
    algorithm: LogisticRegression
    hyperparameter_search:
        method: grid_search
        parameter_grid: {C: [0.1, 1]}
        arguments: {cv: 3, refit: true, verbose: 0}
target:
    - Churn
""",
        "telco",
    ),
    "igel with several targets": (
        "model: {type: regression, algorithm: random forest, arguments: {n_estimators: 15}}\n"
        "target: [price, x, y, z]",
        "diamonds",
    ),
}


def sample(shared: Path, table: str, path: Path, rows: int = 1500) -> None:
    """Rows of a real table, with a fixed split and two forms of a date beside them."""
    with (shared / table / "train.csv").open(newline="") as file:
        head, *body = csv.reader(file)
    chance = random.Random(0)
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow([*head, "split", "day", "iso"])
        for row in chance.sample(body, rows):
            day, month = chance.randint(1, 28), chance.randint(1, 12)
            out.writerow(
                [*row, chance.choice("0000122"), f"{day:02d}/{month:02d}/2021", f"2021-{month:02d}-{day:02d}"]
            )


def run_of(folder: Path, text: str) -> tuple[set[str], str]:
    """Import and run; gives the columns that the packaged model takes, and the learner."""
    found = imported(folder, text)
    project = folder / "bessemer.yaml"
    project.write_text(found.text.replace("budget: 2m", "budget: 2s"), "utf-8")
    run = Project(project).run(track=False)
    assert run.status == "done"
    assert run.package is not None
    learner = found.keys.get("train", {}).get("learner", "")
    return {column.name for column in load(run.package).signature.inputs}, learner


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("name", FILES)
def test_it_runs(name: str, tmp_path: Path, shared: Path) -> None:
    text, table = FILES[name]
    sample(shared, table, tmp_path / "data.csv")
    inputs, _ = run_of(tmp_path, text)
    if "igel" in name:
        assert "several" not in name or not inputs & {"x", "y", "z"}  # the other targets are no features
    else:  # Ludwig's models see the features that are listed, and nothing else of the data
        assert inputs <= {*NUMBERS, *CATEGORIES, *TELCO}


@pytest.mark.usefixtures("network")
def test_a_network_runs(tmp_path: Path, shared: Path) -> None:
    pytest.importorskip("torch")
    sample(shared, "telco", tmp_path / "data.csv")
    text = FILES["a split by time"][0] + "combiner: {type: concat, num_fc_layers: 2, output_size: 32}\n"
    _, learner = run_of(tmp_path, text + "trainer: {epochs: 20, batch_size: 64, learning_rate: 0.01}\n")
    assert learner == "mlp"
