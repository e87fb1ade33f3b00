"""The stack's outputs: names and addresses. They depend on the settings only, so a preview knows them too."""

import pulumi

from infra_stack.config import StackConfig
from platform_lib.infra.aws.names import CLUSTER_LIMIT, aws_name, bucket_name
from platform_lib.infra.base import naming
from platform_lib.names import SharedOutputs


def shared_outputs(config: StackConfig) -> SharedOutputs:
    """The outputs that model stacks read. None is secret."""
    stack = pulumi.get_stack()
    registry = f"{config.aws_account_id}.dkr.ecr.{config.aws_region}.amazonaws.com"
    mlflow, prefect, grafana = (f"https://{naming.host(name, config.domain)}" for name in naming.UI_HOSTS)
    return SharedOutputs(
        platform=naming.PLATFORM,
        domain=config.domain,
        models_host=naming.host(naming.MODELS_HOST, config.domain),
        mlflow_url=naming.MLFLOW_URL,
        mlflow_ui_url=mlflow,
        prefect_api_url=naming.PREFECT_API_URL,
        prefect_ui_url=prefect,
        grafana_url=grafana,
        ingress_namespace=naming.INGRESS_NAMESPACE,
        monitoring_namespace=naming.MONITORING_NAMESPACE,
        cluster_issuer=config.cluster_issuer or naming.CLUSTER_ISSUER,
        request_log_uri=config.request_log_uri.rstrip("/"),
        request_log_endpoint=config.s3_endpoint if config.request_log_uri else "",
        request_log_region=config.s3_region if config.request_log_uri else "",
        image_registry=config.image_registry,
        chart_mirror=config.chart_mirror,
        registry_logins=" ".join(config.pods.pull_secrets),
        aws_region=config.aws_region,
        cluster_name=aws_name(stack, limit=CLUSTER_LIMIT) if config.is_aws else "",
        model_image_registry=f"{registry}/{aws_name(stack)}" if config.is_aws else "",
        data_uri=f"s3://{bucket_name(stack, 'data', config.aws_account_id)}" if config.is_aws else "",
    )
