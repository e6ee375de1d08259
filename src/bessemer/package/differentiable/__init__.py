"""A graph of a package as a torch module: what attacks and explanations take gradients of is what ships.

`twin` interprets the graph's nodes. What cannot be differentiated (trees) or is not known is refused by its name.
"""

from bessemer.package.differentiable.twin import FEATURES, Twin, twin

__all__ = ["FEATURES", "Twin", "twin"]
