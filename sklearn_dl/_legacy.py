"""What earlier releases stored, as this one has it."""

import math

import numpy as np

# The attributes of 0.1.0 that have become fields of a `TrainingState`, but for those that need more than a new name.
FIELDS = {
    "params": "params_",
    "statistics": "running_stats_",
    "optim_configs": "_optim_state",
    "update_rule": "_update_rule",
    "random_state": "_random_state",
    "net_random_state": "_random_state",
    "epoch": "n_iter_",
}
HISTORIES = {
    "loss_history": "loss_history_",
    "learning_rate_history": "learning_rate_history_",
    "train_acc_history": "train_acc_history_",
    "val_acc_history": "val_acc_history_",
}


def upgrade_state(attributes):
    """Return the state of an estimator that 0.1.0 pickled or saved, as the estimators take it now.

    Parameters
    ----------
    attributes : dict
        Of a fitted estimator.

    Returns
    -------
    state : dict
    """
    best, schedule, history = (attributes[name] for name in ("best_val_score_", "_schedule", "history_"))
    n_epochs = len(history["epoch"])
    archive = {field: attributes[name] for field, name in FIELDS.items()}
    archive |= {field: np.array(attributes[name]) for field, name in HISTORIES.items()}
    archive["history"] = {name: np.array(values) for name, values in history.items()}
    archive["history"]["val_loss"] = np.full(n_epochs, math.nan)
    archive |= {
        "initial_loss": math.nan,
        "validated": best is not None,
        "best_epoch": None,
        "best_val_acc": 0.0 if best is None else best,
        "best_score": -math.inf,
        "best_params": {},
        "best_statistics": {},
        "stop_score": -math.inf,
        "epochs_without_gain": 0,
        "stop_reason": None,
        "schedule": schedule["lr_schedule"],
        "schedule_state": schedule["state"],
        "schedule_began": tuple(schedule["began"]),
        # What 0.1.0 kept is whether there was one.
        "schedule_length": (0, None) if schedule["in_parts"] else None,
    }
    replaced = {*FIELDS.values(), *HISTORIES.values(), "best_val_score_", "_schedule", "history_"} - {"_random_state"}
    return {**{name: value for name, value in attributes.items() if name not in replaced}, "_state": archive}
