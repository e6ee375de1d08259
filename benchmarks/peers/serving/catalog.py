"""The servers: what each is called, what its environment holds and what it speaks."""

from __future__ import annotations

from dataclasses import dataclass

#: What scores the model in every server.
ORT = "onnxruntime==1.32.0"


@dataclass(frozen=True)
class Peer:
    """One server of the comparison, and its program in `peers.serving.servers`.

    title: as the tables show it. requirements: what its environment is made of; empty where it is the environment the
    benchmark itself runs in. json, binary, grpc: the forms (in `peers.serving.calls`) to measure; none where it does
    not speak that.
    """

    title: str
    requirements: tuple[str, ...]
    json: tuple[str, ...]
    binary: tuple[str, ...] = ()
    grpc: tuple[str, ...] = ()

    def forms(self, kind: str) -> tuple[str, ...]:
        found: tuple[str, ...] = getattr(self, kind)
        return found


_ROWS = ("rows",)
_V2 = {"json": ("v2",), "binary": ("v2 binary",), "grpc": ("v2 grpc",)}
PEERS = {
    "bessemer": Peer(
        "Bessemer", (), ("v1", "named", "v2 columns"), ("v2 columns binary",), ("v2 columns grpc",)
    ),
    "fastapi": Peer(
        "FastAPI + uvicorn, by hand", ("fastapi==0.165.0", "uvicorn[standard]==0.54.0", ORT), _ROWS
    ),
    # its workers need an event loop that uvloop made by itself before 0.22
    "mlserver": Peer("MLServer", ("mlserver==1.7.1", "uvloop==0.21.0", ORT), ("v2",), grpc=("v2 grpc",)),
    "kserve": Peer("KServe", ("kserve==0.21.0", ORT), **_V2),
    "bentoml": Peer("BentoML", ("bentoml==1.4.40", ORT), _ROWS),
    "litserve": Peer("LitServe", ("litserve==0.2.19", ORT), _ROWS),
    # the newest release that its own parts (mlflow-skinny) can be had for
    "mlflow": Peer("MLflow", ("mlflow==3.17.2", "onnx==1.23.2", ORT), ("inputs",)),
    "ray": Peer("Ray Serve", ("ray[serve]==2.60.0", ORT), _ROWS),
    "pytriton": Peer("PyTriton", ("nvidia-pytriton==0.7.0", ORT), **_V2),
    # torch is pinned to a release whose CPU build pip finds here; the newest would bring gigabytes for GPUs
    "torchserve": Peer(
        "TorchServe",
        ("torchserve==0.12.0", "torch-model-archiver==0.12.0", "torch==2.13.0", "pyyaml==6.0.3", ORT),
        ("torchserve",),
    ),
}
