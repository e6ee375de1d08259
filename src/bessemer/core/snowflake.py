"""Where a Snowflake account is, who asks, and a connection to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from bessemer.core.errors import DataError, MissingExtra, UsageError
from bessemer.core.secrets import secret
from bessemer.core.spec import Duration, Spec

Variable = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
_FIXES = {
    250001: "check account, user and the variable that has the secret",
    251005: "name the `user`",
    390100: "check the user and the variable that has the password",
    390144: "check that the user has the public key of this private key",
    2003: "check the name, and that the role may see it",
    606: "name a `warehouse`",
    904: "check the name of the column",
    1003: "check the query",
}


class SnowflakeLogin(Spec):
    """How Snowflake is reached. Secrets stand in environment variables.

    >>> SnowflakeLogin(user="me", password_env="SNOWFLAKE_PASSWORD").user
    'me'
    """

    user: str | None = Field(default=None, min_length=1, description="Who asks.")
    password_env: Variable | None = Field(
        default=None, description="The environment variable with the user's password."
    )
    private_key_env: Variable | None = Field(
        default=None, description="Or the variable with the user's private key, in PEM (PKCS#8)."
    )
    passphrase_env: Variable | None = Field(
        default=None, description="The variable with the passphrase of that key, where it has one."
    )
    token_env: Variable | None = Field(default=None, description="Or the variable with an OAuth token.")
    role: str | None = Field(default=None, min_length=1, description="The role; the user's own by default.")
    warehouse: str | None = Field(
        default=None, min_length=1, description="The warehouse that runs it; the user's own by default."
    )
    endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^/@]+$",
        description="Another address than the account's own, as https://host:443 of a private link.",
    )
    timeout: Duration = Field(
        default=120.0, ge=1, le=3600, description="How long the service may be away before it is given up."
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = {"password_env", "private_key_env", "token_env"}
        given = sorted(name for name in ways if getattr(self, name) is not None)
        if len(given) != 1:
            raise ValueError(f"give one of {', '.join(sorted(ways))}")
        if self.user is None and given != ["token_env"]:
            raise ValueError(f"`{given[0]}` needs `user`")
        if self.passphrase_env is not None and self.private_key_env is None:
            raise ValueError("`passphrase_env` needs `private_key_env`")
        return self


def connect(
    login: SnowflakeLogin, account: str, database: str, schema: str | None, session: Mapping[str, Any] = {}
) -> Any:
    """A connection, whose session is in UTC.

    Args:
        session: more of the session's parameters.

    Raises:
        MissingExtra: the client is not installed. UsageError: a variable is not set, or has no key.
        DataError: the account cannot be reached, or does not let us in.
    """
    try:
        from snowflake import connector
    except ModuleNotFoundError:
        raise MissingExtra("snowflake", "snowflake.connector", "snowflake") from None
    given: dict[str, Any] = {"role": login.role, "warehouse": login.warehouse, "schema": schema}
    if login.endpoint:
        address = urlsplit(login.endpoint)
        given |= {"protocol": address.scheme, "host": address.hostname, "port": address.port or 443}
    with explained(account):
        return connector.connect(
            account=account,
            database=database,
            login_timeout=max(1, round(login.timeout)),
            network_timeout=max(1, round(login.timeout)),
            arrow_number_to_decimal=True,
            paramstyle="qmark",
            application="bessemer",
            session_parameters={**session, "TIMEZONE": "UTC", "CLIENT_TELEMETRY_ENABLED": False},
            **{name: value for name, value in given.items() if value is not None},
            **_credentials(login),
        )


def _credentials(login: SnowflakeLogin) -> dict[str, Any]:
    who = {"user": login.user} if login.user else {}
    if login.password_env:
        return {**who, "password": secret(login.password_env, "the password of Snowflake")}
    if login.token_env:
        token = secret(login.token_env, "an OAuth token of Snowflake")
        return {**who, "authenticator": "oauth", "token": token}
    assert login.private_key_env is not None
    text = secret(login.private_key_env, "the private key of Snowflake's user")
    phrase = secret(login.passphrase_env, "the key's passphrase") if login.passphrase_env else None
    return {**who, "authenticator": "SNOWFLAKE_JWT", "private_key": _der(text, phrase, login.private_key_env)}


def _der(text: str, phrase: str | None, variable: str) -> bytes:
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_pem_private_key(text.encode(), phrase.encode() if phrase else None)
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"the environment variable {variable} has no private key that can be read",
            why=str(error).splitlines()[0],
            fix=f'export {variable}="$(cat rsa_key.p8)", and `passphrase_env` where the key has one',
        ) from None
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@contextmanager
def explained(where: str, verb: str = "read") -> Iterator[None]:
    """Errors of the connector as a DataError that says what Snowflake said.

    Args:
        where: what is shown of the account. verb: what could not be done.
    """
    from requests import RequestException
    from snowflake.connector.errors import Error

    try:
        yield
    except Error as error:
        said = " ".join(str(error.msg or error).split())
        fix = _FIXES.get(error.errno or 0, "check the query, and that the service can be reached")
        raise DataError(f"'{where}' cannot be {verb}", why=said, fix=fix) from None
    except (RequestException, OSError) as error:
        why = f"the service does not answer: {type(error).__name__}"
        fix = "check the network, and run it again"
        raise DataError(f"'{where}' cannot be {verb}", why=why, fix=fix) from None
