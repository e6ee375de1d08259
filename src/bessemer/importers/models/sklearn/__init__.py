"""Models of scikit-learn, from their arrays: no class of scikit-learn is made, so that nothing of it runs."""
