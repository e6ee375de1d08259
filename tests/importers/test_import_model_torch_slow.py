"""TorchScript and torch.export become packages that say what the modules say; so do our own exports."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from import_model_support import agree, imported
from torch import nn
from torch_support import HELD, SIGNATURE, columns, convnet, pictures, said, softmax, table_net, taken

from bessemer.api.exporting import export
from bessemer.core.errors import FormatError
from bessemer.export.readers.encoder import Encoder
from bessemer.export.samples import samples_of

sys.path.insert(0, str(Path(__file__).parents[1] / "export"))
from packages_support import model as packaged

pytestmark = pytest.mark.slow
NAMES = ["a", "b", "c", "d", "e"]


def traced(module: nn.Module, x: torch.Tensor) -> bytes:
    kept = io.BytesIO()
    torch.jit.save(torch.jit.trace(module, (x[:2],)), kept)
    return kept.getvalue()


def scripted(module: nn.Module, x: torch.Tensor) -> bytes:
    kept = io.BytesIO()
    torch.jit.save(torch.jit.script(module), kept)
    return kept.getvalue()


def exported(module: nn.Module, x: torch.Tensor) -> bytes:
    kept = io.BytesIO()
    rows = ({0: torch.export.Dim("rows")},)
    torch.export.save(torch.export.export(module, (x[:3],), dynamic_shapes=rows), kept)
    return kept.getvalue()


@pytest.mark.parametrize("write", [scripted, traced, exported])
def test_a_convnet_takes_pictures(write: Any, tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(write(convnet(), taken(HELD)))
    (tmp_path / "s.yaml").write_text(SIGNATURE)
    model = imported(tmp_path / "model", signature=tmp_path / "s.yaml")
    rows = model.predict_rows(pictures(HELD))
    found = np.array([[row[f"probability_{i}"] for i in range(10)] for row in rows])
    assert np.abs(found - softmax(said(convnet(), taken(HELD)))).max() <= 1e-5


class Branches(nn.Module):
    """Sizes, a branch and a loop over layers, as people script them."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(5, 5) for _ in range(2)])
        self.last = nn.Linear(10, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.dim() == 1:
            x = x.unsqueeze(0)
        parts = [x]
        for layer in self.layers:
            parts.append(torch.tanh(layer(parts[-1])))
        both = torch.stack(parts[1:], 1).reshape(x.size(0), 2 * x.size(1))
        return torch.sigmoid(self.last(both))


@pytest.mark.parametrize("write", [scripted, exported])
def test_a_network_of_columns(write: Any, tmp_path: Path) -> None:
    torch.manual_seed(1)
    net = Branches().eval() if write is scripted else table_net()
    (tmp_path / "model").write_bytes(write(net, columns(HELD)))
    model = imported(tmp_path / "model", columns=NAMES, classes=["even", "odd"])
    with zipfile.ZipFile(tmp_path / "model.bsm") as package:
        assert not [name for name in package.namelist() if b"site-packages" in package.read(name)]
    wanted = said(net, columns(HELD))
    wanted = np.concatenate([1 - wanted, wanted], axis=1) if wanted.shape[1] == 1 else wanted
    agree(model, pd.DataFrame(columns(HELD).numpy(), columns=NAMES), wanted, 1e-5)


@pytest.mark.parametrize(("kind", "target"), [("table_net", "torchscript"), ("logistic", "torch_export")])
def test_our_own_exports_come_back(kind: str, target: str, tmp_path: Path) -> None:
    """As models of encoded columns, whose names the encoder says."""
    own = packaged(kind)
    folder, _ = export(own, target, tmp_path / "core")
    model = imported(folder)
    samples = samples_of(own)
    encoded = Encoder.load(folder / "encoder.json").encode(samples.rows)  # type: ignore[no-untyped-call]
    rows = pd.DataFrame(encoded, columns=[field.name for field in model.signature.inputs])
    agree(model, rows, samples.values, 1e-5)


def test_a_model_that_answers_by_its_batch_is_refused(tmp_path: Path) -> None:
    class Batch(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x - x.mean(0)).sum(1, keepdim=True)

    (tmp_path / "model").write_bytes(scripted(Batch(), columns(HELD)))
    with pytest.raises(FormatError, match="beside other rows"):
        imported(tmp_path / "model", columns=NAMES)
