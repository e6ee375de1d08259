"""KServe: an InferenceService and the storage that it points to, in Triton's layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field as Setting
from pydantic import field_validator

from bessemer.core.spec import Spec
from bessemer.export.base import Base
from bessemer.export.protocol import Answers, NotRunError, Source
from bessemer.export.samples import Samples
from bessemer.export.targets.triton import TritonSettings, write_repository

FILE = "inference-service.yaml"
#: The longest name of a service in Kubernetes, and of one that KServe adds `-predictor` and a hash to.
_LONGEST = 40


class KServeSettings(Spec):
    storage: str = Setting(
        "pvc://models",
        min_length=1,
        description="where `storage` is copied to: pvc://, s3://, gs://, hf://...",
    )
    namespace: str = Setting("default", min_length=1, description="of the service")
    cpu: str = Setting("1", pattern=r"^[0-9]+m?$", description="cores of a replica")
    memory: str = Setting("1Gi", pattern=r"^[0-9]+[KMGT]i?$", description="memory of a replica")
    replicas: int = Setting(1, ge=0, le=1000, description="the least replicas; 0 lets it sleep")

    @field_validator("cpu", mode="before")
    @classmethod
    def _whole(cls, given: Any) -> Any:
        """`cpu=2` on the command line is a number."""
        return str(given) if isinstance(given, int) and not isinstance(given, bool) else given


class KServe(Base):
    """`inference-service.yaml` and `storage/`, for KServe's Triton runtime and the protocol V2."""

    takes: ClassVar[Literal["graph"]] = "graph"
    limit: float = 0.0
    Settings: ClassVar[type[KServeSettings]] = KServeSettings

    def refuses(self, source: Source) -> str:
        return ""

    def export(self, source: Source, out: Path) -> str:
        import yaml

        write_repository(source, out / "storage", TritonSettings())
        (out / FILE).write_text(yaml.safe_dump(self._service(source), sort_keys=False), encoding="utf-8")
        return f"""Copy what is in `storage` to `{self.settings.storage}`, then

    kubectl apply -f {FILE}

The service speaks the protocol V2 (`/v2/models/{source.slug}/infer`).
"""

    def check(self, source: Source, out: Path, samples: Samples) -> Answers:
        raise NotRunError("it needs a Kubernetes cluster with KServe; the graph is what `--to onnx` runs")

    def _service(self, source: Source) -> dict[str, object]:
        asked = self.settings
        sizes = {"cpu": asked.cpu, "memory": asked.memory}
        model = {
            "modelFormat": {"name": "onnx", "version": "1"},
            "protocolVersion": "v2",
            "runtime": "kserve-tritonserver",
            "storageUri": asked.storage,
            "resources": {"requests": sizes, "limits": sizes},
        }
        return {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            "metadata": {"name": service_name(source.slug), "namespace": asked.namespace},
            "spec": {"predictor": {"minReplicas": asked.replicas, "model": model}},
        }


def service_name(slug: str) -> str:
    """The slug as Kubernetes takes names: small letters, digits and dashes, 40 at most.

    >>> service_name("my_model_2")
    'my-model-2'
    """
    return slug.replace("_", "-")[:_LONGEST].strip("-")
