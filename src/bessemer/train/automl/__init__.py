"""AutoML: a portfolio of learners in folds, a search, and one weighted ensemble, within a hard budget."""
