/** What became of each op of ai.onnx from version 8 to 26: the table that lifting a model goes by. A test holds it against the official list. */

import { axesAsInput, axisOfDft, bounds, clipBounds, padding, partsCounted, scalesAsInput, splitSizes, topCount } from './inputs.ts';
import { cornersUnmoved, dropoutPassed, eachChannel, flattened, inferenceAlone, modeRenamed, scatterElements, spatialAlone } from './replaced.ts';
import { cornerCounted, emptyLeftOut, upsampleGone } from './resize.ts';
import type { Rule } from './rule.ts';
import { overBatch } from './scan.ts';

/** The oldest version of ai.onnx that is read: before it, ops broadcast in ways of their own. */
export const oldest = 7;
/** The newest version that the table knows. */
export const newest = 26;

/** Versions where what was allowed before means the same: more element types, further attributes with the old meaning as their default, wider ranges. */
const widened: Readonly<Record<number, string>> = {
  8: `Max MaxPool Mean Min Sum`,
  9: `Cast Constant Flatten Gemm Greater Less MatMul PRelu`,
  10: `AveragePool Dropout MaxPool`,
  11: `ArgMax ArgMin AveragePool Compress Concat Constant Conv ConvTranspose DepthToSpace Equal Flatten Gather Gemm Hardmax If LogSoftmax Loop LpPool MaxPool MaxUnpool
    NonMaxSuppression OneHot ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Scan Slice Softmax Split
    Squeeze TopK Unsqueeze`,
  12: `ArgMax ArgMin Clip Constant GatherND Max MaxPool Min Pow ReduceMax ReduceMin`,
  13: `Abs Add ArgMax ArgMin Cast Ceil Clip Concat Constant DepthToSpace DequantizeLinear Div Dropout Equal Erf Exp Expand Flatten Floor Gather GatherElements GatherND Gemm
    Greater Identity If IsNaN LRN Less Log Loop MatMul Max Mean MeanVarianceNormalization Min Mod Mul Neg NegativeLogLikelihoodLoss NonZero Pad Pow QuantizeLinear
    Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSumSquare Relu Reshape ScatterElements ScatterND Shape
    Sigmoid Sign Size Slice SoftmaxCrossEntropyLoss SpaceToDepth Sqrt Sub Sum Tanh Tile Transpose`,
  14: `Add CumSum Div GRU Identity LSTM Mul RNN Relu Reshape Sub`,
  15: `BatchNormalization Pow Shape`,
  16: `GreaterOrEqual Identity If LeakyRelu LessOrEqual Loop PRelu Scan ScatterElements ScatterND Where`,
  18: `LpPool OptionalGetElement OptionalHasElement Pad Resize ScatterElements ScatterND`,
  19: `AveragePool Cast CastLike Constant DequantizeLinear Equal Identity If Loop Pad QuantizeLinear Reshape Resize Scan Shape Size`,
  20: `ConstantOfShape IsInf IsNaN ReduceMax ReduceMin`,
  21: `Cast CastLike Constant ConstantOfShape DequantizeLinear Flatten Identity If Loop Pad QLinearMatMul QuantizeLinear Reshape Scan Shape Size Squeeze Transpose Unsqueeze`,
  22: `Acos Acosh Asin Asinh Atan Atanh AveragePool Bernoulli Conv ConvTranspose Cos Cosh DeformConv Det Dropout Elu EyeLike GRU GlobalAveragePool GlobalLpPool
    GlobalMaxPool GridSample HardSigmoid HardSwish InstanceNormalization LSTM LpNormalization LpPool MaxPool MaxRoiPool MaxUnpool Mish Multinomial
    NegativeLogLikelihoodLoss RNN RandomNormal RandomNormalLike RandomUniform RandomUniformLike RoiAlign Round Selu Sin Sinh Softplus Softsign Tan ThresholdedRelu`,
  23: `Cast CastLike Constant ConstantOfShape DequantizeLinear Flatten Identity If Loop Pad QuantizeLinear Reshape Scan Shape Size Squeeze Transpose Unsqueeze`,
  24: `Attention Cast CastLike Constant ConstantOfShape DequantizeLinear Flatten Identity If Loop Pad QuantizeLinear Reshape Scan Shape Size SplitToSequence Squeeze TopK
    Transpose Unsqueeze`,
  25: `Attention Cast CastLike Constant ConstantOfShape DequantizeLinear Flatten Identity If Loop Pad QuantizeLinear Reshape Scan Shape Size Squeeze Transpose Unsqueeze`,
};

/** Versions where a node must be written in another way, as `op@version`. */
export const rules: Readonly<Record<string, Rule>> = {
  'Upsample@9': scalesAsInput,
  'Upsample@10': upsampleGone,
  'Scan@9': overBatch,
  'BatchNormalization@9': spatialAlone,
  'Slice@10': bounds,
  'TopK@10': topCount,
  'Clip@11': clipBounds,
  'Pad@11': padding,
  'Scatter@11': scatterElements,
  'Resize@11': cornerCounted,
  'Dropout@12': dropoutPassed,
  'Squeeze@13': axesAsInput,
  'Unsqueeze@13': axesAsInput,
  'ReduceSum@13': axesAsInput,
  'Split@13': splitSizes,
  'Resize@13': emptyLeftOut,
  'Softmax@13': flattened,
  'LogSoftmax@13': flattened,
  'Hardmax@13': flattened,
  'BatchNormalization@14': inferenceAlone,
  'RoiAlign@16': cornersUnmoved,
  'Split@18': partsCounted,
  ...Object.fromEntries(['L1', 'L2', 'LogSum', 'LogSumExp', 'Max', 'Mean', 'Min', 'Prod', 'SumSquare'].map((name) => [`Reduce${name}@18`, axesAsInput])),
  'DFT@20': axisOfDft,
  'GridSample@20': modeRenamed,
  'GroupNormalization@21': eachChannel,
};

/** Steps without a rule, as `op@version`. */
export const compatible: ReadonlySet<string> = new Set(Object.entries(widened).flatMap(([version, names]) => names.split(/\s+/).map((name) => `${name}@${version}`)));
