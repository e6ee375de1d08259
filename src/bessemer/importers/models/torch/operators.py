"""The operators of torch that a foreign model may have: arithmetic on tensors, without files and without chance."""

from __future__ import annotations

from bessemer.core.errors import FormatError, did_you_mean
from bessemer.importers.models.foreign import refused

_ELEMENTS = """
abs acos acosh add addcdiv addcmul asin asinh atan atan2 atanh bitwise_and bitwise_not bitwise_or ceil clamp
clamp_max clamp_min clip cos cosh div divide elu eq erf erfc exp exp2 expm1 floor floor_divide floordiv fmod frac
ge gelu glu greater greater_equal gt hardsigmoid hardswish hardtanh isfinite isinf isnan isneginf isposinf le
leaky_relu less less_equal log log10 log1p log2 log_sigmoid logical_and logical_not logical_or logical_xor logit lt
maximum minimum mish mul multiply nan_to_num ne neg negative not_equal pow prelu reciprocal relu relu6 remainder
round rsqrt rsub selu sgn sigmoid sign silu sin sinh softplus softshrink softsign sqrt square sub subtract tan tanh
tanhshrink threshold trunc where xlogy
"""
_LAYERS = """
_convolution _log_softmax _native_batch_norm_legit_no_training _softmax _trilinear adaptive_avg_pool1d
adaptive_avg_pool2d adaptive_max_pool1d adaptive_max_pool2d _adaptive_avg_pool2d addmm addmv avg_pool1d avg_pool2d
baddbmm batch_norm bilinear bmm conv1d conv2d conv3d conv_transpose1d conv_transpose2d convolution cosine_similarity
dot dropout alpha_dropout feature_dropout einsum embedding group_norm instance_norm layer_norm linalg_vector_norm linear
log_softmax matmul max_pool1d max_pool2d max_pool2d_with_indices mm mv native_batch_norm native_group_norm
native_layer_norm norm normalize pixel_shuffle pixel_unshuffle rms_norm scaled_dot_product_attention softmax
upsample_bilinear2d upsample_nearest2d
"""
_SUMS = """
all amax amin any argmax argmin argsort cumprod cumsum logsumexp max mean median min prod sort std std_mean sum topk
var var_mean
"""
_SHAPES = """
_reshape_alias _shape_as_tensor _to_copy _unsafe_view alias arange atleast_1d atleast_2d broadcast_tensors broadcast_to
cat chunk clone concat concatenate constant_pad_nd contiguous copy_ detach detach_ dim empty_like expand expand_as eye
flatten flip full full_like gather getitem hstack index index_select lift_fresh_copy masked_fill meshgrid movedim
narrow new_full new_ones new_zeros numel numpy_T ones ones_like pad permute repeat repeat_interleave reshape
reshape_as roll scalar_tensor select select_scatter size slice slice_scatter split split_with_sizes squeeze stack
stride sym_numel sym_size t T tensor tensor_split tile to transpose tril triu type_as unbind unflatten unsqueeze
view view_as vstack zeros zeros_like
"""
#: What TorchScript has beside: numbers, texts of errors, lists.
_SCRIPT = """
Bool Complex Float FloatImplicit Int IntImplicit ScalarImplicit ComplexImplicit __contains__ __derive_index __getitem__
__is__ __isnot__ __not__ __range_length append device dtype extend format insert is_floating_point item join keys len
list neg ord percentFormat str values warn
"""
#: Names in the namespace `aten`; a `_` behind one is the same in place.
ATEN = frozenset(f"{_ELEMENTS} {_LAYERS} {_SUMS} {_SHAPES} {_SCRIPT}".split())
#: Names in the namespace `prim`: constants, lists and branches. Calls are none of them: what stands behind one, as
#: behind an interface, would not be seen.
_PRIM = """
Constant DictConstruct GetAttr If ListConstruct ListUnpack Loop NumToTensor RaiseException
TupleConstruct TupleIndex TupleUnpack Uninitialized data device dtype is_cuda is_mkldnn is_quantized isinstance layout
max min rangelist requires_grad shape tolist type unchecked_cast unchecked_unwrap_optional
"""
PRIM = frozenset(_PRIM.split())


def allowed(name: str) -> bool:
    """Whether a model may have the operator.

    Args:
        name: with its namespace, as `aten::relu_`; without its overload.

    >>> allowed("aten::relu_"), allowed("aten::from_file"), allowed("prim::If"), allowed("evil::relu")
    (True, False, True, False)
    """
    space, _, own = name.partition("::")
    if space == "prim":
        return own in PRIM
    return space == "aten" and (own in ATEN or (own.endswith("_") and own[:-1] in ATEN))


def check_allowed(name: str) -> None:
    """Stop at an operator that no model may have.

    Raises:
        FormatError: it is one.
    """
    if not allowed(name):
        raise unknown(name)


def unknown(name: str) -> FormatError:
    """The error for an operator that is not on the list."""
    own = name.partition("::")[2]
    near = did_you_mean(own, ATEN, limit=1) if name.startswith("aten::") else ""
    return refused(
        f"the model has the operator '{name[:100]}'",
        "it is not on the list of those that are known to do nothing but compute",
        near if near.startswith("did you mean") else "export the model as ONNX where it was trained",
    )
