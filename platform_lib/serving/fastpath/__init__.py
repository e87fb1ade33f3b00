"""Fast predictions: a fitted scikit-learn pipeline's arithmetic on plain arrays, without data frames.

One file per family of transformers or estimators in `families`. `plan` builds a pipeline from the steps that the
families cover and leaves the rest to scikit-learn; `parity` proves that the predictions agree before the result is
used.
"""
