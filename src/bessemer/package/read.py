"""Reading a package: container, signature, digests, format, graph, in this order; only then is anything built.

Nothing is parsed before its bytes are known to be signed by a trusted key, but the container's own headers and
the 96 bytes of the signature.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from bessemer.core.errors import FormatError, MissingExtra, PackageError, SignatureError, did_you_mean
from bessemer.core.filesystem import extra_of
from bessemer.core.signature import Signature
from bessemer.package import keys
from bessemer.package.container import MAX_BYTES, unpack
from bessemer.package.manifest import Manifest, check_members
from bessemer.package.manifest import parse as parse_manifest

REQUIRED = ("model.json", "model.onnx", "signature.json")
T = TypeVar("T")

#: Told of every check that was passed: its name and what it found.
Passed = Callable[[str, str], None]


@dataclass(frozen=True)
class PackageContents:
    """A package that passed every check.

    members: every signed member's bytes. public_key: the 32 bytes of who signed it.
    """

    manifest: Manifest
    signature: Signature
    members: Mapping[str, memoryview]
    public_key: bytes
    size: int

    def __contains__(self, name: object) -> bool:
        return name in self.members

    def bytes(self, name: str) -> bytes:
        """A member's bytes.

        Raises:
            PackageError: the package has no such member.
        """
        if name not in self.members:
            raise PackageError(f"the package has no '{name}'", fix=did_you_mean(name, self.members))
        return bytes(self.members[name])

    def text(self, name: str) -> str:
        return self.bytes(name).decode("utf-8")

    def json(self, name: str) -> Any:
        """A JSON member's value.

        Raises:
            FormatError: it is not JSON.
        """
        data = self.bytes(name)
        return _built(name, lambda: json.loads(data))


def _built(name: str, build: Callable[[], T]) -> T:
    """What a member holds; a member that does not hold it is a format error."""
    try:
        return build()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(
            f"'{name}' of the package cannot be read",
            why=f"{type(error).__name__}: {str(error)[:200]}",
            fix="build the package again",
        ) from None


def _too_large(where: object) -> FormatError:
    return FormatError(f"'{where}' is larger than the {MAX_BYTES // 2**20} MiB a package may be")


def _fetch(source: str | Path | bytes) -> bytes:
    """The file's bytes: a path, an fsspec URL, or the bytes themselves; never more than MAX_BYTES."""
    if isinstance(source, bytes):
        data = source
    elif "://" in str(source):
        fsspec = _fsspec(str(source).partition("://")[0])
        with fsspec.open(str(source), "rb") as f:
            data = f.read(MAX_BYTES + 1)
    else:
        path = Path(source)
        if path.is_file() and path.stat().st_size > MAX_BYTES:
            raise _too_large(source)
        data = path.read_bytes()
    if len(data) > MAX_BYTES:
        raise _too_large(source)
    return data


def _fsspec(scheme: str) -> Any:
    try:
        import fsspec
    except ModuleNotFoundError:
        raise MissingExtra(f"{scheme}://", "fsspec", extra_of(scheme)) from None
    return fsspec


def _bytes_of(source: str | Path | bytes) -> bytes:
    shown = "these bytes" if isinstance(source, bytes) else str(source)
    try:
        return _fetch(source)
    except FileNotFoundError:
        folder = Path(shown).parent
        near = [p.name for p in folder.glob("*.bsm")] if folder.is_dir() else []
        hint = did_you_mean(Path(shown).name, near) or "`bessemer run` makes one"
        raise PackageError(f"no package '{shown}'", fix=hint) from None
    except (OSError, ImportError, ValueError) as error:
        raise PackageError(
            f"cannot read the package '{shown}'", why=str(error), fix="check the path"
        ) from None


def read_package(
    source: str | Path | bytes,
    *,
    trust: Sequence[bytes] | None = None,
    key: str | Path | None = None,
    passed: Passed = lambda check, found: None,
) -> PackageContents:
    """Open a package after checking all of it.

    Args:
        source: a path, an fsspec URL, or the file's bytes.
        trust: the public keys (32 bytes each) it may be signed with; by default this user's own and trusted ones.
        key: a public key file to trust as well.
        passed: is told of each check that was passed.

    Raises:
        FormatError: not a package, or of an unknown format, or with a graph that is not safe to run.
        SignatureError: the signature is wrong, or by a key that is not trusted.
        IntegrityError: a member differs from what was signed.
        PackageError: the file cannot be read.
    """
    data = _bytes_of(source)
    members = unpack(data)
    for name in ("manifest.json", "manifest.sig"):
        if name not in members:
            raise FormatError(f"the package has no '{name}'", fix="use the file that `bessemer run` made")
    passed("container", f"{len(members)} members, {len(data):,} bytes")
    manifest_bytes = bytes(members.pop("manifest.json"))
    public = keys.check_signature(bytes(members.pop("manifest.sig")), manifest_bytes)
    _check_trust(public, trust, key, source)
    passed("signature", f"Ed25519, key {keys.key_id(public)}")
    manifest = parse_manifest(manifest_bytes)
    passed("format", f"format {manifest.format}, written by Bessemer {manifest.bessemer}")
    check_members(manifest, members)
    passed("digests", f"{len(members)} members as they were signed")
    signature = _check_content(members)
    passed("graph", f"{len(signature.inputs)} inputs, standard operators, nothing outside the file")
    return PackageContents(manifest, signature, members, public, len(data))


def _check_trust(
    public: bytes, trust: Sequence[bytes] | None, key: str | Path | None, source: object
) -> None:
    trusted = list(keys.trusted_keys() if trust is None else trust)
    if key is not None:
        trusted.append(keys.read_public(key))
    if public not in trusted:
        shown = "PACKAGE" if isinstance(source, bytes) else source
        raise SignatureError(
            f"the package is signed by a key that is not trusted here: {keys.key_id(public)}",
            why="the signature is right, but nothing says who made it",
            fix=f"get the signer's public key and run `bessemer verify {shown} --key FILE`, "
            "or `bessemer keys trust FILE` to trust it from now on",
        )


def _check_content(members: Mapping[str, memoryview]) -> Signature:
    from bessemer.package.safety import check_graph, check_signature_of

    for name in REQUIRED:
        if name not in members:
            raise FormatError(f"the package has no '{name}'", fix="build the package again")
    text = bytes(members["signature.json"])
    signature = _built("signature.json", lambda: Signature.from_json(json.loads(text)))
    check_signature_of(check_graph(bytes(members["model.onnx"])), signature)
    return signature


def verify_package(
    source: str | Path | bytes, *, trust: Sequence[bytes] | None = None, key: str | Path | None = None
) -> dict[str, Any]:
    """Check a package without loading the model.

    Returns:
        `file`, the manifest's facts, `key` (id of who signed), `size`, `members` and `checks`, a list of
        {"check", "found"} in the order they were made, as plain JSON data.

    Raises:
        PackageError: it is refused (as `read_package`).
    """
    checks: list[dict[str, str]] = []
    contents = read_package(
        source,
        trust=trust,
        key=key,
        passed=lambda check, found: checks.append({"check": check, "found": found}),
    )
    return {
        "file": "" if isinstance(source, bytes) else str(source),
        **asdict(contents.manifest),
        "key": keys.key_id(contents.public_key),
        "size": contents.size,
        "checks": checks,
    }
