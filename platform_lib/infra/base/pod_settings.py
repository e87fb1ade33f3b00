"""Where pods run and what marks them: node selector, tolerations, annotations, pull secrets. Creates no resource."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from platform_lib.infra.base.setting_rules import SettingError, matching

IMAGE_PULL_SECRET: Final = "image-pull"
"""Secret in every namespace of the platform and of the teams, if `image_pull_logins` has entries."""
_NAME = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_KEY = rf"([a-z0-9]([a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_NAME}"
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")

NODE_LABEL: Final = matching(rf"{_KEY}=({_NAME})?", "write KEY=VALUE, a label of the nodes, such as pool=ml")
TOLERATION: Final = matching(
    rf"{_KEY}(=({_NAME})?)?:({'|'.join(_EFFECTS)})",
    "write the taint as kubectl does, KEY=VALUE:EFFECT or KEY:EFFECT, such as nvidia.com/gpu:NoSchedule; EFFECT is "
    f"{', '.join(_EFFECTS)}",
)
ANNOTATION: Final = matching(
    rf"{_KEY}=[^\r\n]*", "write KEY=VALUE, an annotation, such as karpenter.sh/do-not-disrupt=true"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class PodSettings:
    """What pods of one stack have in common. An empty field changes nothing."""

    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: Sequence[Mapping[str, str]] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    pull_secrets: Sequence[str] = ()
    """Names of Secrets with the login to a registry, in the pods' namespace."""

    @classmethod
    def of(
        cls,
        *,
        node_selector: Sequence[str] = (),
        tolerations: Sequence[str] = (),
        pod_annotations: Sequence[str] = (),
        image_pull_secrets: Sequence[str] = (),
    ) -> "PodSettings":
        """Read the entries of the settings of these names.

        Raises:
            SettingError: A key has two values.
        """
        return cls(
            node_selector=by_key("node_selector", node_selector),
            tolerations=[_toleration(entry) for entry in tolerations],
            annotations=by_key("pod_annotations", pod_annotations),
            pull_secrets=list(dict.fromkeys(image_pull_secrets)),
        )

    @property
    def pulls(self) -> list[dict[str, str]]:
        """The `imagePullSecrets` of a pod, a service account or a chart."""
        return [{"name": name} for name in self.pull_secrets]

    def scheduling(self) -> dict[str, Any]:
        """Return `nodeSelector` and `tolerations`, which charts name like a pod does; without those that are empty."""
        fields = {"nodeSelector": dict(self.node_selector), "tolerations": list(map(dict, self.tolerations))}
        return {name: value for name, value in fields.items() if value}

    def applied_to(self, template: Mapping[str, Any]) -> dict[str, Any]:
        """Return a pod template with these settings."""
        pulls = {"imagePullSecrets": self.pulls} if self.pulls else {}
        marks = {"annotations": dict(self.annotations)} if self.annotations else {}
        return {
            **template,
            "metadata": {**template["metadata"], **marks},
            "spec": {**template["spec"], **self.scheduling(), **pulls},
        }


def by_key(setting: str, entries: Sequence[str]) -> dict[str, str]:
    """Read the `KEY=VALUE` entries of a setting.

    Raises:
        SettingError: A key has two values.
    """
    made: dict[str, str] = {}
    for entry in entries:
        key, _, value = entry.partition("=")
        if made.setdefault(key, value) != value:
            raise SettingError(f"{setting} gives {key} the values {made[key]!r} and {value!r}: keep one of them.")
    return made


def _toleration(entry: str) -> dict[str, str]:
    taint, _, effect = entry.rpartition(":")
    key, has_value, value = taint.partition("=")
    matched = {"operator": "Equal", "value": value} if has_value else {"operator": "Exists"}
    return {"key": key, **matched, "effect": effect}
