import type { NodeProto } from "./proto/onnx_pb.js";

/** The operators whose results need only the shapes of what they read. */
const SHAPE_READERS: ReadonlySet<string> = new Set(["EyeLike", "Shape", "Size"]);

/** Operators whose output shapes need, of what they read, the shapes alone. */
const ONNX_BY_SHAPES = `
  Abs Acos Acosh Add And ArgMax ArgMin Asin Asinh Atan Atanh Attention AveragePool BatchNormalization
  Bernoulli BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast CastLike Ceil Celu Clip Concat
  Conv ConvInteger ConvTranspose Cos Cosh CumSum DeformConv DepthToSpace DequantizeLinear Det Div
  Dropout DynamicQuantizeLinear Einsum Elu Equal Erf Exp EyeLike Flatten Floor GRU Gather
  GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalLpPool GlobalMaxPool Greater
  GreaterOrEqual GridSample GroupNormalization HardSigmoid HardSwish Hardmax Identity
  InstanceNormalization IsInf IsNaN LRN LSTM LayerNormalization LeakyRelu Less LessOrEqual Log
  LogSoftmax LpNormalization LpPool MatMul MatMulInteger Max MaxPool MaxRoiPool Mean
  MeanVarianceNormalization Min Mish Mod Mul Multinomial Neg NegativeLogLikelihoodLoss Not Or PRelu
  Pow QLinearConv QLinearMatMul QuantizeLinear RMSNormalization RNN RandomNormal RandomNormalLike
  RandomUniform RandomUniformLike Reciprocal Relu ReverseSequence RoiAlign RotaryEmbedding Round
  Scatter ScatterElements ScatterND Selu Shape Shrink Sigmoid Sign
  SimplifiedLayerNormalization Sin Sinh Size Softmax SoftmaxCrossEntropyLoss Softplus Softsign
  SpaceToDepth Sqrt Sub Sum Swish Tan Tanh TfIdfVectorizer ThresholdedRelu Transpose Trilu Where Xor`;

const MICROSOFT_BY_SHAPES = `
  BiasAdd BiasGelu BiasSoftmax BiasSplitGelu DequantizeLinear DynamicQuantizeLSTM DynamicQuantizeMatMul
  FastGelu FusedConv FusedGemm FusedMatMul FusedMatMulActivation Gelu
  GridSample GroupNorm Inverse MatMulInteger16 MatMulIntegerToFloat MatMulNBits MulInteger
  NhwcMaxPool QGemm QLinearAdd QLinearAveragePool QLinearConcat QLinearConv QLinearGlobalAveragePool
  QLinearLeakyRelu QLinearMul QLinearSigmoid QLinearSoftmax QLinearWhere QuickGelu QuantizeLinear
  RotaryEmbedding SimplifiedLayerNormalization SkipGroupNorm SkipLayerNormalization
  SkipSimplifiedLayerNormalization TransposeMatMul Trilu`;

/** Positions of the inputs whose values say what shape comes out. */
const ONNX_BY_VALUES: readonly (readonly [string, readonly number[]])[] = [
  ["AffineGrid", [1]],
  ["CenterCropPad", [1]],
  ["Col2Im", [1, 2]],
  ["DFT", [1, 2]],
  ["Expand", [1]],
  ["MaxUnpool", [2]],
  ["OneHot", [1]],
  ["Pad", [1, 3]],
  ["ReduceL1", [1]],
  ["ReduceL2", [1]],
  ["ReduceLogSum", [1]],
  ["ReduceLogSumExp", [1]],
  ["ReduceMax", [1]],
  ["ReduceMean", [1]],
  ["ReduceMin", [1]],
  ["ReduceProd", [1]],
  ["ReduceSum", [1]],
  ["ReduceSumSquare", [1]],
  ["Reshape", [1]],
  ["Resize", [1, 2, 3]],
  ["STFT", [1, 3]],
  ["Slice", [1, 2, 3, 4]],
  ["Split", [1]],
  ["Squeeze", [1]],
  ["Tile", [1, 2]],
  ["TopK", [1]],
  ["Unsqueeze", [1]],
  ["Upsample", [1]],
];

const SHAPE_ARGUMENTS: ReadonlyMap<string, ReadonlyMap<string, readonly number[]>> = new Map([
  ["", new Map([...withoutArguments(ONNX_BY_SHAPES), ...ONNX_BY_VALUES])],
  ["com.microsoft", new Map(withoutArguments(MICROSOFT_BY_SHAPES))],
]);

function withoutArguments(operators: string): [string, readonly number[]][] {
  return operators
    .trim()
    .split(/\s+/)
    .map((opType) => [opType, []]);
}

/** Whether the results are determined by the shapes of what the node reads. */
export function readsShapesOnly(node: NodeProto): boolean {
  return domainOf(node) === "" && SHAPE_READERS.has(node.opType ?? "");
}

/**
 * The inputs whose values, beside the shapes of all inputs, determine the shapes of the outputs;
 * undefined where other values may, as with NonZero, or where the operator is not known.
 */
export function shapeArgumentsOf(node: NodeProto): readonly string[] | undefined {
  const positions = SHAPE_ARGUMENTS.get(domainOf(node))?.get(node.opType ?? "");
  return positions?.flatMap((position) => node.input[position] ?? []).filter((name) => name !== "");
}

function domainOf(node: NodeProto): string {
  return node.domain === "ai.onnx" ? "" : (node.domain ?? "");
}
