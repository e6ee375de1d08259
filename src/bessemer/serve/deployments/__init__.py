"""Which packages a server has, which version answers, and how that changes without a request being lost."""
