"""A graph of a package as a torch module: what attacks and explanations take gradients of is what ships.

`twin` interprets the graph's nodes; `recordable` does so in a way that torch's own formats can hold. What cannot be
differentiated (trees) or is not known is refused by its name.
"""

from bessemer.package.differentiable.twin import FEATURES, Twin, Values, recordable, twin

__all__ = ["FEATURES", "Twin", "Values", "recordable", "twin"]
