"""What the project file may say about who may use a server: `access`, `cors` and `tls` under `serve`."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bessemer.core.spec import Duration, Share, Spec

Scope = Literal["predict", "admin"]
Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]  # fmt: skip
LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})

#: Health checks of load balancers and orchestrators come without a key: over HTTP, then the same over gRPC.
PUBLIC_PATHS = [
    "/healthz",
    "/health",
    "/livez",
    "/readyz",
    "/ping",
    "/v2/health/live",
    "/v2/health/ready",
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/inference.GRPCInferenceService/ServerLive",
    "/inference.GRPCInferenceService/ServerReady",
]
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::[0-9]{1,5})?")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _network(text: str) -> str:
    ipaddress.ip_network(text)  # its ValueError says what is wrong
    return text


def _key_set(text: str) -> str:
    parts = urlsplit(text)
    if "://" not in text:
        return text
    if parts.username is not None or parts.password is not None:
        raise ValueError("a password in a URL ends up in logs: write the URL without it")
    if parts.scheme == "https" and parts.hostname:
        return text
    if parts.scheme == "http" and parts.hostname in LOCAL_HOSTS:
        return text
    raise ValueError("keys that come over plain http can be replaced on the way: write https://")


def _origin(text: str) -> str:
    text = text.lower()
    if text != "*" and not _ORIGIN.fullmatch(text):
        raise ValueError(f"{text!r} is not an origin: write https://app.example, without a path or a slash")
    return text


def _field_name(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise ValueError(f"{text!r} is not the name of a header")
    return text.lower()


def _path(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError(f"{text!r} is not a path: it begins with /")
    return text


Words = Annotated[list[str], BeforeValidator(_listed, json_schema_input_type=str | list[str])]
Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class KeysSpec(Spec):
    """Where the keys of clients are. The project file never has a key in it.

    >>> KeysSpec(file="keys.yaml").env
    []
    """

    file: str | None = Field(
        None,
        min_length=1,
        description="The file of `bessemer access add`: names, hashes, scopes, limits. Read again when it changes.",
    )
    env: list[Variable] = Field(
        [],
        description="Environment variables that each hold a key with the scope predict, read at the start.",
    )
    admin_env: list[Variable] = Field(
        [], description="Environment variables that each hold a key with the scopes predict and admin."
    )


class JwtSpec(Spec):
    """Signed tokens (JWT, RFC 7519) of an identity provider.

    >>> JwtSpec(jwks="https://id.example/keys", issuer="https://id.example", audience=["models"]).algorithms
    ['RS256', 'ES256', 'EdDSA']
    """

    jwks: Annotated[str, AfterValidator(_key_set)] = Field(
        min_length=1,
        description="The provider's public keys (JSON Web Key Set): an https URL, or a file. http is taken from this "
        "machine only.",
    )
    issuer: str = Field(min_length=1, description="What the claim `iss` must be.")
    audience: Words = Field(min_length=1, description="What the claim `aud` must have at least one of.")
    algorithms: list[Algorithm] = Field(
        ["RS256", "ES256", "EdDSA"],
        min_length=1,
        description="The signatures that are taken. Those with a shared secret, and `none`, do not exist here.",
    )
    scopes: dict[Scope, str] = Field(
        {"predict": "predict", "admin": "admin"},
        description="For each of our scopes, the word in the token that grants it; `*`: every valid token has it.",
    )
    claims: list[str] = Field(
        ["scope", "scp"],
        min_length=1,
        description="The claims in which scopes stand, as one text with spaces or as a list.",
    )
    name: str = Field("sub", pattern=r"^[A-Za-z0-9_.:/-]+$", description="The claim that names the client.")
    leeway: Duration = Field(30.0, le=300, description="How far the clocks may differ.")
    refresh: Duration = Field(600.0, ge=1, description="How often the keys are fetched anew.")
    cooldown: Duration = Field(
        30.0, ge=1, description="How soon after a fetch an unknown key id may cause another one."
    )
    timeout: Duration = Field(5.0, gt=0, le=60, description="How long one fetch may take.")
    max_token: int = Field(
        8192, ge=512, le=65536, description="The longest token that is looked at, in bytes."
    )
    remember: int = Field(
        4096, ge=1, description="How many verified tokens are remembered until they expire."
    )
    failures_per_second: float = Field(
        20.0,
        gt=0,
        description="How many wrong tokens an address may send; beyond it, tokens that are not remembered are "
        "answered 429 without the cost of checking them.",
    )


class CertificatesSpec(Spec):
    """What clients with a certificate (`tls.client_ca`) may do. `*` is every certificate of that authority.

    >>> CertificatesSpec(predict=["*"], admin=["ops.example"]).admin
    ['ops.example']
    """

    predict: Words = Field(["*"], description="Names (common name of the subject) that may predict.")
    admin: Words = Field([], description="Names that may administer.")


class LimitsSpec(Spec):
    """How often a client may ask. Each key, token or certificate has its own bucket; without one, each address has.

    >>> LimitsSpec(requests_per_second=100).burst is None
    True
    """

    requests_per_second: float = Field(
        gt=0,
        le=1e6,
        description="Requests a second in the long run; a key's own entry may say another number.",
    )
    burst: int | None = Field(
        None,
        ge=1,
        le=10_000_000,
        description="Requests at once after a pause. The default is one second's worth.",
    )
    remember: int = Field(
        65536, ge=16, description="How many clients are remembered; the memory never grows beyond it."
    )
    headers: bool = Field(
        False, description="Whether good answers have the RateLimit headers too; those with 429 always have."
    )

    @property
    def at_once(self) -> int:
        """The burst, with its default."""
        return self.burst or max(1, round(self.requests_per_second))


class SuspectsSpec(Spec):
    """What is done to clients that are suspected; who they are stands in a file that is followed.

    >>> SuspectsSpec().most
    5
    """

    file: str = Field(
        ".bessemer/suspects.json",
        min_length=1,
        description="The file that `bessemer monitor` and `bessemer access suspects` write. Read when it changes.",
    )
    most: int = Field(
        5,
        ge=1,
        le=1000,
        description="To so many clients at once something is done, and to half of those with a key at most: "
        "nothing locks out everybody. To the others nothing is, and the log says so.",
    )
    requests_per_second: float = Field(
        1.0, gt=0, le=1e6, description="Of `throttle`: the limit of a suspect, where its entry has none."
    )
    key: str | None = Field(
        None,
        min_length=1,
        description="Of `watermark`: the file with the key, at least 16 random bytes, kept by you.",
    )
    harm: Share = Field(
        0.01, gt=0, le=0.1, description="Of `watermark`: by how much a probability may be moved."
    )


class AccessSpec(Spec):
    """Who may use the server. With nothing in it, everybody may predict and nobody may administer.

    >>> AccessSpec().closed, AccessSpec(keys=KeysSpec(file="keys.yaml")).closed
    (False, True)
    """

    keys: KeysSpec | None = Field(None, description="Clients with a key.")
    jwt: JwtSpec | None = Field(None, description="Clients with a token of an identity provider.")
    certificates: CertificatesSpec | None = Field(
        None, description="Clients with a certificate; needs `tls.client_ca`."
    )
    limits: LimitsSpec | None = Field(None, description="How often each client may ask.")
    suspects: SuspectsSpec | None = Field(
        None, description="What is done to clients that are suspected; needs clients with names."
    )
    anonymous: list[Scope] | None = Field(
        None,
        description="What clients without a key may do. The default is predict where there are no keys, tokens or "
        "certificates, and nothing where there are.",
    )
    public: list[Annotated[str, AfterValidator(_path)]] = Field(
        PUBLIC_PATHS,
        description="Paths that are answered without a key and without a limit. `*` stands for one part of a path.",
    )
    proxies: list[Annotated[str, AfterValidator(_network)]] = Field(
        [],
        description="Networks of proxies whose X-Forwarded-For is believed, as 10.0.0.0/8. Nobody's is by default.",
    )

    @model_validator(mode="after")
    def _suspects_have_names(self) -> Self:
        if self.suspects is not None and not self.closed:
            raise ValueError("`suspects` needs clients with names: set `keys`, `jwt` or `certificates`")
        return self

    @property
    def closed(self) -> bool:
        """Whether clients must say who they are."""
        return not (self.keys is None and self.jwt is None and self.certificates is None)


class CorsSpec(Spec):
    """Which web pages of other origins may call the server (CORS, the Fetch standard).

    >>> CorsSpec(origins=["https://App.example"]).origins
    ['https://app.example']
    """

    origins: list[Annotated[str, AfterValidator(_origin)]] = Field(
        min_length=1, description="The origins, as https://app.example; `*` for every one."
    )
    methods: list[Literal["GET", "HEAD", "POST", "PUT", "DELETE"]] = Field(
        ["GET", "HEAD", "POST"], min_length=1, description="The methods they may use."
    )
    headers: list[Annotated[str, AfterValidator(_field_name)]] = Field(
        ["authorization", "content-type", "inference-header-content-length", "x-api-key", "x-request-id"],
        description="The request headers they may send.",
    )
    expose: list[Annotated[str, AfterValidator(_field_name)]] = Field(
        ["inference-header-content-length", "ratelimit", "ratelimit-policy", "retry-after", "x-request-id"],
        description="The response headers they may read.",
    )
    credentials: bool = Field(
        False,
        description="Whether browsers send cookies and client certificates along; not with the origin `*`.",
    )
    max_age: Duration = Field(600.0, le=86400, description="How long a browser may remember these rules.")

    @model_validator(mode="after")
    def _no_credentials_for_all(self) -> Self:
        if self.credentials and "*" in self.origins:
            raise ValueError(
                "credentials for every origin would let any page act as its visitor: name the origins"
            )
        return self


class TlsSpec(Spec):
    """The server's certificate, and whose clients it takes. Changed files are read again for new connections.

    >>> TlsSpec(certificate="cert.pem", key="key.pem").minimum
    'TLS1.2'
    """

    certificate: str = Field(
        min_length=1, description="The PEM file of the certificate, followed by those of its issuers."
    )
    key: str = Field(min_length=1, description="The PEM file of its private key, without a password.")
    client_ca: str | None = Field(
        None, min_length=1, description="The PEM file of the authorities that sign clients' certificates."
    )
    client_certificate: Literal["required", "optional"] = Field(
        "required",
        description="With `client_ca`: whether a client must have a certificate, or may have a key or a token instead.",
    )
    minimum: Literal["TLS1.2", "TLS1.3"] = Field("TLS1.2", description="The oldest version that is spoken.")
