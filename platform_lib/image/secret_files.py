"""Files that must not get into an image: keys, passwords and credentials, by their names and contents."""

import re
from fnmatch import fnmatchcase
from pathlib import Path

SECRET_NAMES = (
    # Environment files and tokens of package indexes and repositories
    ".env", ".env.*", "*.env", ".envrc", ".netrc", "_netrc", ".pypirc", ".npmrc", ".yarnrc.yml", ".git-credentials",
    ".dockercfg", ".vault-token", ".condarc", "pip.conf", "pip.ini",
    # Keys
    "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.ppk", "*.kdbx", "*.gpg", "*.age", "*.ovpn",
    "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*",
    # Credentials of clouds, clusters and databases
    "kubeconfig", "kubeconfig.*", "*.kubeconfig", "credentials", "credentials.*", "*_credentials.*", "*-credentials.*",
    "client_secret*.json", "service_account*.json", "service-account*.json", "*.tfstate", "*.tfstate.*", "*.tfvars",
    ".s3cfg", ".boto", ".pgpass", ".my.cnf", ".htpasswd", ".databrickscfg", "kaggle.json",
    "secret.*", "secrets.*", "*.secret", "*.secrets",
)  # fmt: skip
"""Patterns of file names, in lower case."""
SECRET_FOLDERS = (".aws", ".azure", ".docker", ".gcloud", ".gnupg", ".kube", ".ssh")
SECRET_PATHS = (".dvc/config.local",)
_HARMLESS = (".env.example", ".env.sample", ".env.template", "*.py", "*.pyi", "*.md", "*.pub")
"""Of these names, some that a pattern above matches: code and documentation."""
_PRIVATE_KEY = re.compile(rb"^-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY-----", re.MULTILINE)
_CERTIFICATES = re.compile(rb"\s*(-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----\s*|#[^\n]*\n\s*)+")
_DVC_SECRET = re.compile(
    r"^\s*\w*(password|passphrase|secret|access_key_id|token|account_key|connection_string|credentials?)\w*\s*=\s*\S",
    re.IGNORECASE | re.MULTILINE,
)
_READ_BYTES = 2**20


def why_secret(root: Path, path: str) -> str | None:
    """Why a file should not be in an image; None if nothing is known against it.

    Args:
        root: Of the project.
        path: Relative to it, with slashes.
    """
    *folders, name = path.lower().split("/")
    if path.lower() in SECRET_PATHS or f"{'/'.join(folders[-1:])}/{name}" in SECRET_PATHS:
        return "it holds the credentials of a DVC remote"
    if hidden := next((folder for folder in folders if folder in SECRET_FOLDERS), None):
        return f"{hidden} holds credentials"
    content = _start(root / path)
    if any(fnmatchcase(name, pattern) for pattern in SECRET_NAMES) and not (
        any(fnmatchcase(name, pattern) for pattern in _HARMLESS)
        or (name.endswith(".pem") and _CERTIFICATES.fullmatch(content))
    ):
        return "its name is that of a file with secrets"
    if _PRIVATE_KEY.search(content):
        return "it contains a private key"
    if path == ".dvc/config" and _DVC_SECRET.search(content.decode("utf-8", "replace")):
        return "it contains a credential; move it to .dvc/config.local with `dvc remote modify --local`"
    return None


def _start(file: Path) -> bytes:
    if file.is_symlink() or not file.is_file():
        return b""
    with file.open("rb") as content:
        return content.read(_READ_BYTES)
