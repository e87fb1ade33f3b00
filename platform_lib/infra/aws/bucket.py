"""A private S3 bucket: versioned, encrypted, TLS only, with a life cycle and access logs."""

from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from platform_lib.infra.aws.account import Site
from platform_lib.infra.aws.documents import allow, tls_only
from platform_lib.infra.aws.names import bucket_name

OLD_VERSIONS_DAYS = 90
"""How long a deleted or replaced object can be restored."""
ACCESS_LOG_DAYS = 365


@dataclass(frozen=True, kw_only=True)
class AwsBucketArgs:
    """What the bucket is for."""

    site: Site
    purpose: str
    """Part of the name, such as `artifacts`."""
    key_arn: pulumi.Input[str]
    """Encrypts its objects."""
    log_bucket: pulumi.Input[str] = ""
    """Bucket that gets the access log; empty makes this bucket one that others log to."""
    expire_days: int = 0
    """Age at which objects are deleted, in days; 0 keeps them."""


class AwsBucket(pulumi.ComponentResource):
    """A bucket that no one can make public by accident. `pulumi destroy` keeps it while it is protected."""

    name: str
    arn: pulumi.Output[str]

    def __init__(self, name: str, args: AwsBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:AwsBucket", name, None, opts)
        site = args.site
        self.name = bucket_name(site.stack, args.purpose, site.account_id)
        is_log_bucket = not args.log_bucket
        # A bucket that outlives its stack stays as closed as it was.
        child = pulumi.ResourceOptions(parent=self, retain_on_delete=True)
        bucket = aws.s3.Bucket(
            name,
            bucket=self.name,
            force_destroy=False,
            opts=pulumi.ResourceOptions(parent=self, protect=True, retain_on_delete=True),
        )
        self.arn = bucket.arn
        closed = aws.s3.BucketPublicAccessBlock(
            name,
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        aws.s3.BucketOwnershipControls(
            name, bucket=bucket.id, rule={"object_ownership": "BucketOwnerEnforced"}, opts=child
        )
        versioning = aws.s3.BucketVersioning(
            name, bucket=bucket.id, versioning_configuration={"status": "Enabled"}, opts=child
        )
        # S3 delivers access logs only to buckets that it encrypts with its own key.
        own_key = {"sse_algorithm": "aws:kms", "kms_master_key_id": args.key_arn}
        default = {"sse_algorithm": "AES256"} if is_log_bucket else own_key
        aws.s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=bucket.id,
            rules=[{"apply_server_side_encryption_by_default": default, "bucket_key_enabled": not is_log_bucket}],
            opts=child,
        )
        delivery = {
            **allow(
                ["s3:PutObject"],
                [bucket.arn.apply(lambda arn: f"{arn}/*")],
                StringEquals={"aws:SourceAccount": site.account_id},
            ),
            "Sid": "AccessLogs",
            "Principal": {"Service": "logging.s3.amazonaws.com"},
        }
        aws.s3.BucketPolicy(
            name,
            bucket=bucket.id,
            policy=tls_only(bucket.arn, *([delivery] if is_log_bucket else [])),
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[closed])),
        )
        days = args.expire_days or (ACCESS_LOG_DAYS if is_log_bucket else 0)
        rule = {
            "id": "tidy",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "noncurrent_version_expiration": {"noncurrent_days": OLD_VERSIONS_DAYS},
            "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
            **({"expiration": {"days": days}} if days else {}),
        }
        aws.s3.BucketLifecycleConfiguration(
            name,
            bucket=bucket.id,
            rules=[rule],
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[versioning])),
        )
        if not is_log_bucket:
            aws.s3.BucketLogging(
                name, bucket=bucket.id, target_bucket=args.log_bucket, target_prefix=f"{args.purpose}/", opts=child
            )
        self.register_outputs({"name": self.name, "arn": self.arn})
