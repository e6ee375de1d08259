"""How a model treats groups of people: rates and errors by group, proxies, and what mitigation changed."""
