"""What TorchServe calls an error: the names of its exceptions."""

from __future__ import annotations

from collections.abc import Mapping

from bessemer.serve.errors import RequestError

#: The exception for a status; of 404 see `exception_of`.
_EXCEPTIONS: Mapping[int, str] = {
    401: "InvalidKeyException",
    403: "InvalidKeyException",
    405: "MethodNotAllowedException",
    408: "RequestTimeoutException",
    409: "ConflictStatusException",
    503: "ServiceUnavailableException",
    507: "OutOfMemoryError",
}


def exception_of(error: RequestError) -> str:
    """The name of the exception that TorchServe has for an error.

    >>> exception_of(RequestError(404, "there is no model 'chrn'"))
    'ModelNotFoundException'
    """
    if error.status == 404:
        if error.what.startswith("there is nothing at"):
            return "ResourceNotFoundException"
        return "ModelVersionNotFoundException" if "has no version" in error.what else "ModelNotFoundException"
    if error.status == 403 and error.what.startswith("Cannot remove"):
        return "InvalidModelVersionException"
    default = "InternalServerException" if error.status >= 500 else "BadRequestException"
    return _EXCEPTIONS.get(error.status, default)


def java_class(error: RequestError) -> str:
    """The full name of the exception, which is the second line of an error of gRPC.

    >>> java_class(RequestError(400, "Parameter url is required."))
    'org.pytorch.serve.http.BadRequestException'
    """
    name = exception_of(error)
    package = "archive.model" if name.startswith(("Model", "InvalidKey")) else "http"
    return f"org.pytorch.serve.{package}.{name}"
