"""The same names in plain NumPy, computed in float64: slow, readable, the oracle of the tests.

Each function takes what its namesake takes, except `out=`, and returns float64.
"""

from . import decompositions, information, linalg, losses, optim, pairwise, special, stats
from .decompositions import *
from .information import *
from .linalg import *
from .losses import *  # type: ignore[assignment]  # kl_div is theirs; information has another
from .optim import *
from .pairwise import *
from .special import *
from .stats import *

__all__ = [
    *decompositions.__all__,
    *information.__all__,
    *linalg.__all__,
    *losses.__all__,
    *optim.__all__,
    *pairwise.__all__,
    *special.__all__,
    *stats.__all__,
]
