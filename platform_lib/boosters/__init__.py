"""LightGBM, XGBoost and CatBoost as scikit-learn estimators that can be stored in a model file.

`estimators` has the two estimators; `inner_rows` chooses the rows for early stopping; `libraries` lists the libraries,
with one adapter module each.
"""
