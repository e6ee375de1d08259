"""Windows and findings as documents of Elasticsearch, and a dashboard of them for Kibana."""
