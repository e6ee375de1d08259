"""What one server process sends to Elastic APM."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping

from bessemer.serve.telemetry.elastic.agent import Agent, Sender, agent_of
from bessemer.serve.telemetry.elastic.errors import Errors
from bessemer.serve.telemetry.elastic.metricset import ModelMetrics, Models
from bessemer.serve.telemetry.elastic.transactions import Transactions
from bessemer.serve.telemetry.sampling import DEFAULT, Sampling
from bessemer.serve.telemetry.spec import ElasticSpec

_LOG = logging.getLogger("bessemer.serve")


class Elastic:
    """The agent with what it is given. The environment's ELASTIC_APM_* go before the settings.

    transactions: the observer of the requests; None where none are sent.

    Raises:
        UsageError: a setting is not one the agent takes.
    """

    def __init__(self, spec: ElasticSpec) -> None:
        self._agent = agent = agent_of(spec)
        on = agent.config.is_recording  # ELASTIC_APM_ENABLED and ELASTIC_APM_RECORDING
        self.transactions: Transactions | None = None
        if spec.traces and on:
            self.transactions = Transactions(agent, _sampling(spec, agent, os.environ))
        self._errors = Errors(agent) if spec.errors and on else None
        self._metrics = agent.metrics.register(ModelMetrics) if spec.metrics and on else None
        if self._errors is not None:
            _LOG.addHandler(self._errors)

    def watch(self, models: Models) -> None:
        """Begin to send the numbers of the models."""
        if self._metrics is not None:
            self._metrics.models = models

    @property
    def dropped(self) -> int:
        """Events that were lost."""
        sender = self._agent._transport
        lost = sender.dropped if isinstance(sender, Sender) else 0
        return lost + (self._errors.dropped if self._errors else 0)

    def close(self, wait: float = 5.0) -> None:
        """Send what is left, for at most so many seconds: a server that is away does not hold up the end."""
        if self._errors is not None:
            _LOG.removeHandler(self._errors)
        thread = threading.Thread(target=self._agent.close, name="bessemer-elastic-end", daemon=True)
        thread.start()
        thread.join(wait)


def _sampling(spec: ElasticSpec, agent: Agent, env: Mapping[str, str]) -> Sampling:
    """The share of the environment, of the settings, or the usual one."""
    if env.get("ELASTIC_APM_TRANSACTION_SAMPLE_RATE"):
        return Sampling(agent.config.transaction_sample_rate)
    return Sampling(DEFAULT if spec.sample is None else spec.sample)
