"""Outputs of the shared stack as the data of a ConfigMap, which model stacks read. Contains no secret."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields

from platform_lib.errors import UsageError
from platform_lib.names import CONTRACT_VERSION, OUTPUTS_CONFIG_MAP, SharedOutputs


def outputs_data(outputs: SharedOutputs) -> dict[str, str]:
    """Return the outputs as the data of a ConfigMap."""
    return {name: str(value) for name, value in asdict(outputs).items()}


def read_outputs(data: Mapping[str, str], *, where: str = OUTPUTS_CONFIG_MAP) -> SharedOutputs:
    """Read the outputs. Unknown keys of a newer platform are ignored; missing optional keys get their defaults.

    Args:
        data: Data of the ConfigMap.
        where: Name of the source in error messages.
    Raises:
        UsageError: A required value is missing, or the contract version differs.
    """
    version = data.get("contract_version", "")
    if version != str(CONTRACT_VERSION):
        raise UsageError(
            f"{where} has contract version {version or 'none'}, but this library reads version {CONTRACT_VERSION}: "
            "bring both to the same version (`copier update` in this project, `pulumi up` of the shared stack)."
        )
    needed = [field.name for field in fields(SharedOutputs) if field.default is MISSING]
    missing = [name for name in needed if not data.get(name)]
    if missing:
        raise UsageError(f"{where} lacks {', '.join(missing)}: run `pulumi up` of the shared stack, which rewrites it.")
    known = {field.name for field in fields(SharedOutputs)} - {"contract_version"}
    return SharedOutputs(
        contract_version=int(version), **{name: value for name, value in data.items() if name in known}
    )
