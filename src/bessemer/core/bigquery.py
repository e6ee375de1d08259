"""Where BigQuery is, who pays, and clients for it. Credentials are the platform's own (application default)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pydantic import Field

from bessemer.core.errors import DataError, EnvironmentFault, MissingExtra
from bessemer.core.spec import Duration, Spec

if TYPE_CHECKING:
    from google.cloud import bigquery
    from google.cloud.bigquery_storage import BigQueryReadClient

_FIXES = {
    401: "gcloud auth application-default login",
    403: "grant the roles BigQuery Job User on the project that pays and BigQuery Data Viewer on the dataset",
    400: "check the query",
    404: "check the name, and `location`",
}


class BigQueryLogin(Spec):
    """How BigQuery is reached.

    >>> BigQueryLogin(location="EU").location
    'EU'
    """

    location: str | None = Field(
        default=None, min_length=1, description="Where the data is, as EU; BigQuery finds it by default."
    )
    billing_project: str | None = Field(
        default=None, min_length=1, description="The project that pays for queries; the dataset's by default."
    )
    endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://[^/@]+$",
        description="Another address of the service, as https://bigquery.example.org; the variable "
        "BIGQUERY_EMULATOR_HOST by default. Over http no credentials are sent.",
    )
    storage_endpoint: str | None = Field(
        default=None,
        pattern=r"^[^/@]+:\d+$",
        description="Another address of its Storage Read API, as host:443.",
    )
    timeout: Duration = Field(default=120.0, gt=0, le=3600, description="How long one answer may take.")


def connect(login: BigQueryLogin, project: str) -> bigquery.Client:
    """A client; nothing is asked yet.

    Raises:
        MissingExtra: it is not installed. EnvironmentFault: there are no credentials.
    """
    try:
        from google.api_core.client_options import ClientOptions
        from google.auth.exceptions import DefaultCredentialsError
        from google.cloud import bigquery
    except ModuleNotFoundError:
        raise MissingExtra("bigquery", "google.cloud.bigquery", "bigquery") from None
    endpoint = _endpoint(login)
    try:
        return bigquery.Client(
            project=login.billing_project or project,
            location=login.location,
            credentials=_nobody() if endpoint.startswith("http://") else None,
            client_options=ClientOptions(api_endpoint=endpoint) if endpoint else None,
        )
    except DefaultCredentialsError:
        raise EnvironmentFault(
            "there are no credentials for BigQuery",
            why="neither GOOGLE_APPLICATION_CREDENTIALS, a login of gcloud nor this machine's own account has any",
            fix="gcloud auth application-default login",
        ) from None


def _endpoint(login: BigQueryLogin) -> str:
    return login.endpoint or os.environ.get("BIGQUERY_EMULATOR_HOST", "")


def _nobody() -> Any:
    from google.auth.credentials import AnonymousCredentials

    return AnonymousCredentials()


def connect_storage(login: BigQueryLogin, client: bigquery.Client) -> BigQueryReadClient | None:
    """A client of the Storage Read API, with the credentials of another client; None where its address is not known.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import grpc
        from google.api_core.client_options import ClientOptions
        from google.cloud.bigquery_storage import BigQueryReadClient
        from google.cloud.bigquery_storage_v1.services.big_query_read.transports import (
            BigQueryReadGrpcTransport,
        )
    except ModuleNotFoundError:
        raise MissingExtra("bigquery", "google.cloud.bigquery_storage", "bigquery") from None
    if not _endpoint(login).startswith("http://"):
        there = login.storage_endpoint
        options = ClientOptions(api_endpoint=there) if there else None
        return BigQueryReadClient(credentials=client._credentials, client_options=options)
    if login.storage_endpoint is None:
        return None
    channel = grpc.insecure_channel(login.storage_endpoint)
    return BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=channel))


@contextmanager
def explained(where: str, verb: str = "read") -> Iterator[None]:
    """Errors of the clients as a DataError that says what BigQuery said.

    Args:
        where: the project and dataset. verb: what could not be done.
    """
    from google.api_core.exceptions import GoogleAPICallError, RetryError
    from google.auth.exceptions import GoogleAuthError
    from requests import RequestException

    try:
        yield
    except GoogleAPICallError as error:
        # what stands behind is the address of the request, and the reason a second time
        said = str(error.message).split("; reason:")[0].splitlines()[0]
        fix = _FIXES.get(int(error.code or 0), "run it again")
        raise DataError(f"'{where}' cannot be {verb}", why=said, fix=fix) from None
    except GoogleAuthError as error:
        raise DataError(f"'{where}' cannot be {verb}", why=str(error), fix=_FIXES[401]) from None
    except (RetryError, RequestException, OSError) as error:
        why = f"the service does not answer: {type(error).__name__}"
        fix = "check the network and `endpoint`, and run it again"
        raise DataError(f"'{where}' cannot be {verb}", why=why, fix=fix) from None
