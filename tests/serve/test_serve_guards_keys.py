"""API keys: the file, the environment, scopes, expiry, what a client may send."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bessemer.core.errors import ProjectError, UsageError
from bessemer.serve.errors import RequestError
from bessemer.serve.guards.guard import Guard
from bessemer.serve.guards.keyfile import add_key, new_key, read_keys, revoke_key
from bessemer.serve.guards.spec import PUBLIC_PATHS, AccessSpec
from patience import until


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def guard_of(folder: Path, **more: Any) -> Guard:
    return Guard(AccessSpec.model_validate({"keys": {"file": "keys.yaml"}, **more}), folder=folder)


def admit(guard: Guard, headers: dict[str, str] | None = None, path: str = "/predict", **more: Any) -> Any:
    return guard.admit("POST", path, headers or {}, "192.0.2.1", **more)


def refused(guard: Guard, headers: dict[str, str] | None = None, **more: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        admit(guard, headers, **more)
    return caught.value


def header(error: RequestError, name: str) -> str:
    return dict(error.headers)[name]


def test_a_key_is_taken_in_each_way_it_may_be_sent(folder: Path) -> None:
    key = add_key(folder / "keys.yaml", "shop")
    guard = guard_of(folder)
    for headers in (
        {"authorization": f"Bearer {key}"},
        {"authorization": f"bearer   {key} "},
        {"x-api-key": key},
        {"authorization": "Basic dXNlcjpwYXNz", "x-api-key": key},
    ):
        principal = admit(guard, headers)
        assert (principal.name, principal.scopes) == ("shop", {"predict"})


def test_no_key_a_wrong_key_and_a_key_without_the_scope(folder: Path) -> None:
    key = add_key(folder / "keys.yaml", "shop")
    guard = guard_of(folder)
    nobody = refused(guard)
    assert nobody.status == 401
    assert header(nobody, "www-authenticate") == 'Bearer realm="bessemer"'
    for wrong in (new_key(), key[:-1], key + "x", key.upper(), "Ä" * 40, "\ud800", "x" * 100_000, "a.b.c"):
        error = refused(guard, {"x-api-key": wrong})
        assert error.status == 401
        assert 'error="invalid_token"' in header(error, "www-authenticate")
        assert wrong not in str(error)
    lacking = refused(guard, {"x-api-key": key}, scope="admin")
    assert lacking.status == 403
    assert header(lacking, "www-authenticate").endswith('error="insufficient_scope", scope="admin"')


@pytest.mark.parametrize("value", ["Bearer", "Bearer ", "Basic eHl6", "", "Digest x", "Bearer\t"])
def test_an_authorization_without_a_bearer_is_none(value: str, folder: Path) -> None:
    add_key(folder / "keys.yaml", "shop")
    assert "a key is needed" in refused(guard_of(folder), {"authorization": value}).what


def test_the_file_has_no_key_in_it_and_keys_differ(folder: Path) -> None:
    keys = {add_key(folder / "keys.yaml", f"client-{n}") for n in range(5)}
    text = (folder / "keys.yaml").read_text()
    assert len(keys) == 5
    assert all(key not in text and key[4:] not in text for key in keys)
    entries = read_keys(folder / "keys.yaml")
    assert {entry.sha256 for entry in entries} == {hashlib.sha256(key.encode()).hexdigest() for key in keys}


def test_scopes_are_as_given_and_admin_is_not_predict(folder: Path) -> None:
    ops = add_key(folder / "keys.yaml", "ops", scopes=["admin"])
    both = add_key(folder / "keys.yaml", "both", scopes=["predict", "admin"])
    guard = guard_of(folder)
    assert admit(guard, {"x-api-key": ops}, scope="admin").name == "ops"
    assert refused(guard, {"x-api-key": ops}).status == 403
    assert admit(guard, {"x-api-key": both}, scope="admin").scopes == {"predict", "admin"}


def test_a_key_ends_when_it_says(folder: Path) -> None:
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    key = add_key(folder / "keys.yaml", "shop", expires=end)
    now = [end.timestamp() - 1]
    guard = Guard(
        AccessSpec.model_validate({"keys": {"file": "keys.yaml"}}), folder=folder, wall=lambda: now[0]
    )
    assert admit(guard, {"x-api-key": key}).name == "shop"
    now[0] += 1
    assert "expired" in refused(guard, {"x-api-key": key}).what


@pytest.mark.slow
def test_a_running_server_sees_new_and_revoked_keys(folder: Path) -> None:
    path = folder / "keys.yaml"
    first = add_key(path, "first")
    guard = guard_of(folder)
    guard.start()
    try:
        second = add_key(path, "second")
        until(lambda: _opens(guard, second))
        revoke_key(path, "first")
        until(lambda: not _opens(guard, first))
        assert _opens(guard, second)
    finally:
        guard.stop()


def _opens(guard: Guard, key: str) -> bool:
    try:
        admit(guard, {"x-api-key": key})
    except RequestError:
        return False
    return True


def test_a_link_that_is_swapped_counts_as_a_change(folder: Path) -> None:
    (old, new) = (add_key(folder / f"{name}.yaml", "shop") for name in ("old", "new"))
    (folder / "keys.yaml").symlink_to(folder / "old.yaml")
    guard = guard_of(folder)
    (folder / "next").symlink_to(folder / "new.yaml")
    (folder / "next").rename(folder / "keys.yaml")
    guard.refresh()
    assert _opens(guard, new)
    assert not _opens(guard, old)


def test_a_broken_file_leaves_the_keys_and_says_so_once(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = folder / "keys.yaml"
    key = add_key(path, "shop")
    guard = guard_of(folder)
    path.write_text("keys: [{name: shop, sha256: short}]")
    guard.refresh()
    guard.refresh()
    assert _opens(guard, key)
    assert len([record for record in caplog.records if "stay as they were" in record.message]) == 1
    path.unlink()
    guard.refresh()
    assert _opens(guard, key)
    path.write_text("keys: []")
    guard.refresh()
    assert not _opens(guard, key)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("keys: [{name: a}]", "sha256"),
        ("keys:\n- name: a\n  sha256: " + "0" * 63, "line 3"),
        ("keys: [{name: 'a b', sha256: '" + "0" * 64 + "'}]", "keys.0.name"),
        ("keys: [{name: a, sha256: '" + "0" * 64 + "', scopes: [root]}]", "predict"),
        ("keys: [{name: a, sha256: '" + "0" * 64 + "', key: bsk_secret}]", "keys.0.key"),
        ("keys: [{name: a, sha256: '" + "0" * 64 + "', expires: soon}]", "is not a time"),
        (f"keys: [{{name: a, sha256: '{'0' * 64}'}}, {{name: a, sha256: '{'1' * 64}'}}]", "stands twice"),
        (f"keys: [{{name: a, sha256: '{'0' * 64}'}}, {{name: b, sha256: '{'0' * 64}'}}]", "the same key"),
        ("- x", "keys"),
        ("{", "not YAML"),
    ],
)
def test_faults_of_the_file_are_told(text: str, says: str, folder: Path) -> None:
    (folder / "keys.yaml").write_text(text)
    with pytest.raises(ProjectError) as caught:
        guard_of(folder)
    assert says in str(caught.value)
    assert "bsk_secret" not in str(caught.value)


def test_no_file_is_told_with_the_command_that_makes_it(folder: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the key file") as caught:
        guard_of(folder)
    assert "bessemer access add NAME" in caught.value.fix


def test_a_burst_needs_a_limit(folder: Path) -> None:
    add_key(folder / "keys.yaml", "shop", burst=5)
    with pytest.raises(UsageError, match="a burst and no limit"):
        guard_of(folder)


def test_keys_from_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", "s" * 40)
    monkeypatch.setenv("OPS_KEY", " " + "o" * 40 + "\n")
    spec = AccessSpec.model_validate({"keys": {"env": ["SHOP_KEY"], "admin_env": ["OPS_KEY"]}})
    guard = Guard(spec)
    assert admit(guard, {"x-api-key": "s" * 40}).name == "SHOP_KEY"
    assert refused(guard, {"x-api-key": "s" * 40}, scope="admin").status == 403
    assert admit(guard, {"x-api-key": "o" * 40}, scope="admin").scopes == {"predict", "admin"}
    for bad in ("", "short", "with a space " * 5):
        monkeypatch.setenv("SHOP_KEY", bad)
        with pytest.raises(UsageError, match="SHOP_KEY has no key") as caught:
            Guard(spec)
        assert not bad or bad not in str(caught.value)


def test_an_open_server_lets_predict_and_nobody_administer() -> None:
    guard = Guard(AccessSpec())
    assert admit(guard, {"x-api-key": "anything"}).name == ""
    assert refused(guard, scope="admin").status == 403


def test_public_paths_need_no_key_and_nothing_beside_them_opens(folder: Path) -> None:
    add_key(folder / "keys.yaml", "shop")
    guard = guard_of(folder, public=[*PUBLIC_PATHS, "/v2/models/*/ready"])
    for path in (*PUBLIC_PATHS, "/v2/models/churn/ready"):
        assert admit(guard, path=path).name == ""
    for path in (
        "/healthz/", "/healthz/../predict", "/HEALTHZ", "//healthz", "/healthz?", "/v2/models/a/b/ready",
        "/v2/models//ready", "/v2/models/a/ready/x", "/v2/models/a/ready\n", "/x/v2/models/a/ready", "/metrics", "/",
    ):  # fmt: skip
        assert refused(guard, path=path).status == 401, path


def test_anonymous_clients_may_what_is_said(folder: Path) -> None:
    key = add_key(folder / "keys.yaml", "ops", scopes=["admin"])
    guard = guard_of(folder, anonymous=["predict"])
    assert admit(guard).name == ""
    assert refused(guard, scope="admin").status == 401
    assert admit(guard, {"x-api-key": key}, scope="admin").name == "ops"
    assert refused(guard, {"x-api-key": "wrong"}).status == 401


def test_names_in_a_certificate(folder: Path) -> None:
    guard = Guard(AccessSpec.model_validate({"certificates": {"predict": "*", "admin": "ops.example"}}))
    named = admit(guard, certificate="shop\nroot").name
    assert re.fullmatch(r"certificate:shop\?root~[0-9a-f]{8}", named)
    assert named != admit(guard, certificate="shop\troot").name, "two clients never have one name"
    assert refused(guard, certificate="shop", scope="admin").status == 403
    assert admit(guard, certificate="ops.example", scope="admin").scopes == {"predict", "admin"}
    assert refused(guard).status == 401
    add_key(folder / "keys.yaml", "shop")
    assert refused(guard_of(folder), certificate="shop").status == 401
    assert admit(Guard(AccessSpec()), certificate="shop").name == "certificate:shop"


def test_grpc_metadata_is_a_mapping_as_any(folder: Path) -> None:
    key = add_key(folder / "keys.yaml", "shop")
    metadata = (("authorization", f"Bearer {key}"), ("te", "trailers"))
    guard = guard_of(folder)
    name = "/inference.GRPCInferenceService/ModelInfer"
    assert guard.admit("POST", name, dict(metadata), "ipv4:192.0.2.1:50").name == "shop"
