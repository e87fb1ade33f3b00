"""A monthly budget of the account with messages before it is exceeded. It stops nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from platform_lib.infra.aws.account import Site
from platform_lib.infra.aws.names import BUDGET_LIMIT, aws_name
from platform_lib.infra.base.setting_rules import COUNT, EMAIL, SettingError


@dataclass(frozen=True, kw_only=True)
class AwsBudgetArgs:
    """The limit, and who is told."""

    site: Site
    monthly_usd: int
    emails: Sequence[str]

    def __post_init__(self) -> None:
        COUNT.check("aws_monthly_usd", self.monthly_usd)
        if not self.emails:
            raise SettingError("aws_budget_emails is empty: name who is told before the budget is exceeded.")
        for index, email in enumerate(self.emails):
            EMAIL.check(f"aws_budget_emails[{index}]", email)


class AwsBudget(pulumi.ComponentResource):
    """Messages at 80 % of the limit, and when the forecast for the month exceeds it."""

    def __init__(self, name: str, args: AwsBudgetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform-lib:index:AwsBudget", name, None, opts)
        aws.budgets.Budget(
            name,
            name=aws_name(args.site.stack, limit=BUDGET_LIMIT),
            budget_type="COST",
            limit_amount=str(args.monthly_usd),
            limit_unit="USD",
            time_unit="MONTHLY",
            notifications=[
                {
                    "comparison_operator": "GREATER_THAN",
                    "notification_type": kind,
                    "threshold": threshold,
                    "threshold_type": "PERCENTAGE",
                    "subscriber_email_addresses": list(args.emails),
                }
                for kind, threshold in (("ACTUAL", 80), ("FORECASTED", 100))
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
