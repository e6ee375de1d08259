"""What all that speaks to Elasticsearch shares: how to log in, what errors mean, bulk requests, templates."""
