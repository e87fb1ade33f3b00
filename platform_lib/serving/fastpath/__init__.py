"""A fitted pipeline's arithmetic without its surroundings: no frames, the same numbers. One file a family of transformers or estimators.

`plan` puts a pipeline together from what the families cover and leaves the rest to scikit-learn; `parity` proves the result equal before it is used.
"""
