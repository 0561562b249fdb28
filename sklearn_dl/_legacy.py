"""Conversion of what earlier releases stored."""

import math


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
    attributes = dict(attributes)
    best, schedule, generator = (attributes[name] for name in ("best_val_score_", "_schedule", "_random_state"))
    history = attributes["history_"]
    attributes["history_"] = {**history, "val_loss": [math.nan] * len(history["epoch"])}
    attributes |= {"best_epoch_": None, "stop_reason_": None}
    del attributes["_schedule"]
    attributes["_state"] = {
        "optim_configs": attributes.pop("_optim_state"),
        "random_state": generator,
        "net_random_state": generator,
        "update_rule": attributes.pop("_update_rule"),
        "initial_loss": math.nan,
        "initial_n_classes": 0,
        "validated": best is not None,
        "best_val_acc": 0.0 if best is None else best,
        "best_score": -math.inf,
        "best_params": {},
        "best_statistics": {},
        "last_params": {},
        "last_statistics": {},
        "held_out": {},
        "stop_score": -math.inf,
        "epochs_without_gain": 0,
        "schedule": schedule["lr_schedule"],
        "schedule_state": schedule["state"],
        "schedule_began": tuple(schedule["began"]),
        # 0.1.0 stored only whether there was one.
        "schedule_length": (0, None) if schedule["in_parts"] else None,
    }
    return attributes
