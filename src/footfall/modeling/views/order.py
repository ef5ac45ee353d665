"""In which order the user did it: the weighted bag of 2- and 3-grams of behaviors, with a linear head.

A view of its own, because mixed into the bag n-grams cost .012 to .018 where tastes decide (modelling.md).
"""

from footfall.modeling.linear import TokenView


class OrderView(TokenView):
    """See the module."""

    strengths = (0.1, 0.4, 1.6)
    matrix, block = "ngram_NV", 2


VIEW = OrderView
