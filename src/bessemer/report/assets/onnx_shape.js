// Operators that move elements, and those that sum or choose along an axis.

function onnxConcat(tensors, attributes) {
  const rank = tensors[0].dims.length, axis = onnxAxis(attributes.axis, rank), dims = [...tensors[0].dims];
  dims[axis] = tensors.reduce((sum, t) => sum + t.dims[axis], 0);
  const made = onnxTensor(tensors[0].type, dims), outer = onnxSize(dims.slice(0, axis)), inner = onnxSize(dims.slice(axis + 1));
  let at = 0;
  for (let o = 0; o < outer; o++) {
    for (const t of tensors) {
      const run = t.dims[axis] * inner;
      for (let k = 0; k < run; k++) made.data[at++] = t.data[o * run + k];
    }
  }
  return made;
}

function onnxGather([x, indices], attributes) {
  const axis = onnxAxis(attributes.axis || 0, x.dims.length), size = x.dims[axis], inner = onnxSize(x.dims.slice(axis + 1)), outer = onnxSize(x.dims.slice(0, axis));
  const made = onnxTensor(x.type, [...x.dims.slice(0, axis), ...indices.dims, ...x.dims.slice(axis + 1)]), picks = onnxInts(indices);
  let at = 0;
  for (let o = 0; o < outer; o++) {
    for (const pick of picks) {
      const index = pick < 0 ? pick + size : pick;
      if (!(index >= 0 && index < size)) throw new Error(`no place ${pick} in ${size}`);
      for (let k = 0; k < inner; k++) made.data[at++] = x.data[(o * size + index) * inner + k];
    }
  }
  return made;
}

function onnxReshape([x, shape], attributes) {
  const dims = onnxInts(shape).map((n, i) => (n === 0 && !attributes.allowzero ? x.dims[i] : n)), open = dims.indexOf(-1);
  if (open >= 0) dims[open] = x.data.length / dims.reduce((a, b) => (b === -1 ? a : a * b), 1);
  return onnxTensor(x.type, dims, x.data);
}

function onnxSqueeze([x, axes]) {
  const gone = axes ? onnxInts(axes).map((a) => onnxAxis(a, x.dims.length)) : null;
  return onnxTensor(x.type, x.dims.filter((n, i) => (gone ? !gone.includes(i) : n !== 1)), x.data);
}

function onnxUnsqueeze([x, axes]) {
  const rank = x.dims.length + axes.data.length, fresh = onnxInts(axes).map((a) => onnxAxis(a, rank)), rest = [...x.dims];
  return onnxTensor(x.type, Array.from({ length: rank }, (_, i) => (fresh.includes(i) ? 1 : rest.shift())), x.data);
}

function onnxTranspose([x], attributes) {
  const order = attributes.perm || x.dims.map((_, i) => x.dims.length - 1 - i), dims = order.map((i) => x.dims[i]), made = onnxTensor(x.type, dims);
  const steps = x.dims.map((_, i) => onnxSize(x.dims.slice(i + 1))), at = dims.map(() => 0);
  for (let k = 0; k < made.data.length; k++) {
    made.data[k] = x.data[order.reduce((sum, i, j) => sum + steps[i] * at[j], 0)];
    for (let i = dims.length - 1; i >= 0 && ++at[i] === dims[i]; i--) at[i] = 0;
  }
  return made;
}

// The first axis only: nothing else is sliced in our graphs.
function onnxSlice([x, starts, ends, axes, steps]) {
  if (starts.data.length !== 1 || (axes && onnxAxis(Number(axes.data[0]), x.dims.length) !== 0) || (steps && Number(steps.data[0]) !== 1)) throw new Error("a slice of another axis than the first");
  const inside = (n) => clamp(n < 0 ? n + x.dims[0] : n, 0, x.dims[0]), from = inside(Number(starts.data[0])), to = inside(Number(ends.data[0]));
  const inner = onnxSize(x.dims.slice(1));
  return onnxTensor(x.type, [Math.max(0, to - from), ...x.dims.slice(1)], x.data.slice(from * inner, Math.max(from, to) * inner));
}

function onnxExpand([x, shape]) {
  const dims = onnxBroadcast([x.dims, onnxInts(shape)]), places = onnxPlaces(x.dims, dims), made = onnxTensor(x.type, dims);
  for (let k = 0; k < places.length; k++) made.data[k] = x.data[places[k]];
  return made;
}

function onnxShape([x], attributes) {
  const dims = x.dims.slice(attributes.start ?? 0, attributes.end ?? x.dims.length);
  return onnxTensor("i64", [dims.length], BigInt64Array.from(dims, BigInt));
}

// (..., n, k) times (k, m); more axes than two only on the left.
function onnxMatMul([a, b]) {
  if (b.dims.length !== 2) throw new Error("a product with more than two axes on the right");
  const [k, m] = b.dims, n = a.data.length / k, made = onnxTensor(a.type, [...a.dims.slice(0, -1), m]);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < m; j++) {
      let sum = 0;
      for (let l = 0; l < k; l++) sum += a.data[i * k + l] * b.data[l * m + j];
      made.data[i * m + j] = sum;
    }
  }
  return made;
}

// Stacks of matrices (s, n, k) times (s, k, m).
function onnxMatMulStacks([a, b]) {
  if (b.dims.length === 2) return onnxMatMul([a, b]);
  const s = Math.max(a.dims[0], b.dims[0]), [n, k] = a.dims.slice(1), m = b.dims[2];
  if (a.dims.length !== 3 || b.dims.length !== 3 || b.dims[1] !== k) throw new Error("a product of these shapes");
  const pick = (t, i, size) => onnxTensor(t.type, t.dims.slice(1), t.data.subarray((t.dims[0] === 1 ? 0 : i) * size, ((t.dims[0] === 1 ? 0 : i) + 1) * size));
  const made = onnxTensor(a.type, [s, n, m]);
  for (let i = 0; i < s; i++) made.data.set(onnxMatMul([pick(a, i, n * k), pick(b, i, k * m)]).data, i * n * m);
  return made;
}

function onnxGemm([a, b, c], attributes) {
  const right = attributes.transB ? onnxTranspose([b], {}) : b;
  if (attributes.transA || (attributes.alpha ?? 1) !== 1 || (attributes.beta ?? 1) !== 1) throw new Error("a scaled or turned product");
  const [n, k] = a.dims, m = right.dims[1], made = onnxTensor(a.type, [n, m]), places = c && onnxPlaces(c.dims, [n, m]);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < m; j++) {
      let sum = c ? c.data[places[i * m + j]] : 0;
      for (let l = 0; l < k; l++) sum += a.data[i * k + l] * right.data[l * m + j];
      made.data[i * m + j] = sum;
    }
  }
  return made;
}

// Each line along the last axis becomes what `compute(line)` gives.
function onnxLines(x, axis, compute, type, keep) {
  if (onnxAxis(axis ?? -1, x.dims.length) !== x.dims.length - 1) throw new Error("another axis than the last");
  const size = x.dims[x.dims.length - 1], lines = x.data.length / size, dims = keep === undefined ? x.dims : keep ? [...x.dims.slice(0, -1), 1] : x.dims.slice(0, -1);
  const made = onnxTensor(type, dims), width = keep === undefined ? size : 1;
  for (let i = 0; i < lines; i++) {
    const found = compute(x.data.subarray(i * size, (i + 1) * size));
    if (width === 1 && keep !== undefined) made.data[i] = found;
    else for (let k = 0; k < size; k++) made.data[i * size + k] = found[k];
  }
  return made;
}
function onnxSoftmaxLine(line) {
  const top = Math.max(...line), raised = Array.from(line, (v) => Math.exp(v - top)), sum = raised.reduce((a, b) => a + b, 0);
  return raised.map((v) => v / sum);
}
function onnxLargest(line) {
  let best = 0;
  for (let i = 1; i < line.length; i++) if (line[i] > line[best]) best = i;
  return BigInt(best);
}

const ONNX_SHAPE = {
  Concat: onnxConcat, Gather: onnxGather, Reshape: onnxReshape, Squeeze: onnxSqueeze, Unsqueeze: onnxUnsqueeze, Transpose: onnxTranspose,
  Slice: onnxSlice, Expand: onnxExpand, Shape: onnxShape, MatMul: onnxMatMulStacks, Gemm: onnxGemm,
  Softmax: ([x], attributes) => onnxLines(x, attributes.axis, onnxSoftmaxLine, x.type),
  ArgMax: ([x], attributes) => onnxLines(x, attributes.axis ?? 0, onnxLargest, "i64", (attributes.keepdims ?? 1) !== 0),
  ReduceSum: ([x, axes], attributes) => onnxLines(x, axes ? Number(axes.data[0]) : -1, (line) => line.reduce((a, b) => a + b), x.type, (attributes.keepdims ?? 1) !== 0),
  ReduceMax: ([x, axes], attributes) => onnxLines(x, axes ? Number(axes.data[0]) : -1, (line) => line.reduce((a, b) => (b > a ? b : a)), x.type, (attributes.keepdims ?? 1) !== 0),
};
