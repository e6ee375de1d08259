"""igel's file: dataset, model and target, in YAML or JSON."""
