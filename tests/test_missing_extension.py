"""Without its compiled extension the package says how to build it."""

import subprocess
import sys

SCRIPT = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name == "sklearn_dl._ext._kernels":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Refuse())
try:
    import sklearn_dl
    from sklearn_dl import layers
except ImportError as error:
    print(error)
    print("caused by", type(error.__cause__).__name__)
"""


def test_import_error_says_how_to_build():
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert "compiled kernels are missing" in run.stdout
    assert "pip install" in run.stdout
    assert "caused by ModuleNotFoundError" in run.stdout
