"""Means, variances, covariances, order statistics and histograms, along any axes."""

from __future__ import annotations

from ._covariance import corrcoef, cov
from ._histogram import histogram
from ._mean_var import mean, nanmean, nanstd, nanvar, std, var
from ._quantiles import median, nanmedian, nanquantile, quantile
from ._scores import DescribeResult, Standardized, average, describe, standardize, zscore

__all__ = [
    "DescribeResult",
    "Standardized",
    "average",
    "corrcoef",
    "cov",
    "describe",
    "histogram",
    "mean",
    "median",
    "nanmean",
    "nanmedian",
    "nanquantile",
    "nanstd",
    "nanvar",
    "quantile",
    "standardize",
    "std",
    "var",
    "zscore",
]
