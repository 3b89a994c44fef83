"""Information theory: entropies, divergences and the mutual information of labels and tables."""

from __future__ import annotations

from ._divergences import entropy, jensenshannon, js_divergence, kl_divergence
from ._mutual_information import (
    information_gain,
    mutual_info_score,
    mutual_information,
    normalized_mutual_info_score,
)
from ._relative_entropy import entr, kl_div, rel_entr

__all__ = [
    "entr",
    "entropy",
    "information_gain",
    "jensenshannon",
    "js_divergence",
    "kl_div",
    "kl_divergence",
    "mutual_info_score",
    "mutual_information",
    "normalized_mutual_info_score",
    "rel_entr",
]
