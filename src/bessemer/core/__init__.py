"""Nouns and machinery: project file, artifacts, store, signature, stage, runner, plug-in table, errors."""
