"""How the loss of softmax regression on the digits falls, method by method.

python -m benchmarks.training [--json]
"""

import json
import sys

from .digits import L2, load_digits

N_EPOCHS = 30
METHODS = {
    "L-BFGS": {"method": "lbfgs"},
    "Adam, batches of 64": {"method": "adam", "batch_size": 64},
    "SGD, batches of 64": {"method": "sgd", "batch_size": 64},
    "Adam, all rows": {"method": "adam", "lr": 0.05},
}


def loss_curves() -> dict[str, list[float]]:
    """The objective after each epoch (iteration of L-BFGS)."""
    from fastmath_ml.optim import fit_softmax

    digits = load_digits()
    options = {"l2": L2, "tol": 0.0, "max_epochs": N_EPOCHS, "rng": 0}
    return {
        name: fit_softmax(digits.train, digits.train_labels, **options, **method).losses.tolist()
        for name, method in METHODS.items()
    }


def scikit_learns_loss() -> float:
    """The objective that LogisticRegression reaches: what the curves go down to."""
    from sklearn.linear_model import LogisticRegression

    from fastmath_ml.optim import softmax_loss_with_grad

    digits = load_digits()
    model = LogisticRegression(C=1 / (L2 * len(digits.train)), max_iter=500, tol=1e-6)
    model.fit(digits.train, digits.train_labels)
    coef, intercept = (x.astype("float32") for x in (model.coef_, model.intercept_))
    loss, *_ = softmax_loss_with_grad(digits.train, digits.train_labels, coef, intercept, l2=L2)
    return float(loss)


def main() -> None:
    curves = loss_curves()
    curves["scikit-learn, lbfgs"] = [scikit_learns_loss()] * N_EPOCHS
    if "--json" in sys.argv[1:]:
        print(json.dumps(curves))
        return
    for name, losses in curves.items():
        print(f"{name:22s}", *(f"{loss:.4f}" for loss in losses[4::5]))


if __name__ == "__main__":
    main()
