"""In what order and with what arguments the gallery's examples run."""

# From simple to composed; examples that are not named here follow by name.
ORDER = [
    "plot_softmax.py",
    "plot_two_layer_net.py",
    "plot_fully_connected_nets.py",
    "plot_dropout.py",
    "plot_normalization.py",
    "plot_convolutional_nets.py",
    "plot_regression.py",
    "plot_schedules_and_augmentation.py",
    "plot_parameter_search.py",
    "plot_ensembles_and_calibration.py",
    "plot_larger_than_memory.py",
]


def reading_order(filename):
    """Sort key of an example."""
    return ORDER.index(filename) if filename in ORDER else len(ORDER), filename


def arguments(gallery_conf, script_vars):
    """Command line of an example, which runs in its own folder: its picture files are not to stay there."""
    return ["--output", "../docs/_build/pictures"]
