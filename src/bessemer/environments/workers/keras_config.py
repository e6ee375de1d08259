"""The architecture of a foreign model of Keras, looked at before Keras sees it: layers of Keras's own, and no code.

Keras's file formats may name functions, classes of other modules, and Python that is marshalled; and some of its own
layers read files or run other frameworks. So every object has to be one of those listed here.
"""

import re
from typing import Any


class Refused(Exception):
    """A model that is not taken: what is wrong, why, and what to do."""

    def __init__(self, what: str, why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what, self.why, self.fix = what, why, fix


#: Most objects, lists and values of an architecture, counted together.
_MOST = 2_000_000
#: Modules that objects are of: their public names, and those in which Keras keeps its operators.
_MODULE = re.compile(
    r"keras(\.src)?(\.(layers|models|initializers|regularizers|constraints|dtype_policies)(\.\w+)*"
    r"|\.ops\.(numpy|nn|core|math)|\.ops)?"
)
#: Where Keras 2 kept its models.
_OLDER = re.compile(r"(tf_)?keras(\.src)?\.engine\.(functional|sequential|training)")
_MODELS = ("Functional", "Model", "Sequential")
_LAYERS = """
    Activation ActivityRegularization Add AdditiveAttention AlphaDropout Attention Average AveragePooling1D
    AveragePooling2D AveragePooling3D BatchNormalization Bidirectional CategoryEncoding CenterCrop Concatenate Conv1D
    Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose Cropping1D Cropping2D Cropping3D Dense
    DepthwiseConv1D DepthwiseConv2D Discretization Dot Dropout ELU EinsumDense Embedding Flatten GRU GRUCell
    GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D
    GlobalMaxPooling1D GlobalMaxPooling2D GlobalMaxPooling3D GroupNormalization GroupQueryAttention Identity InputLayer
    LSTM LSTMCell LayerNormalization LeakyReLU Masking MaxPooling1D MaxPooling2D MaxPooling3D Maximum Minimum
    MultiHeadAttention Multiply Normalization PReLU Permute RMSNormalization RNN RandomBrightness RandomContrast
    RandomFlip RandomRotation RandomTranslation RandomZoom ReLU RepeatVector Rescaling Reshape Resizing
    SeparableConv1D SeparableConv2D SimpleRNN SimpleRNNCell Softmax SpatialDropout1D SpatialDropout2D SpatialDropout3D
    SpectralNormalization StackedRNNCells Subtract ThresholdedReLU TimeDistributed UnitNormalization UpSampling1D
    UpSampling2D UpSampling3D ZeroPadding1D ZeroPadding2D ZeroPadding3D
"""
_OPERATORS = """
    Abs Absolute Add All Amax Amin Any Arccos Arccosh Arcsin Arcsinh Arctan Arctan2 Arctanh Argmax Argmin Average
    AveragePool BroadcastTo Cast Ceil Celu Clip Concatenate Conv Copy Cos Cosh Cumsum DepthwiseConv Divide DivideNoNan
    Dot Einsum Elu Equal Erf Erfc Exp Exp2 ExpandDims Expm1 Flip Floor FloorDivide Gelu GetItem Glu Greater
    GreaterEqual HardShrink HardSigmoid HardSilu HardTanh Isfinite Isinf Isnan LayerNorm LeakyRelu Less LessEqual Log
    Log10 Log1p Log2 LogSigmoid LogSoftmax Logaddexp LogicalAnd LogicalNot LogicalOr LogicalXor Logsumexp Matmul Max
    MaxPool Maximum Mean Min Minimum Mod Moveaxis Multiply NanToNum Negative Normalize NotEqual OneHot OnesLike Outer
    Pad Power Prod Reciprocal Relu Relu6 Repeat Reshape Roll Round Rsqrt Selu SeparableConv Sigmoid Sign Silu Sin Sinh
    Slice SoftShrink Softmax Softplus Softsign Split Sqrt Square Squeeze Stack Std StopGradient Subtract Sum Swapaxes
    Take TakeAlongAxis Tan Tanh TanhShrink Tensordot Threshold Tile TopK Transpose Tril Triu TrueDivide Trunc Unstack
    Var Where ZerosLike
"""
_PARTS = """
    Functional Model Sequential
    DTypePolicy DTypePolicyMap Policy
    Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity IdentityInitializer LecunNormal LecunUniform Ones
    Orthogonal OrthogonalInitializer RandomNormal RandomUniform TruncatedNormal VarianceScaling Zeros
    L1 L1L2 L2 OrthogonalRegularizer MaxNorm MinMaxNorm NonNeg UnitNorm
"""
_ACTIVATIONS = """
    celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear log_sigmoid
    log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus sparsemax squareplus
    swish tanh tanh_shrink threshold
"""
_VALUES = (
    "__ellipsis__",
    "__keras_tensor__",
    "__numpy__",
    "__slice__",
    "__tensor__",
    "__tuple__",
    "TensorShape",
)
_KNOWN = frozenset((_LAYERS + _OPERATORS + _PARTS).split())
_FUNCTIONS = frozenset(_ACTIVATIONS.split())
_HOMES = (None, "builtins", "keras.activations", "keras.src.activations.activations")
_CODE = "it is Python that the file brings along, and reading it would run it"
_LEARNS = "it learns a vocabulary, or reads it from a file"
_WHY = {
    **dict.fromkeys(("Lambda", "__lambda__", "TFOpLambda", "SlicingOpLambda"), _CODE),
    **dict.fromkeys(("StringLookup", "IntegerLookup", "TextVectorization", "Hashing"), _LEARNS),
    **dict.fromkeys(
        ("TFSMLayer", "JaxLayer", "FlaxLayer", "TorchModuleWrapper"), "it runs another framework's model"
    ),
}
_FIX = "build the model of layers of Keras's own and train it, or export it as ONNX where it was trained"


def checked(config: Any) -> dict[str, Any]:
    """The architecture without what says how it was trained, when everything in it is Keras's own.

    Raises:
        Refused: an object is not on the list, or there are too many of them.
    """
    if not isinstance(config, dict) or config.get("class_name") not in _MODELS:
        raise Refused(
            "the file has no model of layers", "its architecture is not of Keras's Functional or Sequential"
        )
    left, waiting = _MOST, [config]
    while waiting:
        left -= 1
        if left < 0:
            raise Refused(f"the architecture has more than {_MOST:,} parts")
        value = waiting.pop()
        if isinstance(value, dict):
            value.pop("compile_config", None)
            if "class_name" in value:
                _renewed(value)
                _check(value)
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return config


def _renewed(said: dict[str, Any]) -> None:
    """Take off what Keras 2 wrote and Keras 3 does not know, where it means nothing."""
    module, config = said.get("module"), said.get("config")
    if said["class_name"] in _MODELS and isinstance(module, str) and _OLDER.fullmatch(module):
        said["module"] = "keras" if said["class_name"] == "Sequential" else "keras.src.models.functional"
    if isinstance(config, dict):
        if config.get("time_major") is False:
            del config["time_major"]
        if module is not None and said["class_name"] != "InputLayer":
            config.pop("batch_input_shape", None)  # an InputLayer stands before it
        axis = config.get("axis")
        if said["class_name"] == "BatchNormalization" and isinstance(axis, list) and len(axis) == 1:
            config["axis"] = axis[0]


def _check(said: dict[str, Any]) -> None:
    name, module = said["class_name"], said.get("module")
    if not isinstance(name, str):
        raise Refused("an object of the architecture has no name")
    if name in _VALUES:
        return
    if name == "function":
        if said.get("config") not in _FUNCTIONS or module not in _HOMES:
            what = f"the model has the function '{said.get('config')}' of '{module}'"
            raise Refused(what, "it is none of Keras's activations", _FIX)
        return
    if name not in _KNOWN:
        raise Refused(
            f"the model has a {name}", _WHY.get(name, "it is none of the layers that are taken"), _FIX
        )
    if module is not None and not (isinstance(module, str) and _MODULE.fullmatch(module)):
        raise Refused(f"the model has a {name} of the module '{module}'", "only Keras's own are taken", _FIX)
    if said.get("registered_name") not in (None, "", name):
        raise Refused(f"the model has a '{said['registered_name']}'", "it is a class of somebody's own", _FIX)
