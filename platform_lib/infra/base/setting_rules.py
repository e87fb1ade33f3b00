"""Rules for the values of stack settings, with what to give instead. Creates no resource and needs no Pulumi."""

import base64
import binascii
import ipaddress
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from platform_lib.errors import UsageError


class SettingError(UsageError):
    """A setting that cannot be used. The message names the user's key, the value, and what to give instead."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition that a value must meet."""

    accepts: Callable[[Any], bool]
    remedy: str
    """What to give instead, as an instruction that follows `KEY is VALUE: `."""

    def check(self, key: str, value: Any, *, is_secret: bool = False) -> None:
        """Refuse a value that breaks the rule.

        Args:
            key: As the user writes it, such as `database_port` or `teams[0]`.
            value: Of the type that the rule expects.
            is_secret: Keeps the value out of the message.
        Raises:
            SettingError: The value breaks the rule.
        """
        if not self.accepts(value):
            given = "not of the expected form" if is_secret else shown(value)
            raise SettingError(f"{key} is {given}: {self.remedy}.")


def shown(value: Any) -> str:
    """A value in a message: quoted, and cut where it is long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def matching(pattern: str, remedy: str) -> Rule:
    """Text that a regular expression matches from end to end."""
    return Rule(lambda value: re.fullmatch(pattern, value) is not None, remedy)


def one_of(*allowed: str) -> Rule:
    """One of a few words."""
    return Rule(lambda value: value in allowed, f"use {' or '.join([', '.join(allowed[:-1]), allowed[-1]])}")


def at_least(minimum: int) -> Rule:
    """A whole number with a lower bound."""
    return Rule(lambda value: value >= minimum, f"give {minimum} or more")


def is_url(value: str, *schemes: str) -> bool:
    """Whether this is an absolute URL with a host, and a valid port where there is one."""
    try:
        parts = urlsplit(value)
        valid_port = parts.port is None or parts.port > 0
    except ValueError:
        return False
    return (
        parts.scheme in schemes
        and valid_port
        and re.fullmatch(r"[\w.:-]+", parts.hostname or "") is not None
        and not re.search(r"\s", value)
    )


def quantity(value: str) -> float | None:
    """A Kubernetes quantity as a number, such as 0.5 for `500m`; None for other text."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?|\.\d+)(m|k|M|G|T|Ki|Mi|Gi|Ti)?", value)
    return float(found[1]) * _UNITS[found[2] or ""] if found else None


def _is_network(value: str) -> bool:
    return _is_network_or_all(value) and ipaddress.ip_network(value, strict=False).prefixlen > 0


def _is_network_or_all(value: str) -> bool:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return False
    return True


def _is_pem(value: str) -> bool:
    blocks = re.findall(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", value, re.DOTALL)
    try:
        return bool(blocks) and all(base64.b64decode("".join(block.split()), validate=True) for block in blocks)
    except binascii.Error:
        return False


_UNITS: Final = {
    "": 1,
    "m": 0.001,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_MIB: Final = 2**20

TEXT: Final = matching(r"[^\s]+", "give text without spaces")
PRIVATE_KEY: Final = matching(
    r"\s*-----BEGIN [A-Z ]*PRIVATE KEY-----[A-Za-z0-9+/=\s]+-----END [A-Z ]*PRIVATE KEY-----\s*",
    "give the text of a PEM private key without a password",
)
LINE: Final = matching(r"[^\r\n]+", "give one line of text")
PORT: Final = Rule(lambda value: 1 <= value <= 65535, "give a port from 1 to 65535")
COUNT: Final = at_least(1)
COUNT_OR_NONE: Final = at_least(0)
POSITIVE: Final = Rule(lambda value: value > 0 and math.isfinite(value), "give a number above 0")
SHARE: Final = Rule(lambda value: 0 < value < 1, "give a share between 0 and 1, such as 0.02")
HTTPS_URL: Final = Rule(lambda value: is_url(value, "https"), "give an https:// address")
HTTP_URL: Final = Rule(
    lambda value: is_url(value, "http", "https"), "give an address with its scheme, such as https://s3.example.com"
)
ORIGIN: Final = matching(
    r"https?://[a-z0-9.-]+(:[0-9]+)?",
    "give an origin as browsers send it, such as https://app.example.com, in lower case and without a path",
)
PROXY_URL: Final = Rule(
    lambda value: is_url(value, "http", "https"), "give an address such as http://proxy.example.com:3128"
)
DOMAIN: Final = matching(
    rf"(?=.{{1,200}}$)({_LABEL}\.)+{_LABEL}", "give a lower-case DNS name that you own, such as ml.example.com"
)
HOST: Final = matching(rf"({_LABEL}\.)+{_LABEL}", "give a host name such as mlflow.example.com")
EMAIL_DOMAIN: Final = matching(
    rf"\*|\.?({_LABEL}\.)+{_LABEL}",
    "give the part of an e-mail address after the @, such as example.com, or * for every address",
)
EMAIL: Final = matching(rf"[^\s@,;]+@({_LABEL}\.)+{_LABEL}", "give an e-mail address, such as platform@example.com")
NETWORK: Final = Rule(
    _is_network,
    "give the network of a proxy, such as 10.0.0.0/8; with the whole internet in it, callers could choose their own "
    "address",
)
ADDRESSES: Final = Rule(_is_network_or_all, "give a network such as 203.0.113.0/24")
NAMESPACE: Final = matching(
    _LABEL, "give the name of a Kubernetes namespace: at most 63 lowercase letters, digits and dashes"
)
KUBERNETES_NAME: Final = matching(
    rf"(?=.{{1,253}}$)({_LABEL}\.)*{_LABEL}",
    "give the name of a Kubernetes object: lowercase letters, digits, dashes and dots",
)
GROUP: Final = matching(r"[^\s,]([^\r\n,]*[^\s,])?", "give the name of one group, without commas")
BUCKET_URI: Final = matching(
    r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w./=-]*)?", "give s3://bucket/prefix, or leave it empty to use a volume"
)
REGION: Final = matching(r"[A-Za-z0-9][A-Za-z0-9-]*", "give a region such as eu-central-1")
IMAGE: Final = matching(
    r"[^\s@]+@sha256:[0-9a-f]{64}",
    "name it by its digest, NAME@sha256:…; a tag may mean another image tomorrow, and `mlp deploy` passes the digest",
)
IMAGE_REGISTRY: Final = matching(
    rf"({_LABEL}\.)*{_LABEL}(:\d{{1,5}})?(/[a-z0-9._-]+)*",
    "give host and path without a scheme, such as registry.example.com/mirror",
)
CHART_MIRROR: Final = Rule(
    lambda value: (
        is_url(value, "https", "http", "oci")
        or ("://" not in value.removeprefix("file://") and not re.search(r"[\r\n]", value))
    ),
    "give a folder, or an https:// or oci:// address of a chart repository",
)
HOST_LIST: Final = Rule(
    lambda value: all(
        re.fullmatch(r"[\w*.:\[\]-]+(/\d{1,3})?", part.strip()) for part in value.split(",") if part.strip()
    ),
    "give hosts, domains or networks, comma-separated, such as .internal,10.1.0.0/16",
)
PEM: Final = Rule(
    _is_pem, "give the text of PEM certificates, from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----"
)
CPU: Final = Rule(lambda value: (quantity(value) or 0) >= 0.001, "give CPUs above 0, such as 500m or 2")
MEMORY: Final = Rule(lambda value: (quantity(value) or 0) >= _MIB, "give an amount with its unit, such as 512Mi or 2Gi")
FILE: Final = Rule(lambda value: Path(value).exists(), "give the absolute path of a file that exists")
VERSION: Final = matching(
    r"[1-9]\d*", "give the number of a registered version, or leave it empty to follow the champion"
)
