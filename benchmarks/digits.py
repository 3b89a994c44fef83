"""The library on real data: the 1797 handwritten digits that scikit-learn ships.

Each task is done twice, with our functions and with scikit-learn's own, and the answers are
compared: the accuracy of both, how often they say the same, how far the probabilities lie apart.
The times are the best of a few calls in this one process, a hint and not a measurement.

    python -m benchmarks.digits [--json]

To add a task, write a function that takes the `Digits` and returns two calls, ours and theirs,
each giving predicted labels and, where there are any, the probabilities; list it in TASKS.
"""

import json
import sys
import time
from dataclasses import dataclass
from functools import partial

import numpy as np

SHARPNESS = 50.0  # of the vote: a neighbour counts exp(SHARPNESS * cosine similarity)
REPEATS = 3
STEPS = 600  # of the gradient descent: the loss's curvature is between 1/898 and about 6
LEARNING_RATE = 0.15
MOMENTUM = 0.97


@dataclass(frozen=True)
class Digits:
    """Images as rows of 64 grey levels in [0, 1], float32, split into halves."""

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray

    @property
    def one_hot(self) -> np.ndarray:
        return np.eye(10, dtype=np.float32)[self.train_labels]


def load_digits() -> Digits:
    from sklearn.datasets import load_digits as load
    from sklearn.model_selection import train_test_split

    images, labels = load(return_X_y=True)
    images = (images / 16).astype(np.float32)
    train, test, train_labels, test_labels = train_test_split(
        images, labels, test_size=0.5, random_state=0, stratify=labels
    )
    return Digits(train, train_labels, test, test_labels)


def nearest_neighbour(digits: Digits):
    """The label of the training image with the largest cosine similarity."""
    from sklearn.neighbors import KNeighborsClassifier

    import fastmath_ml as fm

    theirs = KNeighborsClassifier(n_neighbors=1, metric="cosine", algorithm="brute")
    theirs.fit(digits.train, digits.train_labels)

    def ours():
        similarity = fm.cosine_similarity(digits.test, digits.train)
        return digits.train_labels[similarity.argmax(axis=1)], None

    return ours, lambda: (theirs.predict(digits.test), None)


def nearest_by(metric: str, **options):
    """A task: the label of the training image that is nearest by a metric of `cdist`."""

    def task(digits: Digits):
        from sklearn.neighbors import KNeighborsClassifier

        import fastmath_ml as fm

        theirs = KNeighborsClassifier(n_neighbors=1, metric=metric, algorithm="brute", **options)
        train, test = digits.train, digits.test
        theirs.fit(train, digits.train_labels)

        def ours():
            distances = fm.cdist(test, train, metric, **options)
            return digits.train_labels[distances.argmin(axis=1)], None

        return ours, lambda: (theirs.predict(test), None)

    return task


def k_nearest(digits: Digits, our_metric, k=3, **theirs_options):
    """The label that most of the k nearest training images have, the smaller one of equals."""
    from sklearn.neighbors import KNeighborsClassifier

    import fastmath_ml as fm

    theirs = KNeighborsClassifier(n_neighbors=k, algorithm="brute", **theirs_options)
    theirs.fit(digits.train, digits.train_labels)

    def ours():
        nearest = fm.topk(digits.test, digits.train, k, our_metric).indices
        votes = digits.one_hot[nearest].sum(axis=1)
        return votes.argmax(axis=1), None

    return ours, lambda: (theirs.predict(digits.test), None)


def k_nearest_euclidean(digits: Digits):
    return k_nearest(digits, "euclidean", metric="euclidean")


def middle_counts_more(x, y):
    """A metric of one's own: Manhattan, pixels in the middle rows of the image counting twice."""
    total = 0.0
    for i in range(x.shape[0]):
        total += (2.0 if 16 <= i < 48 else 1.0) * abs(x[i] - y[i])
    return total


def k_nearest_own_metric(digits: Digits):
    """Ours gets the function; scikit-learn the same as a weighted Minkowski metric."""
    weights = np.where((np.arange(64) >= 16) & (np.arange(64) < 48), 2.0, 1.0)
    theirs = {"metric": "minkowski", "p": 1, "metric_params": {"w": weights}}
    return k_nearest(digits, middle_counts_more, **theirs)


def neighbour_images(n_queries=5, k=7) -> tuple[np.ndarray, np.ndarray]:
    """(queries, k nearest training images of each) as 8 x 8 pictures, the first digits 0, 1, ..."""
    import fastmath_ml as fm

    digits = load_digits()
    chosen = [int(np.flatnonzero(digits.test_labels == label)[0]) for label in range(n_queries)]
    queries = digits.test[chosen]
    nearest = fm.topk(queries, digits.train, k).indices
    return queries.reshape(-1, 8, 8), digits.train[nearest].reshape(n_queries, k, 8, 8)


def softmax_vote(digits: Digits):
    """All training images vote for their class, weighted by the softmax of their similarity."""
    from sklearn.neighbors import KNeighborsClassifier

    import fastmath_ml as fm

    theirs = KNeighborsClassifier(
        n_neighbors=len(digits.train),
        metric="cosine",
        algorithm="brute",
        weights=lambda distance: np.exp(SHARPNESS * (1 - distance)),
    )
    theirs.fit(digits.train, digits.train_labels)
    one_hot = digits.one_hot

    def ours():
        similarity = fm.cosine_similarity(digits.test, digits.train)
        similarity *= SHARPNESS
        probabilities = fm.matmul(fm.softmax(similarity, axis=1, out=similarity), one_hot)
        return probabilities.argmax(axis=1), probabilities

    def scikit_learn():
        probabilities = theirs.predict_proba(digits.test)
        return probabilities.argmax(axis=1), probabilities

    return ours, scikit_learn


def linear_classifier(digits: Digits):
    """The softmax over the class scores of a linear model; scikit-learn finds the model."""
    from sklearn.linear_model import LogisticRegression

    import fastmath_ml as fm

    model = LogisticRegression(max_iter=200).fit(digits.train, digits.train_labels)
    weight = np.ascontiguousarray(model.coef_.T, dtype=np.float32)
    intercept = model.intercept_.astype(np.float32)

    def ours():
        scores = fm.matmul(digits.test, weight)
        scores += intercept
        probabilities = fm.softmax(scores, axis=1, out=scores)
        return probabilities.argmax(axis=1), probabilities

    def scikit_learn():
        probabilities = model.predict_proba(digits.test)
        return probabilities.argmax(axis=1), probabilities

    return ours, scikit_learn


L2 = 1e-3  # of the fits below; scikit-learn's alpha, and its 1 / (C n_rows)


def fitted(digits: Digits, fit, model):
    """Train on the one half, answer for the other: our fit() and scikit-learn's model."""
    import fastmath_ml as fm

    def ours():
        found = fit(digits.train, digits.train_labels, l2=L2)
        scores = fm.matmul(digits.test, found.coef.T)
        scores += found.intercept
        probabilities = fm.softmax(scores, axis=1, out=scores)
        return probabilities.argmax(axis=1), probabilities

    def scikit_learn():
        probabilities = model.fit(digits.train, digits.train_labels).predict_proba(digits.test)
        return probabilities.argmax(axis=1), probabilities

    return ours, scikit_learn


def softmax_by_lbfgs(digits: Digits):
    """Softmax regression, trained by L-BFGS in the time that is measured."""
    from sklearn.linear_model import LogisticRegression

    import fastmath_ml as fm

    model = LogisticRegression(C=1 / (L2 * len(digits.train)), max_iter=200)
    return fitted(digits, partial(fm.optim.fit_softmax, max_epochs=200), model)


def softmax_by_adam(digits: Digits):
    """Softmax regression, trained on mini-batches; scikit-learn's SGD fits one class at a time."""
    from sklearn.linear_model import SGDClassifier

    import fastmath_ml as fm

    options = {"method": "adam", "batch_size": 64, "max_epochs": 20, "rng": 0}
    model = SGDClassifier(loss="log_loss", alpha=L2, max_iter=20, tol=None, random_state=0)
    return fitted(digits, partial(fm.optim.fit_softmax, **options), model)


TASKS = {
    "nearest neighbour, cosine": nearest_neighbour,
    "nearest neighbour, euclidean": nearest_by("euclidean"),
    "nearest neighbour, manhattan": nearest_by("manhattan"),
    "nearest neighbour, canberra": nearest_by("canberra"),
    "nearest neighbour, minkowski p=3": nearest_by("minkowski", p=3),
    "nearest neighbour, braycurtis": nearest_by("braycurtis"),
    "3 nearest, euclidean": k_nearest_euclidean,
    "3 nearest, a metric of one's own": k_nearest_own_metric,
    "softmax vote, cosine": softmax_vote,
    "linear classifier, softmax": linear_classifier,
    "training, softmax by L-BFGS": softmax_by_lbfgs,
    "training, softmax by Adam": softmax_by_adam,
}


def best_time(call):
    """The answer and the seconds of the fastest call."""
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        answer = call()
        times.append(time.perf_counter() - begin)
        if sum(times) > 1:
            break
    return answer, min(times)


def both_log_losses(ours, theirs, labels) -> tuple[float, float]:
    """The mean negative log-likelihood: of our probabilities by us, of theirs by scikit-learn."""
    from sklearn.metrics import log_loss

    from fastmath_ml import losses

    scores = np.log(np.maximum(ours, np.finfo(np.float32).tiny))
    return float(losses.nll_loss(scores, labels)), float(log_loss(labels, theirs))


def run_task(name: str, digits: Digits) -> dict:
    ours, theirs = TASKS[name](digits)
    (our_labels, our_probabilities), our_seconds = best_time(ours)
    (their_labels, their_probabilities), their_seconds = best_time(theirs)
    difference = log_losses = None
    if our_probabilities is not None:
        log_losses = both_log_losses(our_probabilities, their_probabilities, digits.test_labels)
        difference = float(np.abs(our_probabilities - their_probabilities).max())
    return {
        "task": name,
        "accuracy": float(np.mean(our_labels == digits.test_labels)),
        "sklearn_accuracy": float(np.mean(their_labels == digits.test_labels)),
        "same_answers": float(np.mean(our_labels == their_labels)),
        "probability_difference": difference,
        "log_losses": log_losses,
        "seconds": our_seconds,
        "sklearn_seconds": their_seconds,
    }


def run_tasks() -> list[dict]:
    digits = load_digits()
    return [run_task(name, digits) for name in TASKS]


def main() -> None:
    rows = run_tasks()
    if "--json" in sys.argv[1:]:
        print(json.dumps(rows))
    else:
        from .table import print_digits

        print_digits(rows)


if __name__ == "__main__":
    main()
