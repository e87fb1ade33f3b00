"""Outputs of a shared stack, for tests of model stacks."""

from platform_lib.names import SharedOutputs

SHARED = SharedOutputs(
    platform="ml",
    domain="ml.example.com",
    models_host="models.ml.example.com",
    mlflow_url="http://mlflow.mlp-mlflow:5000",
    mlflow_ui_url="https://mlflow.ml.example.com",
    prefect_api_url="http://prefect-server.mlp-prefect:4200/api",
    prefect_ui_url="https://prefect.ml.example.com",
    grafana_url="https://grafana.ml.example.com",
    ingress_namespace="mlp-ingress",
    monitoring_namespace="mlp-monitoring",
    cluster_issuer="platform",
)
