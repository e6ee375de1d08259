"""The tables of encoders and objectives, and which encoder an input has where nothing is said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bessemer.core.plugins import PluginRef, PluginTable

if TYPE_CHECKING:
    from bessemer.train.networks.objective import Objective
    from bessemer.train.networks.protocol import Encoder

ENCODERS: PluginTable[Encoder] = PluginTable(
    "bessemer.encoders",
    {
        "convnet": PluginRef(
            "bessemer.train.networks.encoders.convnet:ConvNet",
            extra="torch",
            requires=("torch",),
            summary="images: a few convolutions",
        ),
        "resnet": PluginRef(
            "bessemer.train.networks.encoders.resnet:ResNet",
            extra="torch",
            requires=("torch",),
            summary="images: a residual network, depth 18 unless said otherwise",
        ),
        "vit": PluginRef(
            "bessemer.train.networks.encoders.vit:ViT",
            extra="torch",
            requires=("torch",),
            summary="images: a compact vision transformer behind convolutions",
        ),
        "text_cnn": PluginRef(
            "bessemer.train.networks.encoders.text_cnn:TextCNN",
            extra="torch",
            requires=("torch",),
            summary="texts: convolutions over words, the largest answer of each",
        ),
        "transformer": PluginRef(
            "bessemer.train.networks.encoders.transformer:Transformer",
            extra="torch",
            requires=("torch",),
            summary="texts: a small transformer",
        ),
        "mlp": PluginRef(
            "bessemer.train.networks.encoders.mlp:MLP",
            extra="torch",
            requires=("torch",),
            summary="tables and embeddings: hidden layers, RealMLP's for a table",
        ),
        "ft_transformer": PluginRef(
            "bessemer.train.networks.encoders.ft_transformer:FTTransformer",
            extra="torch",
            requires=("torch",),
            summary="tables: a transformer over features",
        ),
        "linear": PluginRef(
            "bessemer.train.networks.encoders.linear:Linear",
            extra="torch",
            requires=("torch",),
            summary="embeddings and tables: one linear layer",
        ),
    },
)

#: The encoder of a kind of input where nothing is said.
USUAL: Mapping[str, str] = {"image": "convnet", "tokens": "text_cnn", "embedding": "linear", "table": "mlp"}

OBJECTIVES: PluginTable[Objective] = PluginTable(
    "bessemer.objectives",
    {
        "plain": PluginRef(
            "bessemer.train.networks.objective:Plain",
            extra="torch",
            requires=("torch",),
            summary="the loss of the rows as they are",
        ),
        "pgd": PluginRef(
            "bessemer.train.networks.robust:PGD",
            extra="torch",
            requires=("torch",),
            summary="robust: the loss of rows that an attacker has moved",
        ),
        "trades": PluginRef(
            "bessemer.train.networks.robust:Trades",
            extra="torch",
            requires=("torch",),
            summary="robust: the loss, and how far an attacker can turn what is said",
        ),
        "noise": PluginRef(
            "bessemer.train.networks.robust:Noise",
            extra="torch",
            requires=("torch",),
            summary="robust: the loss of rows with noise on them",
        ),
        "pruned": PluginRef(
            "bessemer.train.networks.pruned:Pruned",
            extra="torch",
            requires=("torch",),
            summary="sturdy: the loss of the network as it is, and without its smallest weights",
        ),
        "private": PluginRef(
            "bessemer.train.networks.private:Private",
            extra="private",
            requires=("torch", "opacus"),
            summary="private: gradients of single rows, shortened, and noise on their sum",
        ),
    },
)
