"""What several dialects say of the server's health, at paths that they share."""

from __future__ import annotations

from bessemer.serve.dialect import Models
from bessemer.serve.wire import Request, Response, json_response


def health(models: Models) -> Response:
    """200 and Healthy while requests are taken, else 503: `/ping` of MLflow, SageMaker and TorchServe."""
    if models.ready:
        return json_response({"status": "Healthy"})
    return json_response({"status": "Unhealthy"}, 503)


def no_browser(request: Request) -> bool:
    """Whether `GET /` is a client's; a browser, which accepts text/html, is shown the documentation."""
    return "text/html" not in request.headers.get("accept", "")
