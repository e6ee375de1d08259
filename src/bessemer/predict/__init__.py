"""Offline prediction: rows of any source scored into any sink, once each, whatever is killed when."""
