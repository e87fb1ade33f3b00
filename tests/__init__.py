"""Tests of the template, the library and the shared stack."""

import os

# For trainings in the tests' processes, before anything loads scikit-learn: the tests keep every core busy already, so
# further threads would only wait for each other.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")
