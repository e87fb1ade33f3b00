"""A version whose files were changed in the store is refused, whoever could also change the registry's tags.

The attacker can write to the artifact store and to the registry, but has no trusted private key.
"""

import base64
import json
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from platform_lib.errors import UntrustedModel, UsageError
from platform_lib.model.artifact import file_sha256, files_sha256
from platform_lib.model.signing.bundle import fingerprint, sign_folder
from platform_lib.model.signing.keys import default_key_file, open_key
from platform_lib.model.signing.signers import parse_signers, read_signers, signer_entry
from platform_lib.model.signing.verification import SignaturePolicy, check_signature, verify_signature
from platform_lib.names import VersionTag
from platform_lib.project import load_model
from platform_lib.registry.loading import open_registry
from platform_lib.registry.reference import Reference
from platform_lib.registry.signing import signature_policy, signing_key
from platform_lib.serving.models.loader import Follower
from platform_lib.serving.models.local_registry import LocalRegistryClient
from platform_lib.settings import Project, Settings, find_project
from tests.conftest import Called, copy_of

Mlp = Callable[..., Called]
NAME = "sample-model"


@pytest.fixture(scope="module")
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def trusting(*keys: ec.EllipticCurvePrivateKey, mode: str = "require") -> SignaturePolicy:
    text = "\n".join(signer_entry(each.public_key(), f"signer {number}") for number, each in enumerate(keys))
    return SignaturePolicy(mode, parse_signers(text, "a test"))


@pytest.fixture
def folder(tmp_path: Path, key: ec.EllipticCurvePrivateKey) -> Path:
    """A signed version of three files."""
    made = tmp_path / "version"
    (made / "code").mkdir(parents=True)
    for name in ("model.skops", "MLmodel", "code/step.py"):
        (made / name).write_text(f"content of {name}", encoding="utf-8")
    sign_folder(made, NAME, key)
    return made


def refusal(folder: Path, policy: SignaturePolicy, name: str = NAME) -> str:
    with pytest.raises(UntrustedModel) as refused:
        verify_signature(folder, name, policy)
    sentence = str(refused.value)
    assert "\n" not in sentence
    return sentence


class TestWhatASignatureCovers:
    def test_files_as_they_were_signed_pass_and_say_who_signed(
        self, folder: Path, key: ec.EllipticCurvePrivateKey
    ) -> None:
        assert (
            str(verify_signature(folder, NAME, trusting(key))) == f"signer 0 (key {fingerprint(key.public_key())[:8]})"
        )

    def test_what_mlflow_writes_beside_a_model_that_it_loads_is_not_a_change(
        self, folder: Path, key: ec.EllipticCurvePrivateKey
    ) -> None:
        """A client that loads `models:/NAME/1` from a local store leaves `registered_model_meta` in it."""
        (folder / "registered_model_meta").write_text(
            "model_name: sample-model\nmodel_version: '1'\n", encoding="utf-8"
        )
        verify_signature(folder, NAME, trusting(key))

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            (lambda at: (at / "model.skops").write_text("other"), "model.skops changed"),
            (lambda at: (at / "MLmodel").write_text("other"), "MLmodel changed"),
            (lambda at: (at / "code" / "step.py").write_text("other"), "code/step.py changed"),
            (lambda at: (at / "MLmodel").unlink(), "MLmodel missing"),
            (lambda at: (at / "run.py").write_text("new"), "run.py added"),
            (lambda at: (at / "code" / "model.sig").write_text("new"), "code/model.sig added"),
            (lambda at: (at / "code" / "registered_model_meta").write_text("new"), "code/registered_model_meta added"),
            (lambda at: (at / ".gitignore").write_text("new"), ".gitignore added"),
            (lambda at: (at / "MLmodel").rename(at / "mlmodel"), "MLmodel missing; mlmodel added"),
            (lambda at: (at / "link").symlink_to(at / "MLmodel"), "its signature cannot cover link"),
            (lambda at: (at / "link").symlink_to("/"), "its signature cannot cover link"),
        ],
        ids=[
            "model",
            "MLmodel",
            "code",
            "missing",
            "extra",
            "second",
            "nested",
            "dotfile",
            "renamed",
            "link",
            "folder link",
        ],
    )
    def test_any_change_of_the_files_is_named(
        self, folder: Path, key: ec.EllipticCurvePrivateKey, change: Callable[[Path], Any], says: str
    ) -> None:
        change(folder)
        assert says in refusal(folder, trusting(key))

    def test_the_signature_of_another_model_is_refused(self, folder: Path, key: ec.EllipticCurvePrivateKey) -> None:
        assert refusal(folder, trusting(key), "other-model") == f"its signature is that of another model, '{NAME}'."

    def test_the_signature_of_another_version_is_refused(
        self, folder: Path, key: ec.EllipticCurvePrivateKey, tmp_path: Path
    ) -> None:
        other = shutil.copytree(folder, tmp_path / "other")
        (other / "MLmodel").write_text("run_id: other", encoding="utf-8")
        sign_folder(other, NAME, key)
        shutil.copy(other / "model.sig", folder)
        assert "its signature is of other files: MLmodel changed" in refusal(folder, trusting(key))

    def test_an_untrusted_key_is_named_with_the_trusted_ones(
        self, folder: Path, key: ec.EllipticCurvePrivateKey
    ) -> None:
        other = ec.generate_private_key(ec.SECP256R1())
        sentence = refusal(folder, trusting(other))
        assert f"it is signed with the key {fingerprint(key.public_key())[:8]}, which is not one of the" in sentence
        assert f"({fingerprint(other.public_key())[:8]})" in sentence
        assert "signer 0" not in sentence, "a server shows this to every caller"

    def test_no_signature_is_said_to_be_missing(self, folder: Path, key: ec.EllipticCurvePrivateKey) -> None:
        (folder / "model.sig").unlink()
        assert refusal(folder, trusting(key)).startswith("it is not signed: its artifact has no model.sig.")


def edited(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "model.sig"
    bundle = json.loads(path.read_bytes())
    change(bundle)
    path.write_text(json.dumps(bundle), encoding="utf-8")


def payload_with(old: bytes, new: bytes) -> Callable[[dict[str, Any]], object]:
    def change(bundle: dict[str, Any]) -> None:
        envelope = bundle["dsseEnvelope"]
        payload = base64.b64decode(envelope["payload"])
        assert old in payload
        envelope["payload"] = base64.b64encode(payload.replace(old, new)).decode()

    return change


class TestForgeries:
    @pytest.mark.parametrize(
        "change",
        [
            payload_with(b'"sample-model"', b'"other-model"'),
            payload_with(b'"MLmodel"', b'"MLmodeI"'),
            payload_with(b"files", b"shards"),
            payload_with(b"}", b"} "),
            lambda bundle: bundle["dsseEnvelope"]["signatures"][0].update(sig=base64.b64encode(bytes(70)).decode()),
            lambda bundle: bundle["dsseEnvelope"]["signatures"][0].update(sig=""),
        ],
        ids=["name", "file", "method", "space", "signature", "empty"],
    )
    def test_a_changed_envelope_does_not_verify(
        self, folder: Path, key: ec.EllipticCurvePrivateKey, change: Callable[[dict[str, Any]], object]
    ) -> None:
        edited(folder, change)
        assert (
            refusal(folder, trusting(key)) == "its signature was not made with the key that it names, or was changed."
        )

    def test_another_keys_signature_under_a_trusted_fingerprint_does_not_verify(
        self, folder: Path, key: ec.EllipticCurvePrivateKey
    ) -> None:
        sign_folder(folder, NAME, ec.generate_private_key(ec.SECP256R1()))
        trusted = fingerprint(key.public_key())
        edited(folder, lambda bundle: bundle["verificationMaterial"].update(publicKey={"hint": trusted}))
        assert "was not made with the key that it names" in refusal(folder, trusting(key))

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"{}",
            b"[]",
            b"null",
            b"\xff\xfe",
            b"[" * 100_000,
            b'{"mediaType": 1, "verificationMaterial": [], "dsseEnvelope": {}}',
            b'{"mediaType": "x", "verificationMaterial": {"publicKey": {"hint": "a"}}, "dsseEnvelope": '
            b'{"payload": "e30=", "payloadType": "y", "signatures": [{"sig": "e30="}]}}',
            b" " * (16 * 2**20 + 1),
        ],
        ids=["empty", "object", "list", "null", "binary", "deep", "types", "other format", "large"],
    )
    def test_what_is_no_signature_is_refused_in_one_sentence(
        self, folder: Path, key: ec.EllipticCurvePrivateKey, content: bytes
    ) -> None:
        (folder / "model.sig").write_bytes(content)
        assert refusal(folder, trusting(key)).startswith("its signature is")

    @pytest.mark.parametrize("count", [0, 2])
    def test_an_envelope_has_exactly_one_signature(
        self, folder: Path, key: ec.EllipticCurvePrivateKey, count: int
    ) -> None:
        edited(
            folder,
            lambda bundle: bundle["dsseEnvelope"].update(signatures=bundle["dsseEnvelope"]["signatures"] * count),
        )
        assert "is not a Sigstore bundle with one DSSE signature" in refusal(folder, trusting(key))


class TestKeys:
    def test_several_keys_are_trusted_while_one_replaces_another(
        self, folder: Path, key: ec.EllipticCurvePrivateKey
    ) -> None:
        new = ec.generate_private_key(ec.SECP384R1())
        assert verify_signature(folder, NAME, trusting(new, key)).name == "signer 1"
        sign_folder(folder, NAME, new)
        assert verify_signature(folder, NAME, trusting(new, key)).name == "signer 0"
        assert "not one of the trusted keys" in refusal(folder, trusting(key))

    def test_the_private_key_is_made_once_and_only_its_owner_may_read_it(self, tmp_path: Path) -> None:
        path = tmp_path / "config" / "signing.key"
        first, second = open_key(path), open_key(path)
        assert fingerprint(first.public_key()) == fingerprint(second.public_key())
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [each.name for each in path.parent.iterdir()] == ["signing.key"]
        path.chmod(0o644)
        with pytest.raises(UsageError, match=r"other users may read the signing key .*: run `chmod 600"):
            open_key(path)

    def test_a_machine_that_cannot_keep_a_key_trains_unsigned_unless_a_key_was_asked_for(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        blocked = tmp_path / "file"
        blocked.touch()
        monkeypatch.setenv("XDG_CONFIG_HOME", str(blocked))
        assert signing_key(Settings(sign="off")) is None
        assert caplog.text == ""
        assert signing_key(Settings()) is None
        assert "the version will not be signed" in caplog.text
        for asked in (Settings(sign="key"), Settings(signing_key=str(blocked / "signing.key"))):
            with pytest.raises(UsageError, match=r"cannot be read or made: .*Name another file with"):
                signing_key(asked)
        with pytest.raises(UsageError, match="MLP_SIGN is 'keyless', expected key or off"):
            signing_key(Settings(sign="keyless"))

    @pytest.mark.parametrize("content", [b"", b"no key", "rsa", "encrypted"], ids=repr)
    def test_a_file_that_is_no_key_is_named(self, tmp_path: Path, content: bytes | str) -> None:
        from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

        if content == "rsa":
            made: Any = rsa.generate_private_key(65537, 2048)
            content = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        elif content == "encrypted":
            made = ec.generate_private_key(ec.SECP256R1())
            content = made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word"))
        assert isinstance(content, bytes)
        path = tmp_path / "signing.key"
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(
            UsageError, match=r"signing\.key is .* Name another with MLP_SIGNING_KEY, or set MLP_SIGN=off"
        ):
            open_key(path)

    @pytest.mark.parametrize("text", ["", "# nobody\n", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
    def test_a_file_without_public_keys_is_named(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "signing.pub").write_text(text, encoding="utf-8")
        with pytest.raises(UsageError, match=r"signing\.pub holds"):
            read_signers(tmp_path / "signing.pub")

    def test_a_cut_off_or_weak_key_is_not_ignored(self, key: ec.EllipticCurvePrivateKey) -> None:
        entry = signer_entry(key.public_key(), "Ada")
        with pytest.raises(UsageError, match="1 complete public keys, and 2 that begin"):
            parse_signers(f"{entry}\n{entry[:90]}", "a test")
        weak = rsa.generate_private_key(65537, 2048).public_key()
        pem = weak.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        with pytest.raises(UsageError, match="not on the curve P-256"):
            parse_signers(entry + pem, "a test")


class TestPolicy:
    @pytest.fixture
    def generated(self, tmp_path: Path) -> Project:
        (tmp_path / "pyproject.toml").write_text('[tool.mlp]\nmodel = "sample-model"\n', encoding="utf-8")
        return find_project(tmp_path)

    def test_it_warns_by_default_if_keys_are_trusted_and_is_off_if_not(
        self, generated: Project, key: ec.EllipticCurvePrivateKey
    ) -> None:
        assert signature_policy(generated, Settings()).mode == "off"
        generated.signers_file.parent.mkdir()
        generated.signers_file.write_text(signer_entry(key.public_key(), "Ada"), encoding="utf-8")
        policy = signature_policy(generated, Settings())
        assert (policy.mode, [each.name for each in policy.signers]) == ("warn", ["Ada"])
        assert signature_policy(generated, Settings(signatures="off")).mode == "off"
        assert signature_policy(replace(generated, signatures="require"), Settings()).mode == "require"
        assert signature_policy(replace(generated, signatures="require"), Settings(signatures="warn")).mode == "warn"
        assert signature_policy(None, Settings(signers=str(generated.signers_file))).mode == "warn"

    @pytest.mark.parametrize("mode", ["warn", "require"])
    def test_a_policy_without_keys_is_refused_at_once(self, generated: Project, mode: str) -> None:
        with pytest.raises(UsageError, match="no key is trusted: `mlp models trust` writes"):
            signature_policy(generated, Settings(signatures=mode))

    def test_an_unknown_policy_is_refused(self, generated: Project) -> None:
        with pytest.raises(UsageError, match="MLP_SIGNATURES is 'on', expected off, warn or require"):
            signature_policy(generated, Settings(signatures="on"))

    def test_warn_reports_and_off_reads_nothing(self, folder: Path, key: ec.EllipticCurvePrivateKey) -> None:
        (folder / "MLmodel").write_text("other", encoding="utf-8")
        said: list[str] = []
        for mode in ("off", "warn"):
            assert check_signature(folder, NAME, "7", trusting(key, mode=mode), warn=said.append) is None
        assert [sentence.split(":")[0] for sentence in said] == ["sample-model version 7"]


@pytest.fixture(scope="module")
def project(trained: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose version 1 was signed when it was trained."""
    return copy_of(trained, tmp_path_factory.mktemp("signed") / "project")


def artifact(project: Project) -> Path:
    registry = open_registry(project, Settings())
    return registry.folder(registry.resolve(f"{project.name}/1"))


def tamper(project: Project) -> None:
    """Replace the contract in the store as an attacker would, and adapt the hashes in the registry."""
    folder = artifact(project)
    contract = folder / "contract.yaml"
    contract.write_text(contract.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
    client = open_registry(project, Settings()).client
    client.set_model_version_tag(project.name, "1", VersionTag.FILES_SHA256, files_sha256(folder))
    client.set_model_version_tag(project.name, "1", VersionTag.MODEL_SHA256, file_sha256(folder / "model.skops"))


def test_a_training_signs_with_the_users_own_key(project: Project, call_mlp: Mlp) -> None:
    assert (artifact(project) / "model.sig").is_file()
    trusted = call_mlp(project, "models", "trust")
    assert trusted.out.startswith("deploy/signing.pub trusts now: Tests <tests@example.invalid> (key ")
    assert call_mlp(project, "models", "trust").out.startswith("deploy/signing.pub trusted already: Tests ")
    (signer,) = read_signers(project.signers_file)
    assert signer.fingerprint == fingerprint(open_key(default_key_file()).public_key())
    assert f"Signed by {signer}, trusted" in call_mlp(project, "models").out
    assert f"Signed by {signer}; `mlp models verify` verifies it" in call_mlp(project, "models", "show").out
    assert call_mlp(project, "models", "verify").out == (
        f"sample-model version 1 is signed by {signer}, and its files are unchanged.\n"
    )


def test_colleagues_keys_are_added_and_counted(project: Project, call_mlp: Mlp, tmp_path: Path) -> None:
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    file = tmp_path / "ada.pub"
    file.write_bytes(other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    done = call_mlp(project, "models", "trust", str(file), "--name", "Ada Lovelace")
    assert done.out == f"deploy/signing.pub trusts now: Ada Lovelace (key {fingerprint(other)[:8]})\n"
    assert "Ada Lovelace" in [each.name for each in read_signers(project.signers_file)]


def test_files_changed_in_the_store_are_refused_everywhere(
    trained: Project, call_mlp: Mlp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = copy_of(trained, tmp_path / "project")
    call_mlp(project, "models", "trust")
    client = LocalRegistryClient(f"sqlite:///{project.database.as_posix()}")

    def polled(mode: str) -> Follower:
        policy = signature_policy(project, Settings(signatures=mode))
        reference = Reference(project.name, alias="champion")
        loader = Follower(client, reference, package=project.package, signatures=policy)
        loader.poll()
        return loader

    served = polled("require").current
    assert served is not None
    assert (served.signed_by or "").startswith("Tests <tests@example.invalid> (key ")

    tamper(project)
    says = "sample-model version 1: its signature is of other files: contract.yaml changed. Somebody changed them"
    table = str(project.root / "data" / "sample.csv")
    warned = call_mlp(project, "predict", table, "--out", str(tmp_path / "warned.csv"))
    assert (warned.code, (tmp_path / "warned.csv").is_file()) == (0, True)
    noted = polled("warn").current
    assert noted is not None
    assert (noted.signed_by, [note for note in noted.notes if note.startswith(says)] != []) == (None, True)

    loader = polled("require")
    assert loader.current is None
    assert loader.state.rejected["1"].check == "signature"
    assert loader.state.rejected["1"].reason.startswith(says)
    monkeypatch.setenv("MLP_SIGNATURES", "require")
    refused = call_mlp(project, "predict", table, "--out", str(tmp_path / "refused.csv"))
    assert (refused.code, says in refused.err, (tmp_path / "refused.csv").exists()) == (1, True, False)
    assert call_mlp(project, "models", "verify").code == 1
    with pytest.raises(UntrustedModel, match=r"contract\.yaml changed"):
        load_model(None, project)


def test_mlp_serve_does_not_start_without_the_keys_that_it_requires(trained: Project, call_mlp: Mlp) -> None:
    done = call_mlp(trained, "serve", "--port", "0", "--signatures", "require")
    assert (done.code, done.err.startswith("error: signatures are set to 'require', but no key is trusted")) == (
        2,
        True,
    )


def test_openssf_model_signing_verifies_ours_and_we_verify_its(folder: Path) -> None:
    """The independent implementation of the format, as a process: `python -m model_signing`."""
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = folder.parent / "key", folder.parent / "key.pub"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    sign_folder(folder, folder.name, key)
    signature = str(folder / "model.sig")
    options = ["--signature", signature]
    (folder / "registered_model_meta").write_text("written by MLflow after the signature", encoding="utf-8")

    def official(*words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "model_signing", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    verified = official("verify", "key", str(folder), *options, "--public_key", str(public))
    assert verified.returncode == 0, verified.stdout + verified.stderr
    Path(signature).unlink()
    (folder / "registered_model_meta").unlink()
    signed = official("sign", "key", str(folder), *options, "--private_key", str(private))
    assert signed.returncode == 0, signed.stdout + signed.stderr
    assert verify_signature(folder, folder.name, trusting(key)).name == "signer 0"
