"""Tests of LightGBM, XGBoost and CatBoost."""
