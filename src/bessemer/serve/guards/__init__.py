"""Who may ask, how often and from where: keys, tokens, certificates, rate limits, CORS, TLS."""
