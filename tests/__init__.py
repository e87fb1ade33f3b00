"""Tests of the template, the library and the shared stack."""

import os

# As `mlp` does, for trainings in the tests' own processes: before anything loads scikit-learn.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
