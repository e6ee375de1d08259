"""PMML 4.x: a document is read into terms, which become features, trees, weights or nodes of a graph."""
