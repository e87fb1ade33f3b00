"""`SharedOutputs` as the texts of a ConfigMap and back: how the shared stack and model stacks talk without sharing a secret."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields

from platform_lib.errors import UsageError
from platform_lib.names import CONTRACT_VERSION, OUTPUTS_CONFIG_MAP, SharedOutputs


def outputs_data(outputs: SharedOutputs) -> dict[str, str]:
    """What the ConfigMap holds."""
    return {name: str(value) for name, value in asdict(outputs).items()}


def read_outputs(data: Mapping[str, str], *, where: str = OUTPUTS_CONFIG_MAP) -> SharedOutputs:
    """Read it; keys that a later platform added are passed over, those that an earlier one lacks get their defaults.

    Args:
        where: Named in errors.
    Raises:
        UsageError: A value that is needed is missing, or the contract is another one.
    """
    version = data.get("contract_version", "")
    if version != str(CONTRACT_VERSION):
        raise UsageError(
            f"{where} has contract version {version or 'none'}, this library reads {CONTRACT_VERSION}: bring the shared stack and this project to "
            "versions that fit (`copier update` here, `pulumi up` there)."
        )
    needed = [field.name for field in fields(SharedOutputs) if field.default is MISSING]
    missing = [name for name in needed if not data.get(name)]
    if missing:
        raise UsageError(
            f"{where} lacks {', '.join(missing)}: run `pulumi up` of the shared stack, which writes it anew."
        )
    known = {field.name for field in fields(SharedOutputs)} - {"contract_version"}
    return SharedOutputs(
        contract_version=int(version), **{name: value for name, value in data.items() if name in known}
    )
