"""A net as a tree of plain values and arrays, and the way back; `sklearn_dl._archive` writes and reads such trees.

Layers are stored by class name and arguments. On the way back all fields are checked before a net is made. Its layers
are built without first parameters, see `sklearn_dl.nets.net.StoredArrays`: a file cannot ask for more than it holds.
"""

import numpy as np

from sklearn_dl._archive import tree_place
from sklearn_dl._checks import check_dtype, check_real
from sklearn_dl._saving import Kind, check_class, register
from sklearn_dl.layers._layer import Layer
from sklearn_dl.layers._registry import LAYERS
from sklearn_dl.nets.convnet import ThreeLayerConv
from sklearn_dl.nets.fully_connected import FullyConnected
from sklearn_dl.nets.heads import HEADS
from sklearn_dl.nets.net import Net, StoredArrays, check_input_shape

NETS = {cls.__name__: cls for cls in (Net, FullyConnected, ThreeLayerConv)}
_FIELDS = ("net", "layers", "input_shape", "head", "reg", "dtype", "params", "statistics", "random_state")


def net_to_tree(net):
    """Return the tree of a net of this package.

    Raises
    ------
    TypeError
        If the net or one of its layers is of another class.
    """
    name = type(net).__name__
    if NETS.get(name) is not type(net):
        raise TypeError(
            f"net must be an instance of {', '.join(NETS)} itself, got {name}; use pickle for anything else."
        )
    return {
        "net": name,
        "layers": [_layer_to_tree(layer, f"layers[{i}]") for i, layer in enumerate(net.layers)],
        "input_shape": net.input_shape,
        "head": _head_to_tree(net.head),
        "reg": net.reg,
        "dtype": net.dtype,
        "params": dict(net.params),
        "statistics": net.statistics,
        "random_state": net.random_state,
    }


def _head_to_tree(head):
    """Return a head's name and arguments."""
    if HEADS.get(head.name) is not type(head):
        raise TypeError(
            f"head is a {type(head).__name__}, which is none of sklearn_dl.nets.heads: a file cannot bring its code"
            " along. Use pickle."
        )
    return {"head": head.name, "arguments": head.arguments()}


def _head_from_tree(value):
    """Return the head that a tree stands for."""
    if not isinstance(value, dict) or value.keys() != {"head", "arguments"}:
        raise ValueError(f"head is {value!r:.80}, which is none.")
    cls = HEADS.get(value["head"]) if isinstance(value["head"], str) else None
    if cls is None:
        raise ValueError(f"head is {value['head']!r:.80}; known are {', '.join(HEADS)}.")
    return cls(**_check_dict(value, "arguments"))


def _layer_to_tree(value, place):
    """Return a layer's class and arguments; layers among its arguments, in lists too, likewise."""
    if isinstance(value, Layer):
        name = type(value).__name__
        if LAYERS.get(name) is not type(value):
            raise TypeError(
                f"{place} is a {name}, which is no layer of sklearn_dl.nets.layers: a file cannot bring its code along."
                " Use pickle."
            )
        arguments = {key: _layer_to_tree(item, f"{place}.{key}") for key, item in value.arguments().items()}
        return {"layer": name, "arguments": arguments}
    if type(value) in (list, tuple):
        return type(value)(_layer_to_tree(item, f"{place}[{i}]") for i, item in enumerate(value))
    return value


def net_from_tree(tree):
    """Return the net that `net_to_tree` made this tree of.

    Raises
    ------
    TypeError, ValueError
        If the tree is any other: the message names the field.
    """
    if "head" not in tree:  # of a file that 0.1.0 wrote
        tree = {**tree, "head": {"head": "softmax", "arguments": {}}}
    if tree.keys() != set(_FIELDS):
        raise ValueError(f"a net has the fields {', '.join(_FIELDS)}, got {', '.join(map(str, tree))}.")
    cls = NETS.get(tree["net"])
    if cls is None:
        raise ValueError(f"net is {tree['net']!r:.80}; known are {', '.join(NETS)}.")
    random_state = tree["random_state"]
    if type(random_state) is not np.random.RandomState:
        raise TypeError(f"random_state is {random_state!r:.80}, which is no RandomState.")
    if not isinstance(tree["layers"], list) or not tree["layers"]:
        raise ValueError("layers are no list of layers.")
    params, statistics = _check_dict(tree, "params"), _check_dict(tree, "statistics")
    net = cls.__new__(cls)
    net.input_shape = check_input_shape(tree["input_shape"])
    net.head = _head_from_tree(tree["head"])
    net.reg = check_real("reg", tree["reg"], low=0)
    net.dtype = check_dtype("dtype", tree["dtype"])
    net.random_state = random_state
    layers = [_layer_from_tree(item, f"layers[{i}]") for i, item in enumerate(tree["layers"])]
    net._take_stored(layers, StoredArrays(params, statistics))
    return net


def _layer_from_tree(value, place):
    """Return the layer that a tree stands for."""
    if not isinstance(value, dict) or value.keys() != {"layer", "arguments"}:
        raise ValueError(f"{place} is {value!r:.80}, which is no layer.")
    cls = LAYERS.get(value["layer"])
    if cls is None:
        raise ValueError(f"{place} is of class {value['layer']!r:.80}; known are {', '.join(LAYERS)}.")
    arguments = _check_dict(value, "arguments")
    return cls(**{key: _argument_from_tree(item, f"{place}.{key}") for key, item in arguments.items()})


def _argument_from_tree(value, place):
    if isinstance(value, (list, tuple)):
        return type(value)(_argument_from_tree(item, f"{place}[{i}]") for i, item in enumerate(value))
    return _layer_from_tree(value, place) if isinstance(value, dict) else value


def _check_dict(tree, field):
    value = tree[field]
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ValueError(f"{field} is a {type(value).__name__}, which is no dict of names.")
    return value


def _to_tree(net):
    name = type(net).__name__
    return net_to_tree(net), lambda keys: f"{tree_place(keys)} of {name}"


def _is_tree(tree):
    return isinstance(tree, dict) and "net" in tree


def _from_tree(tree, expected_class, file, writer):
    try:
        net = net_from_tree(tree)
    except (AttributeError, LookupError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise ValueError(f"{file} does not hold a valid net ({writer}): {error!s:.2000}") from error
    check_class(type(net), expected_class, file)
    return net


register("net", Kind(Net, NETS, _to_tree, _is_tree, _from_tree))
