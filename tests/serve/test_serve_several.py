"""Answers about several targets: the forms that differ from protocol to protocol."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from bessemer.serve.batching import Lane
from bessemer.serve.dialect import Call, Subject
from bessemer.serve.dialects.plain import Plain
from bessemer.serve.dialects.v2 import V2
from bessemer.serve.npy import write_npy, write_npz
from bessemer.serve.openapi import describe
from bessemer.serve.predictor import Predictor
from bessemer.serve.protos import message
from bessemer.serve.record_writer import RecordWriter
from bessemer.serve.recordio import frames, write_recordio
from bessemer.serve.repository import Repository
from bessemer.serve.tensorflow_facts import served_outputs
from bessemer.serve.wire import Batch, Predictions, Request
from bessemer.testing.models import ROWS, TASKS
from bessemer.testing.several import FURTHER, several_session, several_signature

SPEND, PLAN, LATE = FURTHER


def models(task: Any = "binary") -> Repository:
    subject = Subject("tiny", "1.0.0", several_signature(task))
    return Repository(
        subject.spec, [Lane(subject, Predictor(subject.signature, several_session(task), None))]
    )


def predicted(task: Any = "binary") -> Predictions:
    known = models(task)
    subject = known.get()
    values = [tuple(row.get(field.name) for field in subject.signature.inputs) for row in ROWS]
    return known.predictor(subject).predict(Batch(len(ROWS), values))


@pytest.mark.parametrize("task", TASKS)
def test_rows_of_json_name_every_target(task: Any) -> None:
    known, made = models(task), predicted(task)
    rows = [json.loads(row) for row in known.get().writer.rows(made)]
    assert rows == [json.loads(row) for row in known.get().writer.bare(made)], (
        "a number is not bare where there are more"
    )
    for i, row in enumerate(rows):
        assert row[SPEND.prediction] == pytest.approx(float(made.outputs[SPEND.prediction][i]), rel=1e-6)
        assert row[PLAN.prediction] == int(made.outputs[PLAN.prediction][i])
        assert list(row[PLAN.probability]) == ["10", "20", "30"]
        assert row[LATE.probability]["oui"] == pytest.approx(
            float(made.outputs[LATE.probability][i, 1]), rel=1e-6
        )


@pytest.mark.parametrize("task", TASKS)
def test_flat_rows_are_those_of_the_model(task: Any) -> None:
    writer, made = RecordWriter(several_signature(task)), predicted(task)
    names = writer.names(made)
    shares = [f"{PLAN.probability}_{number}" for number in (10, 20, 30)]
    assert list(names[-7:]) == [
        *(SPEND.prediction, PLAN.prediction),
        *shares,
        *(LATE.prediction, LATE.probability),
    ]
    objects = [json.loads(row) for row in writer.objects(made)]
    assert [tuple(row) for row in objects] == [names] * len(ROWS)
    line = writer.lines(made)[0].decode().split(",")
    assert len(line) == len(names)
    assert line[names.index(LATE.prediction)] == objects[0][LATE.prediction]


def test_the_answers_are_as_the_schema_says() -> None:
    import jsonschema

    known = models()
    described = describe(known, [Plain(known)])
    schema = {**described["components"]["schemas"]["Prediction"], "components": described["components"]}
    for row in known.get().writer.rows(predicted()):
        jsonschema.validate(json.loads(row), schema)


def asked(body: dict[str, Any]) -> list[dict[str, Any]]:
    known = models()
    dialect, subject = V2(known), known.get()
    request = dialect.example(subject, [{f.name: ROWS[0].get(f.name) for f in subject.signature.inputs}])
    whole = {**json.loads(request.body), **body}
    call = Call(
        Request("POST", request.path, headers=request.headers, body=json.dumps(whole).encode()),
        "",
        {},
        subject,
    )
    batch = dialect.decode(call)
    answer = dialect.encode(call, batch, known.predictor(subject).predict(batch))
    outputs: list[dict[str, Any]] = json.loads(answer.body)["outputs"]
    return outputs


def test_tensors_are_given_by_name_and_classes_are_those_of_their_target() -> None:
    assert [one["name"] for one in asked({})] == [field.name for field in several_signature("binary").outputs]
    (only,) = asked({"outputs": [{"name": SPEND.prediction}]})
    assert only["shape"] == [1]
    wanted = [
        {"name": name, "parameters": {"classification": 2}}
        for name in ("probability", LATE.probability, PLAN.probability)
    ]
    main, late, plan = (
        [text.rpartition(":")[2] for text in one["data"]] for one in asked({"outputs": wanted})
    )
    assert set(main) == {"no", "yes"}
    assert set(late) == {"non", "oui"}
    assert set(plan) < {"10", "20", "30"}


def test_what_holds_one_array_holds_the_main_target() -> None:
    made = predicted()
    main = {name: made.outputs[name] for name in ("prediction", "probability")}
    assert write_npy(made) == write_npy(Predictions(main))
    assert SPEND.prediction.encode() in write_npz(made)
    assert served_outputs(several_signature("regression"))[:2] == ("prediction", "score")


def test_records_have_labels_for_each_target() -> None:
    made = predicted()
    (first, *_) = frames(write_recordio(made, FURTHER))
    labels = message("aialgs.data.Record").FromString(first).label
    assert set(labels) == {
        *("predicted_label", "score", "score_spend"),
        *(f"{kind}_{one.name}" for kind in ("predicted_label", "score") for one in (PLAN, LATE)),
    }
    np.testing.assert_array_equal(
        labels["score_spend"].float32_tensor.values, made.outputs[SPEND.prediction][:1]
    )
