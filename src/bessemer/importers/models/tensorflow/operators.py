"""The operators of TensorFlow that compute, and nothing else: those that tf2onnx turns into ONNX, and what stands
between them. https://www.tensorflow.org/api_docs/python/tf/raw_ops"""

from __future__ import annotations

from collections.abc import Mapping

#: Those that tf2onnx knows, without its tables, queues, iterators, texts and ragged tensors.
_CONVERTED = """
    Abs Acos Acosh Add AddN AddV2 All Any ArgMax ArgMin Asin Asinh Atan Atan2 Atanh AvgPool AvgPool3D BatchMatMul
    BatchMatMulV2 BatchMatMulV3 BatchToSpaceND BiasAdd BiasAddV1 Bincount BitwiseAnd BitwiseOr BitwiseXor BroadcastTo
    Bucketize Cast Ceil CheckNumerics ClipByValue Concat ConcatV2 Const Conv1D Conv2D Conv2DBackpropInput Conv3D
    Conv3DBackpropInputV2 Cos Cosh CropAndResize Cumprod Cumsum DenseBincount DepthToSpace DepthwiseConv2dNative Div
    DivNoNan DynamicStitch Einsum Elu EnsureShape Equal Erf Erfc Exp ExpandDims Expm1 ExtractImagePatches
    FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars Fill Floor FloorDiv FloorMod FusedBatchNorm FusedBatchNormV2
    FusedBatchNormV3 Gather GatherNd GatherV2 Greater GreaterEqual Identity IdentityN If Invert InvertPermutation
    IsFinite IsInf IsNan LRN LeakyRelu LeftShift Less LessEqual Log Log1p LogSoftmax LogicalAnd LogicalNot LogicalOr
    MatMul MatrixBandPart MatrixDeterminant MatrixDiag MatrixDiagPart MatrixDiagPartV2 MatrixDiagPartV3 MatrixDiagV2
    MatrixDiagV3 MatrixSetDiagV3 Max MaxPool MaxPool3D MaxPoolV2 Maximum Mean Min Minimum MirrorPad Mul Neg NoOp
    NotEqual OneHot OnesLike Pack Pad PadV2 ParallelDynamicStitch Placeholder PlaceholderWithDefault Pow Prod Range
    RealDiv Reciprocal Relu Relu6 Reshape ResizeArea ResizeBicubic ResizeBilinear ResizeNearestNeighbor ReverseSequence
    ReverseV2 RightShift Rint Roll Round Rsqrt ScatterNd SegmentMax SegmentMean SegmentMin SegmentProd SegmentSum
    Select SelectV2 Selu Shape Sigmoid Sign Sin Sinh Size Slice Softmax Softplus Softsign SpaceToBatchND SpaceToDepth
    Split SplitV Sqrt Square SquaredDifference Squeeze StatelessIf StatelessWhile StopGradient StridedSlice Sub Sum Tan
    Tanh TensorListFromTensor TensorListGetItem TensorListLength TensorListReserve TensorListResize TensorListSetItem
    TensorListStack TensorScatterAdd TensorScatterMax TensorScatterMin TensorScatterSub TensorScatterUpdate Tile TopKV2
    Transpose TruncateDiv Unique Unpack UnsortedSegmentMax UnsortedSegmentMin UnsortedSegmentProd UnsortedSegmentSum
    Where While Xlogy ZerosLike
"""
#: Calls of functions, and variables in memory.
_BETWEEN = """
    AssignAddVariableOp AssignSubVariableOp AssignVariableOp DestroyResourceOp DisableCopyOnRead PartitionedCall
    ReadVariableOp ResourceGather ResourceGatherNd StatefulPartitionedCall VarHandleOp VarIsInitializedOp VariableShape
"""
#: What models have for training beside what predicts: chance, checks and gradients.
_BESIDE = """
    Assert BiasAddGrad BroadcastGradientArgs EluGrad FusedBatchNormGradV3 PreventGradient RandomStandardNormal
    RandomUniform ReluGrad SigmoidGrad StatelessRandomGetAlg StatelessRandomGetKeyCounter StatelessRandomNormalV2
    StatelessRandomUniformV2 TanhGrad TruncatedNormal
"""
ALLOWED = frozenset((_CONVERTED + _BETWEEN + _BESIDE).split())

_FILES = "it reads or writes files"
_RUNS = "it runs code outside of the graph"
_TABLE = "it looks up a table that the graph fills when it is loaded"
_TEXTS = "it works on texts or on examples of tf.train, and a package takes columns"
#: Why some of the others are not: for the words of the refusal alone.
WHY: Mapping[str, str] = {
    **dict.fromkeys(
        ("ReadFile", "WriteFile", "MatchingFiles", "SaveV2", "RestoreV2", "MergeV2Checkpoints", "ShardedFilename",
         "WholeFileReaderV2", "TextLineReaderV2", "TFRecordReaderV2", "InitializeTableFromTextFileV2"), _FILES,
    ),
    **dict.fromkeys(("PyFunc", "PyFuncStateless", "EagerPyFunc", "LoadLibrary", "XlaCallModule", "RemoteCall"), _RUNS),
    **dict.fromkeys(("HashTableV2", "LookupTableFindV2", "LookupTableImportV2", "MutableHashTableV2"), _TABLE),
    **dict.fromkeys(("ParseExampleV2", "ParseExample", "StringSplitV2", "AsString", "StaticRegexReplace"), _TEXTS),
}  # fmt: skip
