"""What the tests of ONNX share: run a model, compare it with the estimator that it was converted from."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
skl2onnx = pytest.importorskip("skl2onnx", reason="skl2onnx is not installed")


def run(onnx_model, X, *, check_shapes=True):
    """Return what onnxruntime computes, after ONNX's own checks."""
    onnx.checker.check_model(onnx_model, full_check=check_shapes)
    session = onnxruntime.InferenceSession(onnx_model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [variable.name for variable in session.get_inputs()]
    columns = [X] if names == ["X"] else [X.iloc[:, [i]].to_numpy() for i in range(len(names))]
    return session.run(None, dict(zip(names, columns, strict=True)))


def assert_equal_predictions(model, onnx_model, X, atol=1e-5):
    labels, *scores = run(onnx_model, X)
    np.testing.assert_array_equal(labels, model.predict(X))
    if hasattr(model, "predict_proba"):
        np.testing.assert_allclose(scores[0], model.predict_proba(X), rtol=0, atol=atol)


def scores_by_column(scores):
    """Return decision_function as ONNX has it: in two columns for two classes."""
    return np.column_stack([-scores, scores]) if scores.ndim == 1 else scores
