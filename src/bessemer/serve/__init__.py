"""Package -> service: protocols without sockets, one HTTP transport, one place that predicts."""
