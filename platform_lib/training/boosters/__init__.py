"""LightGBM, XGBoost and CatBoost in a training: the choice of `conf/model`, and the rows by which they stop early."""
