"""Files that are no tool's, or are broken in any way: an error with a reason, never a crash."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from importers_support import imported

from bessemer.api import import_project
from bessemer.core.errors import EnvironmentFault, ProjectError, UsageError

#: name -> (content, words that must stand in the error)
REFUSED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty"),
    "only a comment": (b"# nothing\n", "empty"),
    "empty mapping": (b"{}", "empty"),
    "a list": (b"- a\n- b\n", "not a mapping"),
    "a word": (b"hello", "not a mapping"),
    "not YAML": (b"a: [1\nb: }", "line 2"),
    "not JSON": (b'{"model": {"type": }', "not YAML"),
    "not text": (b"\xff\xfe\x00", "UTF-8"),
    "half a character": (b'model: {type: "\\ud800"}\ntarget: y', "character"),
    "a key twice": (b"model: {type: regression}\nmodel: {type: regression}\n", "twice"),
    "huge": (b"input_features:\n" + b"- {name: c, type: number}\n" * 50_000, "larger than"),
    "deep": (b"[" * 100_000, "too deep"),
    "deep blocks": (b"- " * 100_000, "too deep"),
    "refers to itself": (b"a: &x [*x]", "too large or too deep"),
    "a bomb": (b"a: &a [1,1,1,1,1,1,1,1,1]\n" + b"".join(
        f"{n}: &{n} [{','.join(['*' + p] * 9)}]\n".encode() for p, n in zip("abcdefg", "bcdefgh", strict=True)
    ), "too large or too deep"),
    "wrong types": (b"input_features: 5\noutput_features: {a: 1}\ntrainer: [1]\npreprocessing: x", "should be"),
    "no names": (b"input_features: [1, {}, {name: }]\noutput_features: [{type: 7}]", "should be a mapping"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused_clearly(name: str, tmp_path: Path) -> None:
    content, words = REFUSED[name]
    (tmp_path / "x.yaml").write_bytes(content)
    with pytest.raises(ProjectError) as caught:
        import_project(tmp_path / "x.yaml", data="d.csv", output=tmp_path / "b.yaml")
    assert words in str(caught.value)
    assert not (tmp_path / "b.yaml").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("foo: 1\nbar: 2\n", "its keys are: foo, bar"),
        ("data: a.csv\ntarget: y\ntrain: {}\n", "of Bessemer already"),
    ],
)
def test_an_unknown_tool(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        imported(tmp_path, text)


def test_a_tool_that_is_named_is_believed(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="igel"):
        imported(tmp_path, "input_features: [{name: a, type: number}]", tool="igel", name="igel.yaml")
    with pytest.raises(UsageError, match="did you mean 'ludwig'"):
        imported(tmp_path, "a: 1", tool="ludwik")


def test_a_project_file_that_is_there_stays(tmp_path: Path) -> None:
    text = "model: {type: regression, algorithm: Ridge}\ntarget: y"
    imported(tmp_path, text)
    with pytest.raises(UsageError, match="already"):
        imported(tmp_path, text, force=False)


def test_data_of_no_known_kind(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="--data has 1 fault"):
        imported(tmp_path, "model: {type: regression, algorithm: Ridge}\ntarget: y", data="a.xyz")


def test_a_folder_nobody_may_write_to(tmp_path: Path, read_only_folder: Path) -> None:
    file = read_only_folder.parent / f"{read_only_folder.name}.yaml"
    file.write_text("model: {type: regression, algorithm: Ridge}\ntarget: y")
    with pytest.raises(EnvironmentFault, match="not allowed to write"):
        import_project(file, data="s3://b/d.csv", output=read_only_folder / "b.yaml")
    file.unlink()


LUDWIG: dict[str, Any] = {
    "model_type": "gbm",
    "input_features": [
        {"name": "a b", "type": "number", "column": "c", "preprocessing": {"normalization": "log1p"}},
        {"name": "k", "type": "category", "encoder": "onehot"},
        {"name": "d", "type": "date", "preprocessing": {"missing_value_strategy": "drop_row"}},
        {"name": "p", "type": "image", "encoder": {"type": "vit"}},
    ],
    "output_features": [
        {"name": "y", "type": "category", "loss": {"class_weights": {"a": 1, "b": 2.5}}, "top_k": 3},
        {"name": "z", "type": "text"},
    ],
    "combiner": {"type": "concat", "fc_layers": [{"output_size": 10}, {"output_size": 20}], "dropout": 0.1},
    "trainer": {"num_boost_round": 3, "max_depth": 5, "validation_metric": "roc_auc", "early_stop": 5},
    "defaults": {"category": {"preprocessing": {"most_common": 20}}},
    "preprocessing": {"split": {"type": "datetime", "column": "d", "probabilities": [0.7, 0.1, 0.2]}},
    "hyperopt": {
        "executor": {"num_samples": 3, "time_budget_s": 60},
        "search_alg": "hyperopt",
        "parameters": {"a": 1},
    },
    "backend": {"type": "local"},
}
IGEL: dict[str, Any] = {
    "dataset": {
        "type": "csv",
        "read_data_options": {
            "sep": ";",
            "header": 0,
            "na_values": ["?"],
            "dtype": {"a": "float"},
            "nrows": 10,
        },
        "random_numbers": {"generate_reproducible": True, "seed": 3},
        "split": {"test_size": 0.3, "stratify": "y", "shuffle": False},
        "preprocess": {"encoding": {"type": "labelEncoding", "column": "b"}, "scale": {"method": "minmax"}},
    },
    "model": {
        "type": "classification",
        "algorithm": "LogisticRegression",
        "arguments": {"C": 0.5, "penalty": "l1", "max_iter": 10, "class_weight": "balanced", "n_jobs": 2},
        "cross_validate": {"cv": 3, "scoring": "f1"},
        "use_cv_estimator": True,
    },
    "target": ["y", "z"],
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, item in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from places(item, (*path, key))


def changed(value: Any, path: tuple[Any, ...], to: Any) -> Any:
    if not path:
        return to
    value = copy.deepcopy(value)
    at = value
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = to
    return value


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-10, 10),
    st.sampled_from([10**30, 1e308, 0.5, -0.1]),
    st.sampled_from(
        ["", " ", "x", "None", "auto", "a\nb", '"; drop', "\u2028", "😀\n", "true", "20%", "1e999"]
    ),
    st.sampled_from(
        [[], [1, 2], ["a"], [[]], [{}], [None], {}, {"a": 1}, {"type": "x"}, {"type": []}, {"": ""}]
    ),
)


@pytest.mark.slow
@pytest.mark.parametrize("whole", [LUDWIG, IGEL], ids=["ludwig", "igel"])
@given(data=st.data())
@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_value_anywhere_is_translated_listed_or_refused(
    whole: Any, data: st.DataObject, tmp_path: Path
) -> None:
    """What is written was accepted by the loader of project files; a refusal names the tool's own file."""
    value = changed(whole, data.draw(st.sampled_from(list(places(whole)))), data.draw(JUNK))
    file = tmp_path / "tool.yaml"
    dump = data.draw(st.sampled_from([json.dumps, yaml.safe_dump]))
    file.write_text(dump(value), "utf-8")
    try:
        done = import_project(file, data="d.csv", output=tmp_path / "b.yaml", force=True)
    except UsageError:
        return
    except ProjectError as error:
        located: list[Any] = [fault for fault in error.faults if fault.line or not fault.path]
    else:
        located = [json.dumps(done.to_json())]
    assert located


@pytest.mark.parametrize("whole", [LUDWIG, IGEL], ids=["ludwig", "igel"])
def test_the_whole_files_are_translated(whole: Any, tmp_path: Path) -> None:
    imported(tmp_path, yaml.safe_dump(whole))
