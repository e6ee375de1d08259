"""Copies that have learnt from altered answers are told, per client; models that have not are innocent."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sklearn.ensemble import ExtraTreesClassifier

from bessemer.cli import group
from bessemer.core.errors import DataError, UsageError
from bessemer.package import keys
from bessemer.package.altered_answers import Alteration, row_texts, wrong_class
from bessemer.package.model import load
from bessemer.package.read import PackageContents, read_package
from bessemer.package.records import rows_to_feeds
from bessemer.package.write import write_package
from bessemer.protect.answers import Learnt, learnt
from bessemer.serve.log.entry import Entry
from bessemer.serve.log.prediction_log import PredictionLog
from bessemer.serve.log.spec import LogSpec
from bessemer.testing.models import tiny_members

KEY = b"sixteen bytes or more of a key"
SHARE = 0.03
SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def customers(shared: Path) -> Rows:
    """Real customers, as the tiny model takes them."""
    table = pyarrow.csv.read_csv(shared / "telco" / "train.csv").slice(0, 4000)
    return [
        {
            "tenure": int(row["tenure"]),
            "monthly charges": float(row["MonthlyCharges"]),
            "autopay": "automatic" in row["PaymentMethod"],
            "contract": row["Contract"],
            "désactivé": None,
        }
        for row in table.select(["tenure", "MonthlyCharges", "PaymentMethod", "Contract"]).to_pylist()
    ]


@pytest.fixture(scope="module", params=["binary", "multiclass"])
def served(
    request: Any, customers: Rows, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, PackageContents, Path, dict[str, list[Any]]]:
    """A package, its log with the questions of two clients, and by client what each was answered."""
    folder = tmp_path_factory.mktemp(request.param)
    package = folder / "tiny.bsm"
    write_package(
        package,
        tiny_members(request.param),
        name="tiny",
        version="1.0.0",
        created="2026-01-01T00:00:00Z",
        task=request.param,
        target="churned",
        key=SIGNER,
    )
    contents = read_package(package, trust=[keys.public_of(SIGNER)])
    model = load(package, trust=[keys.public_of(SIGNER)])
    true = model.predict(customers)["prediction"].to_pylist()
    fields, names = contents.signature.inputs, [field.name for field in contents.signature.inputs]
    texts = row_texts(rows_to_feeds(customers, fields), fields, 3)
    given = {}
    with PredictionLog(LogSpec(folder=str(folder / "log"))) as log:
        log.register("tiny", "1.0.0", contents.signature)
        for client, part in (("mallory", slice(0, 2500)), ("shop", slice(1500, 4000))):
            rows, said = customers[part], true[part]
            chosen, shifts = Alteration(KEY, "tiny", SHARE).of(client, texts[part])
            classes = list(contents.signature.classes)
            given[client] = [
                classes[wrong_class(classes.index(one), int(shift), len(classes))] if other else one
                for one, other, shift in zip(said, chosen, shifts, strict=True)
            ]
            outputs = {"prediction": np.array(said)}
            ids = [f"{client}-{i}" for i in range(len(rows))]
            values = [tuple(row[name] for name in names) for row in rows]
            each = [[one] * len(rows) for one in (0.001, client, "plain")]
            log.take(Entry("tiny", "1.0.0", ids, values, None, outputs, time.time(), *each))
    return package, contents, folder / "log", given


def features(rows: Rows) -> np.ndarray:
    contracts = ("Month-to-month", "One year", "Two year")
    return np.array(
        [[r["tenure"], r["monthly charges"], r["autopay"], contracts.index(r["contract"])] for r in rows],
        float,
    )


@contextmanager
def somebody(rows: Rows, answers: list[Any], unsettled: int = 0) -> Iterator[str]:
    """A server of a model that has learnt these answers; of the first rows that it is asked it says another class."""
    model = ExtraTreesClassifier(30, random_state=0).fit(features(rows), np.array(answers))
    classes, asked = model.classes_.tolist(), 0

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            nonlocal asked
            said = model.predict(features(body["rows"])).tolist()
            for i in range(min(len(said), max(0, unsettled - asked))):
                said[i] = classes[(classes.index(said[i]) + 1) % len(classes)]
            asked += len(said)
            text = json.dumps({"predictions": said}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/predict"
        running.shutdown()


@pytest.fixture
def cap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer rows are asked for: what is shown needs no more."""
    monkeypatch.setattr("bessemer.protect.answers.OTHERS", 4)


def by_client(found: list[Learnt]) -> dict[str, Learnt]:
    return {one.client: one for one in found}


@pytest.mark.slow
@pytest.mark.usefixtures("cap")
def test_a_copy_is_told_and_whose_answers_it_learnt(served: Any, customers: Rows, tmp_path: Path) -> None:
    package, contents, log, given = served
    (tmp_path / "answers.key").write_bytes(KEY)
    (tmp_path / "public.pem").write_bytes(keys.public_pem(keys.public_of(SIGNER)))
    with somebody(customers[:2500], given["mallory"]) as url:
        command = [
            "watermark",
            "verify",
            url,
            "--package",
            str(package),
            "--key",
            str(tmp_path / "public.pem"),
        ]
        command += [
            "--answers",
            str(log),
            "--answers-key",
            str(tmp_path / "answers.key"),
            "--share",
            "3%",
            "--json",
        ]
        done = CliRunner().invoke(group, command, catch_exceptions=False)
        (alone,) = learnt(contents, url, log, Alteration(KEY, "tiny", SHARE), ["mallory"])
    clients = {one["client"]: one for one in json.loads(done.stdout)["clients"]}
    mallory, shop = clients["mallory"], clients["shop"]
    assert mallory == alone.to_json(), "who chooses a client pays for all of them"
    assert mallory["owned"]
    assert mallory["log2_p"] < -64
    assert mallory["hits"] / mallory["altered"] > 0.5
    assert mallory["others_hits"] / mallory["others"] < 0.2
    assert not shop["owned"]
    assert shop["log2_p"] > -10


@pytest.mark.usefixtures("cap")
def test_who_learnt_from_true_answers_is_innocent(served: Any, customers: Rows) -> None:
    """Its mistakes are those of our own model."""
    _, contents, log, _ = served
    with somebody(customers, load_answers(contents, customers)) as url:
        found = learnt(contents, url, log, Alteration(KEY, "tiny", SHARE))
    assert not any(one.owned for one in found)
    assert min(one.log2_p for one in found) > -10


@pytest.mark.usefixtures("cap")
def test_who_answers_otherwise_in_the_beginning_is_innocent(served: Any, customers: Rows) -> None:
    """Altered rows must not be asked for first: a cold cache, or a change of the model meanwhile, would be a claim."""
    _, contents, log, _ = served
    with somebody(customers, load_answers(contents, customers), unsettled=60) as url:
        (found,) = learnt(contents, url, log, Alteration(KEY, "tiny", SHARE), ["mallory"])
    assert found.altered > 40
    assert found.others_hits > 12, "so many wrong answers are there"
    assert found.log2_p > -10


@pytest.mark.slow
def test_only_what_this_version_answered_counts(served: Any, customers: Rows, tmp_path: Path) -> None:
    """Another version, or a shadow of it, says other classes, and some that this package does not have."""
    package, contents, _, _ = served
    names = [field.name for field in contents.signature.inputs]
    alteration, kind = Alteration(KEY, "tiny", SHARE), type(contents.signature.classes[0])
    rows, true = customers[:300], load_answers(contents, customers[:300])

    def entry(version: str, said: list[Any], part: Rows) -> Entry:
        values = [tuple(row[name] for name in names) for row in part]
        each = [[one] * len(part) for one in (0.001, "shop", "plain")]
        ids = [f"{version}-{i}-{len(part)}" for i in range(len(part))]
        return Entry("tiny", version, ids, values, None, {"prediction": np.array(said)}, time.time(), *each)

    with PredictionLog(LogSpec(folder=str(tmp_path / "log"))) as log:
        log.register("tiny", "1.0.0", contents.signature)
        log.take(entry("1.0.0", true, rows))
    (alone,) = learnt(contents, str(package), tmp_path / "log", alteration)
    more = replace(contents.signature, classes=(*contents.signature.classes, kind(7)))
    with PredictionLog(LogSpec(folder=str(tmp_path / "log"))) as log:
        log.register("tiny", "2.0.0", more)
        log.take(entry("2.0.0", [kind(7)] * 900, customers[:900]))
    assert learnt(contents, str(package), tmp_path / "log", alteration) == [alone]
    assert alone.skipped == 0
    with PredictionLog(LogSpec(folder=str(tmp_path / "log"))) as log:
        log.register("tiny", "1.0.0", more)
        log.take(entry("1.0.0", [kind(7)] * 50, customers[900:950]))
    (found,) = learnt(contents, str(package), tmp_path / "log", alteration)
    assert (found.skipped, found.altered, found.others) == (50, alone.altered, alone.others)


@pytest.mark.usefixtures("cap")
def test_another_key_shows_nothing(served: Any, customers: Rows) -> None:
    _, contents, log, given = served
    with somebody(customers[:2500], given["mallory"]) as url:
        found = learnt(contents, url, log, Alteration(KEY[::-1], "tiny", SHARE))
    assert not any(one.owned for one in found)
    assert min(one.log2_p for one in found) > -10


def test_our_own_package_is_innocent_and_clients_are_named(served: Any) -> None:
    package, contents, log, _ = served
    alteration = Alteration(KEY, "tiny", SHARE)
    (found,) = learnt(contents, str(package), log, alteration, ["shop"])
    assert (found.client, found.hits, found.owned) == ("shop", 0, False)
    with pytest.raises(UsageError, match="no client 'shopp'"):
        learnt(contents, str(package), log, alteration, ["shopp"])
    with pytest.raises(DataError, match="no client was given an altered answer"):
        learnt(contents, str(package), log, Alteration(KEY, "tiny", 1e-9))


def test_the_command_takes_digits_and_says_whom_it_convinces(served: Any, tmp_path: Path) -> None:
    package, contents, log, _ = served
    (tmp_path / "answers.key").write_bytes(KEY)
    (tmp_path / "public.pem").write_bytes(keys.public_pem(keys.public_of(SIGNER)))
    command = ["watermark", "verify", str(package), "--package", str(package), "--answers", str(log)]
    command += [
        "--key",
        str(tmp_path / "public.pem"),
        "--answers-key",
        str(tmp_path / "answers.key"),
        "--share",
        "3%",
    ]
    done = CliRunner().invoke(group, [*command, "--digits", "1", "--json"], catch_exceptions=False)
    coarse = learnt(contents, str(package), log, Alteration(KEY, "tiny", SHARE, 1))
    found = json.loads(done.stdout)
    assert found["clients"] == [one.to_json() for one in coarse]
    assert "keeps the log and the key" in found["evidence_for"]
    assert coarse != learnt(contents, str(package), log, Alteration(KEY, "tiny", SHARE))
    done = CliRunner().invoke(group, [*command, "--evidence", "evidence.json"])
    assert isinstance(done.exception, UsageError)
    assert "--answers and --evidence" in str(done.exception)


def test_chance_is_not_beaten(served: Any, customers: Rows) -> None:
    """Over many keys the p-values of a model that knows none of them are never smaller than uniform ones."""
    from scipy.stats import binomtest

    from bessemer.protect.answers import _log2_p

    _, contents, _, _ = served
    customers = customers[:500]
    honest = load_answers(contents, customers)
    classes = list(contents.signature.classes)
    mistaken = ExtraTreesClassifier(10, max_depth=3, random_state=0).fit(
        features(customers), np.array(honest)
    )
    said = mistaken.predict(features(customers)).tolist()
    texts = row_texts(rows_to_feeds(customers, contents.signature.inputs), contents.signature.inputs, 3)
    p = []
    for k in range(120):
        chosen, shifts = Alteration(k.to_bytes(32, "big"), "tiny", 0.05).of("shop", texts)
        wrong = [
            classes[wrong_class(classes.index(one), int(shift), len(classes))]
            for one, shift in zip(honest, shifts, strict=True)
        ]
        unique = np.unique(np.array(texts), return_index=True)[1]
        hits = np.array([a == b for a, b in zip(said, wrong, strict=True)])[unique]
        p.append(2 ** _log2_p(hits[chosen[unique]], hits[~chosen[unique]]))
    assert hits.any()
    for level in (0.01, 0.1, 0.5):
        assert binomtest(int((np.array(p) <= level).sum()), len(p), level, "greater").pvalue > 1e-4


def load_answers(contents: PackageContents, rows: Rows) -> list[Any]:
    from bessemer.package.model import Model

    found: list[Any] = Model(contents).predict(rows)["prediction"].to_pylist()
    return found
