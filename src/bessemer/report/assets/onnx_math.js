// Operators that go element by element.

const onnxFloat = (compute) => ([x]) => onnxEach(x.type, [x], compute);
const onnxTest = (compute) => (inputs) => onnxEach("bool", inputs, (a, b) => (compute(a, b) ? 1 : 0));
// Two numbers of one type: as doubles (f32 rounds when stored), or as BigInts.
const onnxPair = (compute, whole) => ([a, b]) => onnxEach(a.type, [a, b], a.type === "i64" ? whole || compute : compute);
const onnxFold = (compute) => (inputs) => inputs.slice(1).reduce((a, b) => onnxEach(a.type, [a, b], compute), inputs[0]);

function onnxRoundEven(x) {
  const low = Math.floor(x), over = x - low;
  return over < 0.5 ? low : over > 0.5 ? low + 1 : low % 2 === 0 ? low : low + 1;
}
const onnxSigmoid = (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));
const onnxSoftplus = (x) => (x > 0 ? x + Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x)));
const onnxEither = (a, b, pick) => (Number.isNaN(a) || Number.isNaN(b) ? NaN : pick(a, b));

function onnxMod([a, b], attributes) {
  if (attributes.fmod) return onnxEach(a.type, [a, b], (x, y) => x % y);
  return onnxEach(a.type, [a, b], (x, y) => { const rest = x % y; return rest && (rest < 0) !== (y < 0) ? rest + y : rest; }); // the divisor's sign, as Python's
}

function onnxClip([x, low, high]) {
  const bottom = low ? low.data[0] : -Infinity, top = high ? high.data[0] : Infinity;
  return onnxEach(x.type, [x], (v) => (v < bottom ? bottom : v > top ? top : v));
}

function onnxSelu([x], attributes) {
  const alpha = attributes.alpha ?? 1.6732631921768188, gamma = attributes.gamma ?? 1.0507010221481323;
  return onnxEach(x.type, [x], (v) => (v > 0 ? gamma * v : gamma * (alpha * Math.exp(v) - alpha)));
}

const ONNX_MATH = {
  Abs: ([x]) => onnxEach(x.type, [x], x.type === "i64" ? (v) => (v < 0n ? -v : v) : Math.abs),
  Atan: onnxFloat(Math.atan), Ceil: onnxFloat(Math.ceil), Cos: onnxFloat(Math.cos), Exp: onnxFloat(Math.exp), Floor: onnxFloat(Math.floor),
  Log: onnxFloat(Math.log), Relu: onnxFloat((v) => (v < 0 ? 0 : v)), Round: onnxFloat(onnxRoundEven), Sigmoid: onnxFloat(onnxSigmoid), Sin: onnxFloat(Math.sin),
  Softplus: onnxFloat(onnxSoftplus), Sqrt: onnxFloat(Math.sqrt), Tanh: onnxFloat(Math.tanh),
  Neg: ([x]) => onnxEach(x.type, [x], (v) => -v),
  Sign: ([x]) => onnxEach(x.type, [x], x.type === "i64" ? (v) => (v > 0n ? 1n : v < 0n ? -1n : 0n) : Math.sign),
  Add: onnxPair((a, b) => a + b), Sub: onnxPair((a, b) => a - b), Mul: onnxPair((a, b) => a * b),
  Div: onnxPair((a, b) => a / b, (a, b) => { if (b === 0n) throw new Error("division by zero"); return a / b; }),
  Pow: onnxPair((a, b) => a ** b), Mod: onnxMod, Clip: onnxClip, Selu: onnxSelu,
  Max: onnxFold((a, b) => onnxEither(a, b, (x, y) => (x > y ? x : y))), Min: onnxFold((a, b) => onnxEither(a, b, (x, y) => (x < y ? x : y))),
  Equal: onnxTest((a, b) => a === b), Greater: onnxTest((a, b) => a > b), GreaterOrEqual: onnxTest((a, b) => a >= b),
  Less: onnxTest((a, b) => a < b), LessOrEqual: onnxTest((a, b) => a <= b),
  And: onnxTest((a, b) => a && b), Or: onnxTest((a, b) => a || b), Not: onnxTest((a) => !a),
  IsNaN: onnxTest(Number.isNaN), IsInf: onnxTest((v) => v === Infinity || v === -Infinity),
  Where: ([c, a, b]) => onnxEach(a.type, [c, a, b], (flag, x, y) => (flag ? x : y)),
  Cast: ([x], attributes) => onnxCast(x, attributes.to),
  Identity: ([x]) => x,
};
