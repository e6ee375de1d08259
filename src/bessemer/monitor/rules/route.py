"""An example of a route for Alertmanager."""

from __future__ import annotations

from typing import Any

ROUTE: dict[str, Any] = {
    "route": {
        "receiver": "tickets",
        "group_by": ["alertname", "model"],
        "group_wait": "30s",
        "group_interval": "5m",
        "repeat_interval": "1d",
        "routes": [{"receiver": "pages", "matchers": ['severity="page"'], "repeat_interval": "1h"}],
    },
    # who is woken already needs no ticket of the same
    "inhibit_rules": [
        {
            "source_matchers": ['severity="page"'],
            "target_matchers": ['severity="ticket"'],
            "equal": ["alertname", "model", "slo"],
        }
    ],
    "receivers": [
        {"name": "pages", "webhook_configs": [{"url": "http://localhost:9095/pages", "send_resolved": True}]},
        {
            "name": "tickets",
            "webhook_configs": [{"url": "http://localhost:9095/tickets", "send_resolved": True}],
        },
    ],
}
