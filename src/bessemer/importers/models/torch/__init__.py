"""PyTorch's two forms of whole models, read so that nothing but operators of a list is ever run."""
