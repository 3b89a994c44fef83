"""Recognise handwritten digits by their nearest neighbours, and say how sure that is.

    python examples/nearest_digits.py

The neighbours are found by cosine similarity, a softmax over the similarities weighs their votes.
Needs scikit-learn for its digits data set.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import fastmath_ml as fm

N_NEIGHBOURS = 5
SHARPNESS = 40.0  # how much more the vote of a closer neighbour counts


def main():
    images, digits = load_digits(return_X_y=True)
    train, test, train_digits, test_digits = train_test_split(
        images.astype(np.float32), digits, test_size=0.25, random_state=0, stratify=digits
    )
    similarity = fm.cosine_similarity(test, train)
    nearest = np.argpartition(-similarity, N_NEIGHBOURS, axis=1)[:, :N_NEIGHBOURS]
    weights = fm.softmax(SHARPNESS * np.take_along_axis(similarity, nearest, axis=1), axis=1)

    # Votes: for each test image the weights of its neighbours, summed by their digit.
    is_digit = (train_digits[nearest][:, :, None] == np.arange(10)).astype(np.float32)
    votes = fm.matmul(weights[:, None, :], is_digit)[:, 0]

    guesses = votes.argmax(axis=1)
    print(f"accuracy  {np.mean(guesses == test_digits):.4f} of {len(test)} test images")
    print("\nthe least certain")
    for at in np.argsort(votes.max(axis=1))[:5]:
        first, second = np.argsort(-votes[at])[:2]
        print(
            f"  image {at:3}: {first} with {votes[at, first]:.2f}, "
            f"{second} with {votes[at, second]:.2f}; it is {test_digits[at]}"
        )


if __name__ == "__main__":
    main()
