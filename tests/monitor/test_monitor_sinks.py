"""Each sink against a receiver on a real socket: what arrives is what the receiver's own rules ask for."""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import re
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from alert_support import Listener, Request, listening, notice
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from slack_sdk.models.blocks import Block
from smtp_support import Mails, authority
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from bessemer.monitor.alerts.notice import Notice
from bessemer.monitor.plugins import SINKS
from bessemer.monitor.sinks.pagerduty import events_of
from bessemer.monitor.sinks.settings import SinkFault
from bessemer.testing.notice_sinks import CHECKS, Check, check_nobody, check_settings
from patience import PATIENCE

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def sink(kind: str, **settings: Any) -> Any:
    found = SINKS.load(kind)
    return found(found.Settings.model_validate({"timeout": f"{PATIENCE:g}s", **settings}))


@pytest.fixture
def listener() -> Iterator[Listener]:
    with listening() as found:
        yield found


def test_a_webhook_is_signed_as_the_standard_has_it(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGNING", KEY)
    monkeypatch.setenv("HEADERS", "authorization=Bearer x, x-team = night")
    one = sink("webhook", url=listener.url + "/a?b=c", secret_env="SIGNING", headers_env="HEADERS")
    one.send([notice(0), notice(1)])
    first = listener.requests[0]
    assert Verifier(KEY).verify(first.body, first.headers) == notice(0).to_json()
    assert first.headers["webhook-id"] == notice(0).id
    assert (first.path, first.headers["authorization"], first.headers["x-team"]) == (
        "/a?b=c",
        "Bearer x",
        "night",
    )
    with pytest.raises(WebhookVerificationError):
        Verifier(KEY).verify(first.body + b" ", first.headers)
    with pytest.raises(WebhookVerificationError):
        Verifier("whsec_" + "A" * 32).verify(first.body, first.headers)


def test_a_webhook_may_speak_cloud_events(listener: Listener) -> None:
    sink("webhook", url=listener.url, format="cloudevents").send([notice()])
    (request,) = listener.requests
    event = from_http_event(HTTPMessage(request.headers, request.body))
    assert (event.get_id(), event.get_type()) == (notice().id, "io.bessemer.monitor.finding")
    assert event.get_subject() == notice().subject
    assert event.get_time().isoformat() == "2026-03-01T02:00:00+00:00"
    assert event.get_data() == notice().to_json()


@pytest.mark.parametrize(
    ("status", "permanent"),
    [(301, False), (400, True), (401, False), (404, False), (422, True), (429, False), (500, False)],
)
def test_what_an_answer_means(listener: Listener, status: int, permanent: bool) -> None:
    listener.answer = lambda request: (status, b"the reason")
    listener.headers = {"location": listener.url + "/elsewhere", "retry-after": "7"}
    with pytest.raises(SinkFault, match=f"answered {status}") as caught:
        sink("webhook", url=listener.url + "/secret-path").send([notice()])
    assert (caught.value.permanent, caught.value.after, caught.value.delivered) == (permanent, 7, 0)
    assert "the reason" in str(caught.value)
    assert "secret-path" not in str(caught.value)
    assert len(listener.requests) == 1, "a redirect is not followed"


def test_a_drip_is_cut(listener: Listener) -> None:
    """A receiver that sends a byte now and then is as dead as one that says nothing."""
    import socketserver

    over, ended = threading.Event(), []

    class Drip(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 10000\r\n\r\n")
            try:
                for _ in range(round(PATIENCE / 0.1)):
                    self.request.sendall(b" ")
                    if over.wait(0.1):
                        return
            except OSError:
                return
            ended.append(True)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Drip) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        with pytest.raises(SinkFault, match="no complete answer"):
            sink("webhook", url=f"http://127.0.0.1:{server.server_address[1]}", timeout="0.5s").send(
                [notice()]
            )
        assert not ended, "it is at it"
        over.set()
        server.shutdown()


def test_slack_gets_blocks_that_it_takes(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_URL", listener.url + "/services/T/B/X")
    nasty = notice(0, title="<!channel> " + "x" * 400, text="<https://evil|click> & " + "y" * 5000)
    sink("slack", url_env="SLACK_URL").send(
        [nasty, *(notice(i) for i in range(1, 14)), notice(kind="resolved")]
    )
    assert [len(each["blocks"]) for each in listener.bodies()] == [48, 12], "at most 50 a message"
    for message in listener.bodies():
        for block in Block.parse_all(message["blocks"]):
            block.validate_json()  # Slack's own limits
    first = listener.bodies()[0]
    assert "and 11 more" in first["text"]
    body = first["blocks"][1]["text"]["text"]
    assert "<https" not in body
    assert "&lt;https://evil" in body
    assert "`bessemer log tiny`" in first["blocks"][5]["text"]["text"]
    assert "✅" in listener.bodies()[1]["blocks"][8]["text"]["text"]


def test_mattermost_gets_attachments(listener: Listener) -> None:
    sink("slack", url=listener.url, flavour="mattermost").send([notice(text="see **this**")])
    (message,) = listener.bodies()
    (attachment,) = message["attachments"]
    assert (attachment["text"].splitlines()[0], attachment["color"]) == ("see **this**", "#c62828")
    assert "blocks" not in message


def test_slack_text_is_cut_after_it_is_escaped(listener: Listener) -> None:
    """Slack takes 3,000 characters of a section, entities counted as they are written."""
    long = notice(
        title="<!channel> here", text="&" * 1990 + "<!channel>", todo="<" * 800 + "\nbessemer log tiny"
    )
    sink("slack", url=listener.url).send([long])
    (message,) = listener.bodies()
    for block in Block.parse_all(message["blocks"]):
        block.validate_json()
    text = message["blocks"][1]["text"]["text"]
    assert len(text) <= 3000
    assert re.sub(r"&(amp|lt|gt);", "", text).count("&") == 0, "no entity is cut in two"
    assert "<!channel>" not in message["text"], "a notification must not call everybody"
    assert "&lt;!channel&gt;" in message["text"]


def test_mattermost_is_not_made_to_call_or_show_anything(listener: Listener) -> None:
    nasty = "<!channel> @all @here ![x](http://evil/p.png) [click](http://evil)"
    sink("slack", url=listener.url, flavour="mattermost").send(
        [notice(title=nasty, text=nasty, subject=nasty)]
    )
    (message,) = listener.bodies()
    (attachment,) = message["attachments"]
    for shown in (message["text"], *(attachment[name] for name in ("fallback", "title", "text", "footer"))):
        assert "<!" not in shown
        assert not re.search(r"@\w", shown)
        assert not re.search(r"(?<!\\)\[", shown)


class Incidents:
    """What PagerDuty documents of its Events API v2, as an answer: it refuses what it would refuse."""

    def __init__(self) -> None:
        self.open: dict[str, dict[str, Any]] = {}
        self.changes: list[Any] = []
        self.triggered = 0

    def __call__(self, request: Request) -> tuple[int, bytes]:
        event = json.loads(request.body)
        faults = self._faults(event, request.path)
        if faults:
            return 400, json.dumps({"status": "invalid event", "errors": faults}).encode()
        if request.path == "/v2/change/enqueue":
            self.changes.append(event)
        elif event["event_action"] == "resolve":
            self.open.pop(event["dedup_key"], None)
        else:
            self.triggered += 1
            self.open[event["dedup_key"]] = event
        return 202, b'{"status": "success"}'

    def _faults(self, event: dict[str, Any], path: str) -> list[str]:
        faults = [] if len(event.get("routing_key", "")) == 32 else ["Length of 'routing_key' is incorrect"]
        if path == "/v2/enqueue":
            faults += [] if event.get("event_action") in ("trigger", "resolve") else ["event_action"]
            faults += [] if 0 < len(event.get("dedup_key", "")) <= 255 else ["dedup_key"]
        if path != "/v2/enqueue" or event["event_action"] == "trigger":
            payload = event["payload"]
            faults += [] if 0 < len(payload["summary"]) <= 1024 and payload["source"] else ["summary"]
            known = ("critical", "error", "warning", "info")
            faults += [] if path != "/v2/enqueue" or payload["severity"] in known else ["severity"]
        return faults + ([] if len(json.dumps(event)) < 512 * 1024 else ["too large"])


def test_pagerduty_opens_and_resolves_one_incident(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener.answer = incidents = Incidents()
    monkeypatch.setenv("PD_KEY", "k" * 32)
    one = sink(
        "pagerduty", routing_key_env="PD_KEY", url=listener.url + "/", send=["finding", "resolved", "action"]
    )
    one.send([notice(0), notice(1), notice(2, subject="other/" + "z" * 400, title="t" * 3000)])
    assert (incidents.triggered, len(incidents.open)) == (3, 2)
    payload = incidents.open[notice().subject]["payload"]
    assert (payload["severity"], payload["class"]) == ("error", "drift")
    assert "bessemer log tiny" in payload["custom_details"]["todo"]
    assert payload["timestamp"] == "2026-03-01T02:00:00.000000Z"
    one.send([notice(3, kind="resolved"), notice(4, kind="resolved", subject="other/" + "z" * 400)])
    one.send([notice(5, kind="action", severity="info"), notice(6, kind="test")])
    assert incidents.open == {}, "a test does not stay open"
    assert len(incidents.changes) == 1, "an action wakes nobody"
    monkeypatch.setenv("PD_KEY", "short")
    with pytest.raises(SinkFault, match="answered 400") as caught:
        sink("pagerduty", routing_key_env="PD_KEY", url=listener.url).send([notice()])
    assert caught.value.permanent
    assert "short" not in str(caught.value)
    assert [path for path, _ in events_of(notice(kind="action"))] == ["/v2/change/enqueue"]


def test_the_console_writes_lines_for_people_and_machines(capsys: pytest.CaptureFixture[str]) -> None:
    sink("console").send([notice(title="\x1b[31mred\x07")])
    sink("console", format="json").send([notice()])
    out, err = capsys.readouterr()
    assert out == ""
    assert "\x1b" not in err
    assert "error: [31mred" in err
    assert Notice.from_json(json.loads(err.splitlines()[-1])) == notice()


def test_alertmanager_ends_what_has_become_more_severe(listener: Listener) -> None:
    """Its severity is a label, so that it is another alert there."""
    risen = notice(1, severity="critical", body={**notice().body, "was": "warning"})
    sink("alertmanager", url=listener.url).send([notice(0, severity="warning"), risen])
    now = dt.datetime.now(dt.UTC)
    (alerts,) = listener.bodies()
    over = {each["labels"]["severity"]: dt.datetime.fromisoformat(each["endsAt"]) <= now for each in alerts}
    assert over == {"warning": True, "critical": False}


# files -----------------------------------------------------------------------------------------------


def lines(path: Path) -> list[int]:
    return [int(json.loads(line)["event"].split()[1]) for line in path.read_text("utf-8").splitlines()]


def test_a_file_grows_by_whole_lines_and_is_turned(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "told.jsonl"
    one = sink("file", path=str(path), rotate=4096, keep=2)
    for number in range(40):
        one.send([notice(number)])
    files = [path.with_name(path.name + end) for end in (".2", ".1", "")]
    found = [number for file in files for number in lines(file)]
    assert found == list(range(found[0], 40))
    assert all(file.stat().st_size <= 4096 for file in files)
    assert sorted(p.name for p in path.parent.iterdir()) == [
        "told.jsonl",
        "told.jsonl.1",
        "told.jsonl.2",
        "told.jsonl.lock",
    ]


def test_a_file_that_somebody_else_holds_is_tried_again_later(tmp_path: Path) -> None:
    path = tmp_path / "told.jsonl"
    one = sink("file", path=str(path), timeout="0.1s")
    with path.with_name("told.jsonl.lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(SinkFault, match="another process has held") as caught:
            one.send([notice(0)])
        assert not caught.value.permanent
    one.send([notice(0)])
    assert lines(path) == [0]


def test_a_line_that_a_kill_has_cut_is_taken_off(tmp_path: Path) -> None:
    path = tmp_path / "told.jsonl"
    one = sink("file", path=str(path))
    one.send([notice(0), notice(1)])
    for cut in (1, 5, 200):
        with path.open("a") as file:
            file.write(json.dumps(notice(9).to_json())[:cut])
        one.send([notice(2)])
    assert lines(path) == [0, 1, 2, 2, 2]
    path.write_text("somebody else's, without an end", "utf-8")
    one.send([notice(3)])
    assert path.read_text("utf-8").startswith("somebody else's, without an end")


FULL = """
import sys
sys.path.insert(0, sys.argv[2])
from alert_support import notice
from bessemer.monitor.plugins import SINKS
from bessemer.monitor.sinks.settings import SinkFault
kind = SINKS.load("file")
one = kind(kind.Settings(path=sys.argv[1]))
taken = 0
for number in range(100):
    try:
        one.send([notice(number)])
        taken += 1
    except SinkFault as fault:
        assert "cannot be written" in str(fault), fault
print(taken)
"""


@pytest.mark.slow
def test_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    """Files of this process may not grow beyond 10,000 bytes, as on a disk that is full."""
    path = tmp_path / "told.jsonl"
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path), str(Path(__file__).parent)],
        capture_output=True, text=True, check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000)),
    )  # fmt: skip
    taken = int(done.stdout)
    assert 5 < taken < 50
    assert lines(path) == list(range(taken))
    sink("file", path=str(path)).send([notice(500)])
    assert lines(path)[-1] == 500


# mail ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The file of an authority, and what a server at 127.0.0.1 shows."""
    return authority(tmp_path_factory.mktemp("smtp"))


@pytest.fixture
def mails() -> Mails:
    return Mails()


def address(server: Controller) -> dict[str, Any]:
    return {"host": server.hostname, "port": server.server.sockets[0].getsockname()[1]}


def controller(mails: Mails, **settings: Any) -> Controller:
    return Controller(mails, hostname="127.0.0.1", port=0, ready_timeout=PATIENCE, **settings)


def started(server: Controller) -> Controller:
    trial = server._trigger_server

    def tried() -> None:
        server.port = address(server)["port"]  # port 0 is any: the trial is at the one that the system gave
        trial()

    server._trigger_server = tried
    server.start()
    return server


MAIL = {"sender": "bessemer@example.org", "to": ["night@example.org", "day@example.org"]}


def test_a_mail_is_encrypted_and_logged_in_to(
    mails: Mails, certificate: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMTP_PASSWORD", "correct horse")

    def check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(
            success=(data.login, data.password) == (b"bessemer", b"correct horse"), handled=False
        )

    trusted, context = certificate
    server = started(
        controller(mails, tls_context=context, require_starttls=True, authenticator=check, auth_required=True)
    )
    try:
        login = {"username": "bessemer", "password_env": "SMTP_PASSWORD", "authority": str(trusted)}
        sink("email", **address(server), **MAIL, **login).send(
            [notice(0, title="a\nBcc: evil@example.org"), notice(1)]
        )
        monkeypatch.setenv("SMTP_PASSWORD", "wrong")
        with pytest.raises(SinkFault, match="has not taken the mail") as caught:
            sink("email", **address(server), **MAIL, **login).send([notice()])
        assert "wrong" not in str(caught.value)
        with pytest.raises(SinkFault, match="not reached"):
            sink("email", **address(server), **MAIL).send([notice()])
    finally:
        server.stop()
    (envelope,) = mails.taken
    assert envelope.rcpt_tos == MAIL["to"]
    mail = message_from_bytes(envelope.content, policy=policy.default)
    assert mail["Subject"] == "[error] a Bcc: evil@example.org (and 1 more)"
    assert mail["Bcc"] is None
    assert mail["X-Bessemer-Ids"].split() == [notice(0).id, notice(1).id]
    text = mail.get_content()
    assert "the PSI is 0.3" in text
    assert "bessemer log tiny" in text


def test_a_mail_over_tls_from_the_first_byte(mails: Mails, certificate: tuple[Path, Any]) -> None:
    trusted, context = certificate
    server = started(controller(mails, ssl_context=context))
    try:
        one = sink("email", **address(server), **MAIL, security="tls", authority=str(trusted))
        one.send([notice()])
        one.send([notice()])
    finally:
        server.stop()
    ids = [message_from_bytes(each.content)["Message-ID"] for each in mails.taken]
    assert ids[0] == ids[1], "a repetition is known by its name"


def test_a_server_without_encryption_gets_no_mail_unless_one_says_so(mails: Mails) -> None:
    server = started(controller(mails))
    try:
        with pytest.raises(SinkFault, match="has not taken the mail"):
            sink("email", **address(server), **MAIL).send([notice()])
        assert mails.taken == []
        plain = sink("email", **address(server), **MAIL, security="none")
        plain.send([notice()])
        assert len(mails.taken) == 1
        mails.refuse = {"day@example.org"}
        with pytest.raises(SinkFault, match=r"does not take mail for day@example\.org") as caught:
            plain.send([notice(), notice(1)])
        assert caught.value.delivered == 2, "the others have it: it is not sent again for days"
        mails.refuse = set(MAIL["to"])
        with pytest.raises(SinkFault) as caught:
            plain.send([notice()])
        assert caught.value.delivered == 0
    finally:
        server.stop()


def test_a_mail_server_that_says_nothing_is_cut(mails: Mails) -> None:
    import socket

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        settings = {
            "host": "127.0.0.1",
            "port": silent.getsockname()[1],
            "security": "none",
            "timeout": "0.5s",
        }
        with pytest.raises(SinkFault, match=r"not reached|within 0\.5 s"):
            sink("email", **MAIL, **settings).send([notice()])


@pytest.fixture
def places(listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """By sink: settings of a receiver that listens, of one that is not there, and what the first has heard."""
    monkeypatch.setenv("PD_KEY", "k" * 32)
    (tmp_path / "file").write_text("in the way")
    mails = Mails()
    server = started(controller(mails))
    patient = {"timeout": f"{PATIENCE:g}s"}
    there, away = {"url": listener.url, **patient}, {"url": "http://127.0.0.1:9"}

    def posted() -> str:
        return "".join(
            request.body.decode().encode().decode("unicode_escape") for request in listener.requests
        )

    def mailed() -> str:
        parsed = (message_from_bytes(each.content, policy=policy.default) for each in mails.taken)
        return "".join(each.get_content() for each in parsed)

    plain = {**MAIL, "security": "none"}
    yield {
        "webhook": (there, away, posted),
        "slack": (there, away, posted),
        "pagerduty": ({**there, "routing_key_env": "PD_KEY"}, {**away, "routing_key_env": "PD_KEY"}, posted),
        "alertmanager": (there, away, posted),
        "email": ({**plain, **address(server), **patient}, {**plain, "host": "127.0.0.1", "port": 9}, mailed),
        "file": (
            {"path": str(tmp_path / "told.jsonl")},
            {"path": str(tmp_path / "file" / "told.jsonl")},
            lambda: (tmp_path / "told.jsonl").read_text("utf-8"),
        ),
    }
    server.stop()


@pytest.mark.parametrize("kind", ["webhook", "slack", "pagerduty", "alertmanager", "email", "file"])
@pytest.mark.parametrize("check", CHECKS)
def test_the_sinks_conform(check: Check, kind: str, places: Any) -> None:
    check(SINKS.load(kind), *places[kind])


@pytest.mark.slow
def test_kafka_says_that_nobody_is_there() -> None:
    check_nobody(SINKS.load("kafka"), {}, {"servers": "127.0.0.1:9"}, lambda: "")
    check_settings(SINKS.load("kafka"), {"servers": "127.0.0.1:9"}, {}, lambda: "")
