"""How much and of what kind: categories, and behaviors and words by their values, with a linear head.

Only event logs have these. Where behaviors have durations or prices it sees more than the bag of counts (modelling.md).
"""

from footfall.modeling.linear import TokenView
from footfall.modeling.view import Users


class AmountsView(TokenView):
    """See the module."""

    matrix, block = "fact_NV", 3

    @classmethod
    def can_see(cls, users: Users) -> bool:
        """See ``View``."""
        return bool(users.fact_NV.shape[1] > 0)


VIEW = AmountsView
