// The graph, node after node: raw values of rows in, the model's outputs out.

const ONNX_OPERATORS = { ...ONNX_MATH, ...ONNX_SHAPE, ...ONNX_TEXT, ...ONNX_TREES };

class OnnxGraph {
  // head: what onnxUnpack gave; inputs: [{name, tensor, dtype}] of the signature.
  constructor(head, inputs) {
    this.inputs = inputs;
    this.places = head.inputs;
    this.outputs = head.outputs;
    this.constants = Object.entries(head.constants).map(([place, facts]) => [place, onnxConstant(facts)]);
    this.nodes = head.nodes.map(([name, takes, gives, attributes]) => ({ name, takes, gives, attributes, compute: ONNX_OPERATORS[name] }));
  }

  // rows: [{column: value}]; the outputs by name with `features`, and under `forests` what each operator of trees was fed.
  run(rows) {
    const values = Object.fromEntries(this.constants), forests = [];
    for (const input of this.inputs) values[this.places[input.name]] = onnxInput(input, rows.map((row) => row[input.name]));
    for (const node of this.nodes) {
      if (node.name === "TreeEnsembleRegressor") forests.push(values[node.takes[0]]);
      const made = node.compute(node.takes.map((at) => values[at]), node.attributes, node);
      (Array.isArray(made) ? made : [made]).forEach((tensor, i) => { values[node.gives[i]] = tensor; });
    }
    return { ...Object.fromEntries(Object.entries(this.outputs).map(([name, at]) => [name, values[at]])), forests };
  }

  get trees() { return this.nodes.filter((node) => node.name === "TreeEnsembleRegressor").map((node) => (node.trees ||= onnxTreesOpen(node.attributes))); }
}

const ONNX_MISSING_TIME = -(2n ** 63n);

// A column of raw values as a tensor (N, 1); what is missing is NaN, '' or the smallest int64.
function onnxInput({ tensor, dtype }, values) {
  const dims = [values.length, 1];
  if (tensor === "string") return onnxTensor("str", dims, values.map((v) => (has(v) ? String(v) : "")));
  if (dtype === "timestamp") return onnxTensor("i64", dims, BigInt64Array.from(values, onnxMicroseconds));
  const type = tensor === "float64" ? "f64" : tensor === "int64" ? "i64" : "f32";
  return onnxTensor(type, dims, ONNX_ARRAYS[type].from(values, (v) => (type === "i64" ? BigInt(v) : has(v) ? Number(v) : NaN)));
}

// Microseconds since 1970 of `2013-01-01T05:00:00.123456`, which is UTC whatever the reader's time zone.
function onnxMicroseconds(value) {
  const found = /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?)?$/.exec(has(value) ? String(value) : "");
  if (!found) return ONNX_MISSING_TIME;
  const [year, month, date, hour, minute, second] = found.slice(1, 7).map((part) => Number(part || 0)), moment = new Date(0);
  moment.setUTCFullYear(year, month - 1, date);
  moment.setUTCHours(hour, minute, second);
  return BigInt(moment.getTime()) * 1000n + BigInt((found[7] || "").padEnd(6, "0"));
}
