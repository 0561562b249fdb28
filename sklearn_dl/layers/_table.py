"""One line a layer: its functions become names of `sklearn_dl.layers`, its object one of `sklearn_dl.nets.layers`."""

from sklearn_dl.layers.affine import *
from sklearn_dl.layers.affine_activation import *
from sklearn_dl.layers.affine_relu import *
from sklearn_dl.layers.batchnorm import *
from sklearn_dl.layers.conv import *
from sklearn_dl.layers.conv_activation import *
from sklearn_dl.layers.conv_relu_pool import *
from sklearn_dl.layers.dropout import *
from sklearn_dl.layers.gelu import *
from sklearn_dl.layers.groupnorm import *
from sklearn_dl.layers.identity import *
from sklearn_dl.layers.layernorm import *
from sklearn_dl.layers.leaky_relu import *
from sklearn_dl.layers.logistic import *
from sklearn_dl.layers.pool import *
from sklearn_dl.layers.relu import *
from sklearn_dl.layers.sandwich import *
from sklearn_dl.layers.silu import *
from sklearn_dl.layers.tanh import *
