"""What the user did and in which words: the weighted bag of behaviors and words, with a linear head.

Wins where tastes decide (modelling.md).
"""

from footfall.modeling.linear import TokenView


class BagView(TokenView):
    """See the module."""

    matrix, block = "text_NV", 0


VIEW = BagView
