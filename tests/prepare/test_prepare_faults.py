"""What a project file may not say beside this data: every fault at once, with its path and the way out."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from bessemer.core.errors import ProjectError
from bessemer.prepare.spec import PrepareSpec

QUERY = "SELECT i AS age, 'c' || i % 4 AS city, i % 2 = 0 AS y, i * 0.5 AS amount FROM range(60) t(i)"


def faults(prepare, spec: dict, task: str = "binary") -> dict[str, str]:
    with pytest.raises(ProjectError) as caught:
        prepare(QUERY, spec=spec, task=task)
    return {fault.path: f"{fault.what} | {fault.fix}" for fault in caught.value.faults}


def test_all_faults_are_reported_at_once_with_the_nearest_names(prepare) -> None:
    found = faults(
        prepare,
        {
            "split": {"by": "aeg"},
            "exclude": ["citty", "y"],
            "derive": {"bad": "nosuch(age)", "leak": "y AND age > 3"},
            "columns": {"amont": {"as": "number"}, "age": {"as": "numbr"}, "city": {"as": "number"}},
        },
    )
    assert set(found) == {
        "prepare.split.by",
        "prepare.exclude.0",
        "prepare.exclude.1",
        "prepare.derive.bad",
        "prepare.columns.amont",
        "prepare.columns.age.as",
        "prepare.columns.city.as",
    }
    assert "did you mean 'age'?" in found["prepare.split.by"]
    assert "did you mean 'city'?" in found["prepare.exclude.0"]
    assert "is the target" in found["prepare.exclude.1"]
    assert "did you mean 'amount'?" in found["prepare.columns.amont"]
    assert "did you mean 'number'?" in found["prepare.columns.age.as"]
    assert "cannot be taken as number" in found["prepare.columns.city.as"]
    assert "categorical, text" in found["prepare.columns.city.as"]


def test_the_target_may_not_be_derived_from(prepare) -> None:
    found = faults(prepare, {"derive": {"leak": "y AND age > 3"}})
    assert "uses the target 'y'" in found["prepare.derive.leak"]


@pytest.mark.parametrize(
    ("split", "path", "words"),
    [
        ({"by": "city"}, "prepare.split.by", "needs a timestamp or a number"),
        ({"given": "age"}, "prepare.split.given", "'train', 'valid' or 'test'"),
        ({"group": "y"}, "prepare.split.group", "is the target"),
    ],
)
def test_columns_of_the_wrong_type_cannot_split(prepare, split: dict, path: str, words: str) -> None:
    assert words in faults(prepare, {"split": split})[path]


def test_stratifying_needs_classes(prepare) -> None:
    with pytest.raises(ProjectError, match="needs classes"):
        prepare(QUERY, target="amount", task="regression", spec={"split": {"method": "stratified"}})


def test_encodings_are_those_of_the_kind(prepare) -> None:
    found = faults(
        prepare,
        {"columns": {"city": {"as": "categorical", "encode": ["ranks"]}, "age": {"encode": ["rank"]}}},
    )
    assert "did you mean 'rank'?" in found["prepare.columns.city.encode.0"]
    assert "needs `as`" in found["prepare.columns.age.encode"]


@pytest.mark.parametrize(
    "spec",
    [
        {"split": {"by": "a", "group": "b"}},
        {"split": {"test": "60%", "valid": "40%"}},
        {"split": {"test": 0}},
        {"split": {"method": "stratifed"}},
        {"folds": 1},
        {"max_categories": 0},
        {"columns": {"a": {"as": "number", "encod": []}}},
        {"columns": {"a": {"as": "categorical", "encode": []}}},
        {"unknown": 1},
    ],
)
def test_what_is_wrong_in_itself_is_refused_without_the_data(spec: dict) -> None:
    with pytest.raises(ValidationError):
        PrepareSpec.model_validate(spec)


def test_shares_are_read_as_people_write_them() -> None:
    spec = PrepareSpec.model_validate({"split": {"by": "at", "test": "20%", "valid": 0.15}})
    assert (spec.split.test, spec.split.valid, spec.split.resolve("binary")) == (0.2, 0.15, "time")
