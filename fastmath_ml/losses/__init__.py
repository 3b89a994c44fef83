"""Losses, each with its gradient: torch's names and numbers on NumPy arrays.

Every loss also exists as `<name>_with_grad`, which returns the loss and its gradient with respect
to the first argument from one fused pass.
"""

from ._classes import cross_entropy, cross_entropy_with_grad, nll_loss, nll_loss_with_grad
from ._decisions import (
    binary_cross_entropy_with_logits,
    binary_cross_entropy_with_logits_with_grad,
    hinge_loss,
    hinge_loss_with_grad,
    kl_div,
    kl_div_with_grad,
)
from ._linear import linear_cross_entropy, linear_cross_entropy_with_grad
from ._regression import (
    huber_loss,
    huber_loss_with_grad,
    l1_loss,
    l1_loss_with_grad,
    mse_loss,
    mse_loss_with_grad,
)

__all__ = [
    "binary_cross_entropy_with_logits",
    "binary_cross_entropy_with_logits_with_grad",
    "cross_entropy",
    "cross_entropy_with_grad",
    "hinge_loss",
    "hinge_loss_with_grad",
    "huber_loss",
    "huber_loss_with_grad",
    "kl_div",
    "kl_div_with_grad",
    "l1_loss",
    "l1_loss_with_grad",
    "linear_cross_entropy",
    "linear_cross_entropy_with_grad",
    "mse_loss",
    "mse_loss_with_grad",
    "nll_loss",
    "nll_loss_with_grad",
]
