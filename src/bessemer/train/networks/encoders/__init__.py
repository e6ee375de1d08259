"""The encoders, one file each; `layers.py` is what several are made of, `weights.py` reads pretrained ones."""
