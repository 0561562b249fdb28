"""What must not change where training goes on from a fit (warm_start, partial_fit)."""

from sklearn_dl._estimator_state import defaults


def check_same_net(net_class, made, now, as_parameter):
    """Raise ValueError if the parameters describe another net than the one that is to be trained on.

    Parameters
    ----------
    net_class : type
    made, now : dict
        Arguments that the net was made with, and those that it would be made with now.
    as_parameter : callable
        Takes name and value of an argument. Returns those of the parameter that it comes from.
    """
    # A net of an earlier release was made without the arguments that came later.
    made = {**defaults(net_class), **made}
    changed = [name for name in now if made[name] != now[name]]
    if changed:
        changes = []
        for argument in changed:
            (name, before), (_, after) = (as_parameter(argument, args[argument]) for args in (made, now))
            changes.append(f"{name} from {before!r} to {after!r}")
        raise ValueError(f"A net that is trained further (warm_start, partial_fit) cannot change {', '.join(changes)}.")


def check_schedule_has_room(state, schedule, length, *, given):
    """Raise ValueError if partial_fit has come to the end of a schedule that has one.

    Parameters
    ----------
    state : TrainingState
    schedule : Schedule or None
    length : tuple (num_epochs, num_iters)
        That of the schedule; num_iters may be None.
    given : object
        What the user has set `lr_schedule` to, for the message.
    """
    same = state.schedule == repr(schedule) and state.schedule_length is not None
    if not same or schedule is None or not schedule.needs_length:
        return
    epoch, update = state.schedule_began
    num_epochs, num_iters = length
    if num_iters is None:
        name, done, most = "num_epochs", state.epoch - epoch, num_epochs
    else:
        name, done, most = "num_iters", state.num_updates - update, num_iters
    if done >= most:
        raise ValueError(
            f"lr_schedule={given!r} has come to its end, that of {name}={most}: to go on with partial_fit,"
            f" raise {name}, or set lr_schedule=None."
        )
