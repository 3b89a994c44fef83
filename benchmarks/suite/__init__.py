"""The asv suite, made from the one list of cases in `benchmarks.cases`.

    times    time_*          ours, one thread
    memory   peakmem_*       ours, what works in bounded memory
    ratios   track_ratio_*   the reference's time / ours, taken in turns in one process

asv imports this package alone, with the package to measure installed in its own environment; the
list comes from the checkout that asv was started in, so that old revisions are measured by the
present list. What a revision does not have is skipped.
"""

import sys
from pathlib import Path

# Behind everything else: the installed fastmath_ml is meant, not the checkout's.
sys.path.append(str(Path(__file__).resolve().parents[2]))
