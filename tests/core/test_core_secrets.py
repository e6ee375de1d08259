"""Secrets stand in the environment alone, and nothing that was read from there is shown."""

from __future__ import annotations

import base64
import json
import logging
import re
import sys
import threading
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from bessemer.core import project_file, redaction
from bessemer.core.errors import BessemerError, Fault, ProjectError, UsageError
from bessemer.core.redaction import hidden, hidden_in, remember, remember_environment
from bessemer.core.secrets import expanded, secret
from bessemer.flow import sections

PASSWORD = 'gr"üß/e+von%40 W&7x\\'


@pytest.fixture(autouse=True)
def _nothing_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test has as a secret is none to the next."""
    monkeypatch.setattr(redaction, "_secrets", {})
    monkeypatch.setattr(redaction, "_pattern", None)


def faults_of(folder: Path, text: str) -> list[Fault]:
    path = folder / "bessemer.yaml"
    path.write_text(f"data: d.csv\ntarget: y\n{text}" if "data:" not in text else text, "utf-8")
    with pytest.raises(ProjectError) as caught:
        project_file.load(path, sections())
    return list(caught.value.faults)


def loads(folder: Path, text: str) -> None:
    path = folder / "bessemer.yaml"
    path.write_text(f"target: y\n{text}", "utf-8")
    project_file.load(path, sections())


# what is taken out ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "written",
    [
        PASSWORD,
        quote(PASSWORD),
        quote(PASSWORD, safe=""),
        re.sub("%..", lambda code: code[0].lower(), quote_plus(PASSWORD)),
        quote_plus(PASSWORD),
        repr(PASSWORD),
        repr(PASSWORD.encode()),
        repr({"dsn": f"it's {PASSWORD}"}),
        repr(f'say "{PASSWORD}"'.encode()),
        json.dumps(PASSWORD),
        json.dumps(PASSWORD, ensure_ascii=False),
        json.dumps({"error": json.dumps(PASSWORD)}),
    ],
)
def test_a_secret_is_taken_out_however_it_is_written(written: str) -> None:
    remember(PASSWORD)
    said = hidden(f"cannot log in with <{written}>")
    assert "von" not in said
    assert said.startswith("cannot log in with <")


@pytest.mark.parametrize("user", ["", "m", "me", "me2", "somebody"])
def test_a_secret_is_taken_out_of_basic_authentication(user: str) -> None:
    """Base64 has three ways to write it, as what stands before it is long."""
    remember("tr0ub4dor&3-basic")
    sent = base64.b64encode(f"{user}:tr0ub4dor&3-basic".encode()).decode()
    shown = hidden(f"sent {sent} to host")
    assert "***" in shown
    rest = shown.removeprefix("sent ").removesuffix(" to host").replace("***", "")
    assert len(rest) <= len(sent) - 4 * len("tr0ub4dor&3-basic") // 3 + 4  # but for a letter at each end


def test_short_passwords_are_taken_out_of_urls_and_headers() -> None:
    assert hidden("postgres://me:x@h/db and ftp://a:b@c") == "postgres://me:***@h/db and ftp://a:***@c"
    assert hidden("postgres://me:p@ss@h/db") == "postgres://me:***@h/db"
    for line in (
        "Authorization: Basic eDp5",
        '{"authorization": "Bearer abc"}',
        "b'Authorization: Token q9'",
    ):
        assert "***" in hidden(line)
        assert not any(word in hidden(line) for word in ("eDp5", "abc", "q9"))
    for said in ("export X='authorization=Bearer%20...'", "write Authorization: Bearer ${TOKEN}"):
        assert hidden(said) == said
    assert "abc" not in hidden("GET https://h/data.csv?x=1&X-Amz-Signature=abc&y=2")


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("postgres://me:inner-part-1@h/db", "inner-part-1"),
        ("postgres://me:inner%2Dpart-2@h/db", "inner-part-2"),
        ("host=h user=me password=inner-part-3 dbname=d", "inner-part-3"),
        ("Server=h;Uid=me;Pwd=inner-part-4;", "inner-part-4"),
        ("authorization=Bearer inner-part-5,x-team=a", "inner-part-5"),
        ('{"type": "service_account", "private_key": "inner-part-6"}', "inner-part-6"),
        ("https://hooks.example.org/services/T0/inner-part-8", "inner-part-8"),
        ("-----BEGIN KEY-----\ninner-part-7-of-a-key\n-----END KEY-----", "inner-part-7-of-a-key"),
    ],
)
def test_the_secret_in_a_secret_is_taken_out_alone(value: str, part: str) -> None:
    remember(value)
    assert hidden(f"<{part}>") == "<***>"


def test_what_stands_in_every_text_is_left_there() -> None:
    for word in ("abc", "true", "localhost", "None", "pass"):
        remember(word)
    assert hidden("abc is true at localhost: None") == "abc is true at localhost: None"
    assert hidden("passwords: pass, me:pass@h") == "passwords: ***, me:***@h"


def test_plain_data_keep_their_shape() -> None:
    remember("swordfish-1")
    value = {"swordfish-1": 3, "b": ["a swordfish-1", {"c": ("swordfish-1", 2)}], "d": None, "e": 1.5}
    assert hidden_in(value) == {"swordfish-1": 3, "b": ["a ***", {"c": ("***", 2)}], "d": None, "e": 1.5}


def test_errors_and_faults_are_made_without_secrets() -> None:
    remember("swordfish-2")
    error = BessemerError("no swordfish-2", why="swordfish-2 is wrong", fix="try swordfish-2")
    fault = Fault("a.b", 3, "not 'swordfish-2'", "leave swordfish-2 out")
    assert "swordfish" not in f"{error} {error!r} {error.args} {fault} {fault!r} {ProjectError([fault])}"


def test_secrets_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", "swordfish-3/x")
    assert expanded("postgres://me:${SHOP_PASSWORD}@h/db") == "postgres://me:swordfish-3%2Fx@h/db"
    assert (
        expanded("https://${SHOP_PASSWORD}@h/${SHOP_PASSWORD}") == "https://swordfish-3%2Fx@h/swordfish-3/x"
    )
    assert expanded("host=h password=${SHOP_PASSWORD}") == "host=h password=swordfish-3/x"
    assert hidden("FATAL: swordfish-3/x, swordfish-3%2Fx") == "FATAL: ***, ***"
    assert secret("SHOP_PASSWORD", "a password") == "swordfish-3/x"
    monkeypatch.setenv("LOGIN", "me:p@ss-word")
    assert expanded("https://${LOGIN}@h/") == "https://me:p%40ss-word@h/"
    monkeypatch.setenv("SHOP_PASSWORD", "  ")
    with pytest.raises(UsageError, match=r"SHOP_PASSWORD is not set(?s:.*)export SHOP_PASSWORD="):
        secret("SHOP_PASSWORD", "a password")
    with pytest.raises(
        ProjectError, match=r"acquire\.sources\.shop: the environment variable NO_SUCH is not set"
    ):
        expanded("${NO_SUCH}", "acquire.sources.shop")


def test_a_password_that_is_composed_is_known_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRST_HALF", "sword")
    monkeypatch.setenv("SECOND_HALF", "fisch")
    expanded("postgres://me:${FIRST_HALF}_${SECOND_HALF}@h/db")
    assert hidden("sword_fisch") == "***"


def test_what_platforms_read_by_themselves_is_known_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("PGPASSWORD", "HF_TOKEN", "SHOP_PWD", "AZURE_STORAGE_KEY", "QUEUE_CONNECTION_STRING")
    secrets = {name: f"swordfish-{name.lower()}" for name in names}
    secrets["AWS_SECRET_ACCESS_KEY"] = (
        "/swordfish/bPxRfi" + "CYEX" * 100
    )  # begins as a path, too long for one
    (tmp_path / "a-secret").touch()
    others = {
        "GOOGLE_APPLICATION_CREDENTIALS": "/home/me/key-of-google.json",
        "TOKENIZERS_PARALLELISM": "parallelism-1",
        "DB_PASSWORD_FILE": "file-with-password",
        "MY_SECRET": str(tmp_path / "a-secret"),
        "A_TOKEN": "short",
        "PWD": str(tmp_path / "gone"),
        "A_PROXY": "http://me:small@proxy.example.org",
        "DATABASE_URL": "postgres://me:swordfish-url@db.example.org/shop",
    }
    for name, value in {**secrets, **others}.items():
        monkeypatch.setenv(name, value)
    remember_environment()
    assert {hidden(value) for value in secrets.values()} == {"***"}
    assert hidden("swordfish-url") == "***"
    assert hidden(others.pop("DATABASE_URL")) == "postgres://me:***@db.example.org/shop"
    assert hidden(others.pop("A_PROXY")) == "http://me:***@proxy.example.org"
    assert {hidden(value) for value in others.values()} == set(others.values())
    assert hidden("a small file") == "a small file"


def test_secrets_that_many_threads_read_at_once_are_all_known() -> None:
    secrets = [f"swordfish-of-{number}-threads" for number in range(64)]
    threads = [threading.Thread(target=remember, args=(secret,)) for secret in secrets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {hidden(secret) for secret in secrets} == {"***"}


# who else writes --------------------------------------------------------------------------------------
def test_log_records_of_any_library_are_without_secrets(caplog: pytest.LogCaptureFixture) -> None:
    remember("swordfish-4")
    log = logging.getLogger("somebody.elses.client")
    with caplog.at_level(logging.DEBUG):
        log.debug("password=%s for %d users", "swordfish-4", 3)
        log.info("connecting to ftp://me:x9@h/")
        log.warning("%s and %s", "swordfish-4")  # one argument is missing
        log.info("nothing at all in %s", {"a": 1})
        try:
            raise ValueError("swordfish-4 was refused")
        except ValueError:
            log.exception("it failed")
    assert "swordfish" not in caplog.text
    assert "x9" not in caplog.text
    assert "password=*** for 3 users" in caplog.text
    assert "ValueError: *** was refused" in caplog.text
    assert caplog.records[3].args == {"a": 1}  # a record without a secret is left as it was


def test_warnings_and_traces_are_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    remember("swordfish-5")

    def fail() -> None:
        raise ValueError("swordfish-5 was refused")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        shown = warnings.formatwarning(UserWarning("swordfish-5 is old"), UserWarning, "a.py", 1)
    assert "UserWarning: *** is old" in shown
    try:
        fail()
    except ValueError as error:
        sys.excepthook(type(error), error, error.__traceback__)
        threading.excepthook(threading.ExceptHookArgs((type(error), error, error.__traceback__, None)))
        sys.unraisablehook(_Unraisable(error))  # type: ignore[arg-type]
    said = capsys.readouterr().err
    assert "swordfish" not in said.replace('raise ValueError("swordfish-5 was refused")', "")
    assert said.count("ValueError: *** was refused") == 3


class _Unraisable:
    err_msg, object = None, None

    def __init__(self, error: BaseException) -> None:
        self.exc_type, self.exc_value, self.exc_traceback = type(error), error, error.__traceback__


def test_a_crash_report_is_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    from bessemer.cli._console import print_json, show_crash

    remember("sword[b]fish-6")
    show_crash(RuntimeError("sword[b]fish-6 at ftp://me:x9@h/"))
    print_json({"rows": 3, "text": "with sword[b]fish-6"})
    shown, told = capsys.readouterr()
    report = Path(told.split(" are in ")[1].strip())
    assert "RuntimeError: *** at ftp://me:***@h/" in report.read_text("utf-8")
    assert "fish" not in report.read_text("utf-8") + shown + told
    assert json.loads(shown) == {"rows": 3, "text": "with ***"}
    report.unlink()


# project files ----------------------------------------------------------------------------------------
TOKENS = {
    "AWS": "AKIA" + "ABCDEFGHIJKLMNOP",
    "GitHub": "ghp_" + "a1B2" * 9,
    "GitLab": "glpat-" + "a1B2" * 5,
    "Slack": "xoxb-" + "12345678-abcdef",
    "Hugging Face": "hf_" + "aBcD" * 9,
    "Google": "AIza" + "a1B2c" * 7,
    "Databricks": "dapi" + "0123456789abcdef" * 2,
    "Stripe": "sk_live_" + "a1B2" * 6,
    "Azure": "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=" + "a1B2" * 21 + "==",
    "JWT": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0In0." + "dBjftJeZ4CVPmB92K27uhbU",
    "private key": "-----BEGIN RSA PRIVATE KEY-----\\nMIIEpAIBAAKCAQEA",
    "signed": "https://h/a.csv?X-Amz-Signature=" + "0123456789abcdef" * 4,
}


@pytest.mark.parametrize("service", list(TOKENS))
def test_tokens_of_well_known_services_are_faults(tmp_path: Path, service: str) -> None:
    (fault, *_) = faults_of(tmp_path, f'description: "made with {TOKENS[service]}"\n')
    assert (fault.path, fault.line) == ("description", 3)
    assert service in fault.what
    assert "${DESCRIPTION}" in fault.fix
    assert TOKENS[service][-12:] not in str(fault)


def test_every_secret_of_a_file_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    text = """\
target: y
acquire:
  sources:
    shop:
      sql: "mysql://reader:0pen-sesame@db/shop"
      table: orders
    lake: {csv: "s3://bucket/a.csv", secret_access_key: 0pen-sesame-2}
    page: {csv: "https://h/a.csv?x=1&token=0pen-sesame-3"}
    rest:
      csv: "https://h/a.csv"
      headers: {Authorization: Bearer 0pen-sesame-4}
  sql: |
    select * from shop
    -- from postgres://me:0pen-sesame-5@db/shop
# the old one: ftp://me:0pen-sesame-6@h/
data: d.csv
"""
    found: dict[int | None, str] = {}
    for fault in faults_of(tmp_path, text):
        if "unknown key" not in fault.what:
            found[fault.line] = f"{found.get(fault.line, '')} {fault}"
    assert sorted(found) == [5, 7, 8, 11, 14, 15]
    assert "sesame" not in " ".join(found.values())
    assert "scheme://me:${PASSWORD}@host" in found[5]
    assert "`secret_access_key: ${SECRET_ACCESS_KEY}`" in found[7]
    assert "token=${TOKEN}" in found[8]
    assert "`Authorization: Bearer ${AUTHORIZATION}`" in found[11]
    assert "in a comment" in found[15]


@pytest.mark.parametrize(
    "sources",
    [
        "sources: {shop: {sql: 'mysql://reader:0pen-sesame@db/shop', table: orders}}",
        "sources: {shop: {sql: 'host=h user=me password=0pen-sesame', table: orders}}",
    ],
)
def test_one_password_is_one_fault(tmp_path: Path, sources: str) -> None:
    (fault,) = faults_of(tmp_path, f"acquire:\n  {sources}\n")
    assert "PASSWORD}" in fault.fix


@pytest.mark.parametrize(
    "text",
    [
        "acquire: {sources: {a: {sql: 'postgres://me:${PASSWORD}@h/db', table: t}}}",
        "acquire: {sources: {a: {sql: 'postgres://me@h/db', table: password}}}",
        "acquire: {sources: {a: {sql: '${DATABASE_URL}', query: \"select * from t where token = 'x' and pwd = y\"}}}",
        "acquire: {sources: {a: {elasticsearch: 'https://h:9200', index: i, username: me, password_env: PW}}}",
        "acquire: {sources: {a: {csv: 'https://h:8080/users/@me/a.csv?page=1'}}}",
        "data: 'http://h/a.csv?key=5&tokens=9'",
        "data: s3://bucket/token=5/password.csv",
        "data: a.csv  # postgres://user:password@host/db would do, or sk-learn, or me@h",
        "data: a.csv\ndescription: the password of a customer is not read; token=abc is",
        'data: a.csv\nprepare: {derive: {password: "length(pass_word)", token: "a + 1"}}',
        "data: a.csv\nprepare: {derive: {host: \"regexp_extract(url, '://([^:]+):([^@]+)@')\"}}",
        "data: a.csv\nmonitor: {alerts: [{email: {host: h, sender: a@b.c, to: [d@e.f], "
        "username: me, password_env: PW}}]}",
        "data: a.csv\nmonitor: {alerts: [{kafka: {servers: 'h:1', topic: t, config: {ssl.key.location: k.pem}, "
        "secrets_env: {sasl.password: PW}}}]}",
        "data: a.csv\nserve: {tls: {certificate: c.pem, key: key.pem}, access: {keys: {env: [KEY_A]}}}",
    ],
)
def test_false_alarms_are_not_raised(tmp_path: Path, text: str) -> None:
    loads(tmp_path, text)


@pytest.mark.parametrize(
    ("key", "value", "wrong"),
    [
        ("token", "google_default", False),
        ("token", True, False),
        ("token", None, False),
        ("token", "${HF}", False),
        ("credentials", "keys/reader.json", False),
        ("max_token", 8192, False),
        ("Authorization", "Bearer ${TOKEN}", False),
        ("password_env", "PW", False),
        ("password", "pw1", True),
        ("password", 12345, True),
        ("password", "${A}b", True),
        ("sasl.password", "abc", True),
        ("X-Api-Key", "abc", True),
        ("client_secret", "abc", True),
    ],
)
def test_settings_that_are_called_as_secrets(tmp_path: Path, key: str, value: Any, wrong: bool) -> None:
    """What an option of a source may be called: known to it or not, a value there is told of."""
    options = json.dumps({"csv": "a.csv", "storage": {key: value}})
    found = faults_of(tmp_path, f"data: d.csv\ntarget: y\nacquire: {{sources: {{a: {options}}}}}\n")
    assert any("value in the project file" in fault.what for fault in found) is wrong
