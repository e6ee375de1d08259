// Tensors: {type, dims, data}, row by row. f32 rounds where it is stored; i64 holds BigInts that wrap as C's do; str is a plain array.

const onnxSize = (dims) => dims.reduce((a, b) => a * b, 1);
const onnxEmpty = (type, size) => (type === "str" ? new Array(size).fill("") : new ONNX_ARRAYS[type](size));
const onnxTensor = (type, dims, data) => ({ type, dims, data: data || onnxEmpty(type, onnxSize(dims)) });
const onnxInts = (tensor) => Array.from(tensor.data, Number);
const onnxAxis = (axis, rank) => (axis < 0 ? axis + rank : axis);

function onnxConstant(facts) {
  if (facts.texts) return onnxTensor("str", facts.dims, facts.texts);
  const type = Object.keys(ONNX_ARRAYS).find((name) => facts.data instanceof ONNX_ARRAYS[name]);
  return onnxTensor(type, facts.dims, facts.data);
}

function onnxBroadcast(shapes) {
  const rank = Math.max(...shapes.map((dims) => dims.length)), found = [];
  for (let i = 1; i <= rank; i++) {
    const sizes = shapes.map((dims) => dims[dims.length - i] ?? 1), size = sizes.find((n) => n !== 1) ?? 1;
    if (sizes.some((n) => n !== 1 && n !== size)) throw new Error(`shapes ${shapes.join(" and ")} do not fit`);
    found.unshift(size);
  }
  return found;
}

// Where the element of each place of `dims` stands in a tensor that is broadcast to it.
function onnxPlaces(own, dims) {
  const size = onnxSize(dims), found = new Uint32Array(size), steps = new Array(dims.length).fill(0);
  for (let i = own.length - 1, step = 1; i >= 0; i--) {
    if (own[i] !== 1) steps[i + dims.length - own.length] = step;
    step *= own[i];
  }
  const at = new Array(dims.length).fill(0);
  for (let k = 0, place = 0; k < size; k++) {
    found[k] = place;
    for (let i = dims.length - 1; i >= 0; i--) {
      place += steps[i];
      if (++at[i] < dims[i]) break;
      place -= steps[i] * dims[i];
      at[i] = 0;
    }
  }
  return found;
}

// An operation on each element of tensors that are broadcast together.
function onnxEach(type, tensors, compute) {
  const first = tensors[0].dims, alike = tensors.every((t) => t.dims.length === first.length && t.dims.every((n, i) => n === first[i]));
  const dims = alike ? first : onnxBroadcast(tensors.map((t) => t.dims)), made = onnxTensor(type, dims);
  const places = tensors.map((t) => (alike ? null : onnxPlaces(t.dims, dims)));
  const at = (i, k) => tensors[i].data[places[i] === null ? k : places[i][k]];
  for (let k = 0; k < made.data.length; k++) made.data[k] = tensors.length === 1 ? compute(at(0, k)) : tensors.length === 2 ? compute(at(0, k), at(1, k)) : compute(at(0, k), at(1, k), at(2, k));
  return made;
}

const ONNX_TYPES = { 1: "f32", 7: "i64", 8: "str", 9: "bool", 11: "f64" };

function onnxCast(tensor, to) {
  const type = ONNX_TYPES[to], from = tensor.type;
  if (!type || (from === "str" && type !== "str") || (type === "str" && from !== "i64" && from !== "str")) throw new Error(`no cast from ${from} to type ${to}`);
  if (type === from) return tensor;
  if (type === "str") return onnxEach("str", [tensor], String);
  if (type === "i64") return onnxEach("i64", [tensor], (v) => (Number.isFinite(Number(v)) ? BigInt(Math.trunc(Number(v))) : -(2n ** 63n)));
  if (type === "bool") return onnxEach("bool", [tensor], (v) => (Number(v) !== 0 ? 1 : 0));
  return onnxEach(type, [tensor], Number);
}
