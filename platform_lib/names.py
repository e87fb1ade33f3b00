"""Names that one part of the platform writes and another reads; constants only."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class Env:
    """Environment variables that the platform defines.

    Those of other tools, such as `MLFLOW_TRACKING_URI`, keep their names.
    """

    # Commands
    DEBUG: Final = "MLP_DEBUG"  # anything but 0: errors show their traceback
    API_KEY: Final = "MLP_API_KEY"  # the caller's key of a model server
    IMAGE_REPOSITORY: Final = "MLP_IMAGE_REPOSITORY"  # where `mlp deploy` pushes the image
    DEPLOY_IMAGE: Final = "MLP_DEPLOY_IMAGE"  # the image that a project's Pulumi stack deploys
    OSV_URL: Final = "MLP_OSV_URL"  # server with OSV's query API, for `mlp ci audit`
    ID_TOKEN: Final = "MLP_ID_TOKEN"  # identity of a GitLab job, for `mlp ci token`
    GITLAB_TOKEN: Final = "MLP_GITLAB_TOKEN"  # for the comment of `mlp ci comment` on a merge request
    SIGN: Final = "MLP_SIGN"  # how `mlp train` signs what it registers: key (the default) or off
    SIGNING_KEY: Final = "MLP_SIGNING_KEY"  # file of the private key; made if it does not exist
    PLATFORM_OF: Final = "MLP_PLATFORM_OF"  # set in every process of `mlp up`: the project's folder

    # Model server; most are also options of `mlp serve`
    ALLOWED_HOSTS: Final = "MLP_ALLOWED_HOSTS"  # separated by spaces
    KEYS: Final = "MLP_KEYS"
    LOG: Final = "MLP_LOG"
    LOG_POLICY: Final = "MLP_LOG_POLICY"
    LOG_FORMAT: Final = "MLP_LOG_FORMAT"  # json: the server's own log in JSON
    METRICS_PORT: Final = "MLP_METRICS_PORT"
    SIGNATURES: Final = "MLP_SIGNATURES"  # off, warn or require; also of `mlp predict` and `load_model`
    SIGNERS: Final = "MLP_SIGNERS"  # file of the trusted public keys; also of `mlp predict` and `load_model`
    POLL_S: Final = "MLP_POLL_S"
    MAX_BODY_MIB: Final = "MLP_MAX_BODY_MIB"
    BODY_MEMORY_MIB: Final = "MLP_BODY_MEMORY_MIB"
    MAX_ROWS: Final = "MLP_MAX_ROWS"
    CONCURRENCY: Final = "MLP_CONCURRENCY"
    QUEUE: Final = "MLP_QUEUE"
    REQUEST_TIMEOUT_S: Final = "MLP_REQUEST_TIMEOUT_S"
    BODY_TIMEOUT_S: Final = "MLP_BODY_TIMEOUT_S"
    KEEP_ALIVE_S: Final = "MLP_KEEP_ALIVE_S"
    CORS_ALLOWED_ORIGINS: Final = "MLP_CORS_ALLOWED_ORIGINS"  # separated by spaces
    CANARY_MAX_FAILURES: Final = "MLP_CANARY_MAX_FAILURES"
    OIDC_ISSUER: Final = "MLP_OIDC_ISSUER"
    OIDC_AUDIENCE: Final = "MLP_OIDC_AUDIENCE"
    OIDC_ALGORITHMS: Final = "MLP_OIDC_ALGORITHMS"
    WORKER_OPTIONS: Final = "MLP_WORKER_OPTIONS"  # from the server process to its workers, as JSON

    # Pods of the platform's own services, read by the modules in `infra/*/in_image`
    ACCESS_FILE: Final = "MLP_ACCESS_FILE"
    CA_FILE: Final = "MLP_CA_FILE"
    JOB_TEMPLATE: Final = "MLP_JOB_TEMPLATE"
    WORK_POOL: Final = "MLP_WORK_POOL"
    PENDING_LIMIT_S: Final = "MLP_PENDING_LIMIT_S"


POD_READY_PATH: Final = "/readyz/pod"
"""Of a model server, for readiness probes: also 200 while nothing was promoted yet, so that no rollout waits for it."""
NOTHING_TO_SERVE: Final = "nothing to serve"
"""Its `status` in that case."""
MODEL_LOOKUP: Final = "the model is being looked up."
"""Why a model server that has just started serves no version."""


class Alias:
    """Aliases of model versions in the registry."""

    CANDIDATE: Final = "candidate"  # the latest version that passed the gate
    CHAMPION: Final = "champion"  # the version that serves
    PREVIOUS: Final = "previous"  # the previous champion, for `mlp rollback`
    CANARY: Final = "canary"
    SHADOW: Final = "shadow"


class VersionTag:
    """Tags of a registered model version: its origin and the gate's verdict."""

    GIT_COMMIT: Final = "mlp.git_commit"
    DIRTY: Final = "mlp.dirty"
    DATA_HASH: Final = "mlp.data_hash"
    CONFIG_HASH: Final = "mlp.config_hash"
    LOCK_HASH: Final = "mlp.lock_hash"
    LIBRARY: Final = "mlp.library"
    PYTHON: Final = "mlp.python"
    FLOW_RUN: Final = "mlp.flow_run"
    LOGGED_ROWS: Final = "mlp.logged_rows"  # rows of the table that came from request log files, and these files
    MODEL: Final = "mlp.model"  # the choice in conf/model, such as `logistic`
    ESTIMATOR: Final = "mlp.estimator"  # class of the pipeline's last step, with the estimators in it
    GATE: Final = "mlp.gate"  # JSON of the gate's verdict
    MODEL_SHA256: Final = "mlp.model_sha256"
    FILES_SHA256: Final = "mlp.files_sha256"  # of the platform's other files in the artifact, together
    NEW_BASELINE: Final = (
        "mlp.new_baseline"  # the champion that `mlp train --new-baseline` excluded from the comparison
    )
    RETRAIN_REASON: Final = "mlp.retrain_reason"  # set by a retraining: why, such as `drift: income has drifted`
    RETRAIN_WINDOW: Final = "mlp.retrain_window"  # the period that the reason is about
    RETRAIN_ALERT: Final = "mlp.retrain_alert"  # the alert that asked for it: its name and when it began
    PROMOTED_SCORE: Final = "mlp.promoted_score"  # set by a promotion: JSON of metric, score, data name and target
    FORCED: Final = "mlp.forced"  # set by --force: `true`, or the only role that it allows: `canary`, `shadow`
    FORCED_BY: Final = "mlp.forced_by"  # who overrode the gate
    FORCED_AT: Final = "mlp.forced_at"  # when, ISO 8601 in UTC
    FORCED_REASON: Final = "mlp.forced_reason"  # why, in the words of `--reason`
    PROMOTED_BY: Final = "mlp.promoted_by"  # set by the shared MLflow: the login that made the version the champion
    PROMOTED_AT: Final = "mlp.promoted_at"  # set by the shared MLflow: when, ISO 8601 in UTC
    SIGNED_BY: Final = "mlp.signed_by"  # the signer's name and the start of the key's fingerprint; for display only
    PERCENT: Final = "mlp.percent"  # set by `mlp canary`: the canary's share of the requests in percent, 0 to 100
    CANARY_SINCE: Final = "mlp.canary_since"  # set by `mlp canary`: when the version became the canary, ISO 8601 in UTC


PERSONAL_TAGS: Final = frozenset(
    {
        VersionTag.FORCED_BY,
        VersionTag.FORCED_REASON,
        VersionTag.PROMOTED_BY,
        VersionTag.RETRAIN_REASON,
        VersionTag.SIGNED_BY,
    }
)
"""Tags that hold people's names or words: a model server shows them to admins only."""


class Header:
    """Request headers that callers of the model server set, in lower case."""

    STICKY: Final = "x-sticky-id"  # identifies the caller: equal values get the same version while a canary runs


class ArtifactFile:
    """Files of the platform in a model artifact, next to those of MLflow."""

    MODEL: Final = "model.skops"
    CONTRACT: Final = "contract.yaml"
    PROFILE: Final = "profile.json"
    CONFIG: Final = "config.yaml"
    ANSWERS: Final = "answers.json"
    CARD: Final = "card.yaml"  # the model card; versions with an empty one have no such file
    SIGNATURE: Final = "model.sig"  # an OpenSSF model signature over all other files
    MLFLOW_REFERENCE: Final = "registered_model_meta"  # MLflow writes it beside a model that it loads by `models:/`


class Port:
    """Default ports on a laptop."""

    MODEL_SERVER: Final = 8000
    METRICS: Final = 9000
    MLFLOW: Final = 5000
    PREFECT: Final = 4200


class MetricName:
    """Metrics of the model server, as Prometheus has them: dashboards and alert rules ask for these names."""

    REQUESTS: Final = "mlp_requests_total"
    SECONDS: Final = "mlp_request_seconds"
    IN_FLIGHT: Final = "mlp_in_flight"
    ROWS: Final = "mlp_batch_rows"
    ERRORS: Final = "mlp_errors_total"
    MODEL_INFO: Final = "mlp_model_info"
    CHAMPION_INFO: Final = "mlp_champion_info"
    REFUSED: Final = "mlp_model_refused_total"
    FAST_PATH: Final = "mlp_fast_path"
    CANARY_FAILURES: Final = "mlp_canary_failures_total"
    CANARY_OFF: Final = "mlp_canary_off"
    COMPARED: Final = "mlp_compared_rows_total"
    LOG_DROPPED: Final = "mlp_log_dropped_total"
    FEATURE_BIN: Final = "mlp_feature_bin_total"
    FEATURE_REFERENCE_SHARE: Final = "mlp_feature_reference_share"


class ExitCode(IntEnum):
    """Exit codes of `mlp`."""

    OK = 0
    REFUSED = 1  # a check failed, or the gate refused the model
    USAGE = 2  # invalid arguments or input
    SERVICE = 3  # a required service failed
    UPDATE = 4  # `mlp update --check` found a newer release
    BUG = 70


KEY_FILE_END: Final = "# end of the keys"
"""The last line of a key file that `mlp keys` writes."""
KEY_FILE_MARK: Final = f"# The last line is {KEY_FILE_END!r}: without it, the file is incomplete and not used."
"""A line at the start of such a file; files written by hand have neither."""

CONTRACT_VERSION: Final = 1
"""Version of `SharedOutputs`; raised only by a change that breaks existing readers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedOutputs:
    """Outputs of the shared stack that model stacks read: names and addresses, never secrets.

    New versions add fields; they never change or remove one.
    """

    contract_version: int = CONTRACT_VERSION
    platform: str
    """Display name of the platform."""
    domain: str
    models_host: str
    """Host of the model endpoints: `https://<models_host>/models/<name>`."""
    mlflow_url: str
    """Inside the cluster, such as `http://mlflow.mlp-mlflow:5000`."""
    mlflow_ui_url: str
    prefect_api_url: str
    """Inside the cluster; ends with `/api`."""
    prefect_ui_url: str
    grafana_url: str
    ingress_namespace: str
    monitoring_namespace: str
    cluster_issuer: str
    request_log_uri: str = ""
    """`s3://bucket/prefix`; empty if request logs are kept on a volume."""
    request_log_endpoint: str = ""
    """Address of the S3-compatible store of request logs; empty for AWS."""
    request_log_region: str = ""
    request_log_store: str = ""
    """Secret in the team's namespace with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; empty if pods need
    none."""
    image_registry: str = ""
    """Prefix of all image names if a mirror is used, else empty."""
    chart_mirror: str = ""
    """Folder or address of the chart mirror; empty if charts come from their public repositories."""
    registry_logins: str = ""
    """Names of Secrets in the team's namespace with the login to a registry, separated by spaces."""
    aws_region: str = ""
    """Region of a platform on AWS; empty for any other."""
    cluster_name: str = ""
    """Name of the EKS cluster, for `aws eks get-token`; empty for any other cluster."""
    model_image_registry: str = ""
    """Where teams push their images: `ACCOUNT.dkr.ecr.REGION.amazonaws.com/PREFIX`, before `/TEAM/MODEL`; empty
    without a registry of the platform."""
    data_uri: str = ""
    """`s3://bucket` for DVC; each team uses its name as prefix. Empty without a bucket of the platform."""


OUTPUTS_CONFIG_MAP: Final = "platform-outputs"
"""ConfigMap with `SharedOutputs` as strings, in the ingress namespace and in each team's namespace."""

TEAM_CREDENTIALS_SECRET: Final = "mlflow-credentials"
"""Secret in each team's namespace with the `username` and `password` of its pods for MLflow."""

TEAM_CI_CREDENTIALS_SECRET: Final = "mlflow-ci-credentials"
"""The same for the team's CI, which may have rights that pods and people do not have."""

TRAINING_SECRET: Final = "training"
"""Secret in a team's namespace with environment variables of trainings, such as keys of a bucket; need not exist."""

PREFECT_AUTH_SECRET: Final = "prefect-auth"
"""Secret in the namespaces of Prefect and of each team; key `PREFECT_AUTH_KEY` is for `PREFECT_API_AUTH_STRING`."""
PREFECT_AUTH_KEY: Final = "auth-string"

PREDICTION_COLUMN: Final = "prediction"
PROBABILITY_PREFIX: Final = "probability_"
