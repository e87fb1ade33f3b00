"""`mlp models trust` and `mlp models verify`: whose signatures count, and whether a version's holds."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from platform_lib.settings import Project, find_project, load_settings

if TYPE_CHECKING:
    from platform_lib.model.signing.signers import Signer
    from platform_lib.registry.reference import VersionRecord


@click.command(epilog="Example: mlp models trust ada.pub --name 'Ada Lovelace'")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", metavar="TEXT", help="Whose key it is.  [default: you, for this machine's key]")
def trust(*, file: Path | None, name: str | None) -> None:
    """Trust a public key to sign this project's versions.

    FILE is a public key in PEM; the default is that of this machine's signing key. The key is added to
    deploy/signing.pub: commit the file, so that servers and colleagues verify versions with it. To stop trusting a
    key, delete it from the file.
    """
    from platform_lib.files import write_atomically
    from platform_lib.model.signing.signers import parse_signers, read_signers, signer_entry
    from platform_lib.registry.override import who_acts

    project = find_project()
    target = project.signers_file
    known = read_signers(target) if target.is_file() else ()
    entry = file.read_text(encoding="utf-8") if file is not None else _own_entry(who_acts())
    added = list(parse_signers(entry, str(file or "this machine's key")))
    fresh = [each for each in added if each.fingerprint not in {signer.fingerprint for signer in known}]
    before = target.read_text(encoding="utf-8").rstrip("\n") + "\n\n" if known else ""
    if fresh:
        target.parent.mkdir(exist_ok=True)
        text = "\n".join(signer_entry(each.key, name or each.name or (file.name if file else "")) for each in fresh)
        write_atomically(target, before + text)
    where = target.relative_to(project.root).as_posix()
    for each in added:
        verb = "trusts now" if each in fresh else "trusted already"
        click.echo(f"{where} {verb}: {name or each.name or 'unnamed'} (key {each.fingerprint[:8]})")
    if fresh:
        click.echo(f"Commit {where}. Servers verify with it after the next `mlp deploy` or restart.", err=True)


@click.command(epilog="Example: mlp models verify sample-model/7")
@click.argument("reference", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(*, reference: str | None, as_json: bool) -> None:
    """Verify that a trusted key signed a version's files.

    REFERENCE is NAME, NAME@alias, NAME/7, @alias or 7; the default is the project's champion. Trusted are the public
    keys in deploy/signing.pub, or in the file that MLP_SIGNERS names.
    """
    from dataclasses import replace

    from platform_lib.errors import UntrustedModel
    from platform_lib.model.signing.verification import verify_signature
    from platform_lib.registry.loading import open_registry
    from platform_lib.registry.reference import parse_reference
    from platform_lib.registry.signing import signature_policy

    project = find_project()
    settings = load_settings()
    policy = signature_policy(project, replace(settings, signatures="require"))
    registry = open_registry(project, settings)
    record = registry.resolve(parse_reference(reference, project.name))
    try:
        signer = verify_signature(registry.folder(record), record.name, policy)
    except UntrustedModel as err:
        raise UntrustedModel(f"{record.name} version {record.version}: {err}") from err
    if as_json:
        shown = {"name": record.name, "version": record.version, "signer": signer.name, "key": signer.fingerprint}
        click.echo(json.dumps(shown, ensure_ascii=False))
    else:
        click.echo(f"{record.name} version {record.version} is signed by {signer}, and its files are unchanged.")


def signed_key(record: "VersionRecord") -> str:
    """The start of the key's fingerprint that a version's tag names, unverified; a dash for an unsigned version."""
    from platform_lib.names import VersionTag

    match = re.search(r"\(?key ([0-9a-f]{8})\)?$", record.tags.get(VersionTag.SIGNED_BY, ""))
    return match[1] if match else "–"


def signer_lines(project: Project, records: "list[VersionRecord]") -> list[str]:
    """Say for every key that signed a version whose it is, and whether the project trusts it."""
    from platform_lib.names import VersionTag

    named = {signed_key(record): record.tags.get(VersionTag.SIGNED_BY, "") for record in reversed(records)}
    named.pop("–", None)
    trusted = {each.fingerprint[:8] for each in _known(project)}
    return [
        f"Signed by {text}, {'trusted' if key in trusted else 'not trusted'}" for key, text in sorted(named.items())
    ]


def _known(project: Project) -> "tuple[Signer, ...]":
    from platform_lib.model.signing.signers import read_signers

    return read_signers(project.signers_file) if project.signers_file.is_file() else ()


def _own_entry(name: str) -> str:
    from platform_lib.model.signing.keys import open_key
    from platform_lib.model.signing.signers import signer_entry
    from platform_lib.registry.signing import signing_key_file

    return signer_entry(open_key(signing_key_file(load_settings())).public_key(), name)
