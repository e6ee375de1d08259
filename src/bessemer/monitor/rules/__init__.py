"""What operations has of its own tools: rules for Prometheus, a route for Alertmanager, a dashboard for Grafana."""
