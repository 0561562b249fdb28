"""
Softmax: one template for each class
====================================

A linear classifier gives each class a template of the size of an image; the score of a class is the
sum of the products of template and image. The softmax makes probabilities of the scores, and the
loss is the mean negative logarithm of the probability of the right class. What the templates have
learned can be looked at.

Run it with ``--cifar10 FOLDER`` for photographs in place of digits.
"""

# %%
# The pixels are raw, less the mean image. How large a step may be depends on their range (0 to 16
# for the digits, 0 to 255 for the photographs), so the settings do too. For CIFAR-10 they are those
# of the published accuracies.

import math

from _common import load_data, parse_arguments, print_heading, print_table, save_figure
from sklearn.model_selection import GridSearchCV

from sklearn_dl import Softmax
from sklearn_dl.inspection import SweepDisplay, TrainingCurveDisplay, WeightsDisplay

SETTINGS = {
    "digits": {
        "once": {"learning_rate": 1e-3, "reg": 1e-2, "num_iters": 500, "batch_size": 100},
        "sweep": {"num_iters": 1000, "batch_size": 100},
        "grid": {"learning_rate": [1e-4, 1e-3, 1e-2, 1e-1], "reg": [0, 1e-2, 1e-1, 1.0]},
    },
    "cifar10": {
        "once": {"learning_rate": 1e-7, "reg": 2.5e4, "num_iters": 1500, "batch_size": 200},
        "sweep": {"num_iters": 2000, "batch_size": 300},
        "grid": {"learning_rate": [2e-7, 2.5e-7, 3e-7], "reg": [7.5e3, 8e3, 8.5e3]},
    },
}


def make_softmax(**params):
    """Return the classifier with the update rule and the first weights of this example."""
    return Softmax(**{"update_rule": "sgd", "weight_scale": 1e-3, "random_state": 0, **params})


# %%
# The first loss
# --------------
# A classifier that knows nothing, its weights next to zero, gives each of C classes the probability 1 / C, so
# its loss is log C. It is worth a look before anything else: another number means that labels or scores are not
# what they seem.


def first_loss(data):
    """Compare the loss before the first update with log C."""
    print_heading("The first loss")
    model = make_softmax(weight_scale=1e-6, learning_rate=0.0, num_iters=1).fit(data.X_train, data.y_train)
    n_classes = len(model.classes_)
    print(f"  loss {model.loss_history_[0]:.3f}, log {n_classes} = {math.log(n_classes):.3f}")


# %%
# Training once
# -------------
# Minibatches make the loss noisy; their mean falls fast, then slowly. Training and validation
# accuracy stay close together: a linear classifier has little room to overfit.


def train_once(data, args, settings):
    """Train with one setting and draw its course."""
    print_heading("Training once")
    model = make_softmax(**settings["once"])
    model.fit(data.X_train, data.y_train, X_val=data.X_val, y_val=data.y_val)
    print(f"  training accuracy {model.score(data.X_train, data.y_train):.3f}")
    print(f"  validation accuracy {model.score(data.X_val, data.y_val):.3f}")
    display = TrainingCurveDisplay.from_estimator(model)
    save_figure(display.figure_, args, "softmax_training")


# %%
# Learning rate and penalty
# -------------------------
# `GridSearchCV` trains on the training set and scores on the validation set, which
# `PredefinedSplit` tells apart. Too small a learning rate does not arrive within the given updates;
# too strong a penalty holds the templates back.


def sweep(data, args, settings):
    """Search learning rate and penalty; return the fitted search."""
    print_heading("Learning rate and penalty")
    search = GridSearchCV(make_softmax(**settings["sweep"]), settings["grid"], cv=data.cv, n_jobs=2).fit(data.X, data.y)
    results = search.cv_results_
    print_table(
        ["learning_rate", "reg", "validation accuracy"],
        [
            [*params.values(), float(score)]
            for params, score in zip(results["params"], results["mean_test_score"], strict=True)
        ],
    )
    display = SweepDisplay.from_estimator(search, param_x="learning_rate", param_y="reg")
    save_figure(display.figure_, args, "softmax_sweep")
    return search


# %%
# The templates
# -------------
# The best setting, trained on training and validation set together. Bright pixels speak for a class, dark ones
# against it. A 0 has a dark middle. On CIFAR-10, airplanes and ships lie in blue, deer in green, and the horse
# has two heads: one template has to serve horses that look left and right.


def templates(search, data, args):
    """Draw the weights of each class, and test."""
    print_heading("The templates")
    print(f"  best: {search.best_params_}, validation accuracy {search.best_score_:.3f}")
    print(f"  test accuracy {search.score(data.X_test, data.y_test):.3f}")
    display = WeightsDisplay.from_estimator(search, n_cols=5)
    save_figure(display.figure_, args, "softmax_templates")


# %%
# All of it.


def main(argv=None):
    """Run the example."""
    args = parse_arguments(__doc__, argv)
    data = load_data(args)
    settings = SETTINGS[data.name]
    if args.quick:
        settings = {
            "once": {**settings["once"], "num_iters": 20},
            "sweep": {**settings["sweep"], "num_iters": 20},
            "grid": {name: values[:2] for name, values in settings["grid"].items()},
        }
    first_loss(data)
    train_once(data, args, settings)
    templates(sweep(data, args, settings), data, args)


if __name__ == "__main__":
    main()
