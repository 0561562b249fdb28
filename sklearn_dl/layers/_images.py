"""Helpers of the layers for images."""


def image_shape(layer, in_shape):
    """Return `in_shape` if it is that of an image."""
    if len(in_shape) != 3:
        raise ValueError(f"layers: {type(layer).__name__} needs images (C, H, W), but its input has shape {in_shape}.")
    return in_shape


def window_at(i, j, height, width, stride):
    """Index of the window of output pixel (i, j) in an image (C, H, W)."""
    top, left = i * stride, j * stride
    return slice(None), slice(top, top + height), slice(left, left + width)
