// What reads `encoder.json`: raw rows in, the numbers that an exported model takes out.

const MOMENT = /^(.*?)(Z|([+-])(\d\d):?(\d\d))?$/;

// Microseconds since 1970 in UTC, of a text as `2013-01-01T05:00:00.123456Z`, a Date, or a number of them.
function microseconds(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return ONNX_MISSING_TIME;
  if (typeof value === "bigint" || typeof value === "number") return BigInt(value);
  if (value instanceof Date) return BigInt(value.getTime()) * 1000n;
  const [, plain, , sign, hours, minutes] = MOMENT.exec(String(value).trim());
  const local = onnxMicroseconds(plain);
  if (local === ONNX_MISSING_TIME && plain !== "") throw new Error(`'${value}' is no moment: write 2013-01-01T05:00:00`);
  const away = sign ? BigInt(Number(hours) * 60 + Number(minutes)) * 60_000_000n : 0n;
  return sign === "+" ? local - away : local + away;
}

const NUMBER = /^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf|infinity|nan)$/i, TRUTHS = { true: 1, false: 0, 1: 1, 0: 0 };

// What a number, a truth or a text is to the model: numbers may be texts, '' is missing. What is missing is null.
function plainValue({ name, dtype, tensor }, value) {
  const written = typeof value === "string", whole = typeof value === "bigint" || Number.isInteger(value), text = String(value).trim();
  const number = typeof value === "boolean" || typeof value === "number" || typeof value === "bigint";
  if (value === null || value === undefined || Number.isNaN(value)) return null;
  if (tensor === "string") {
    if (written || whole || typeof value === "boolean") return String(value);
  } else if (written && text === "") {
    return null;
  } else if (dtype === "boolean") {
    if ((written || number) && Object.hasOwn(TRUTHS, text.toLowerCase())) return TRUTHS[text.toLowerCase()];
  } else {
    if (number) return Number(value);
    if (written && NUMBER.test(text)) return Number(text.replace(/inf(inity)?/i, "Infinity"));
  }
  throw new Error(`column '${name}': ${JSON.stringify(value)} is no ${dtype}`);
}

// The values of a column as a tensor {type, dims, data} of (rows, 1).
function columnTensor(column, values) {
  if (column.dtype !== "timestamp") return onnxInput(column, values.map((value) => plainValue(column, value)));
  return onnxTensor("i64", [values.length, 1], BigInt64Array.from(values, microseconds));
}

function constantTensor({ type, shape, data }) {
  if (type === "str") return onnxTensor(type, shape, data);
  return onnxTensor(type, shape, ONNX_ARRAYS[type].from(data, type === "i64" ? BigInt : Number));
}

class Encoder {
  // told: the content of encoder.json. width: how many numbers a row becomes.
  constructor(told) {
    if (told.format !== 1) throw new Error(`this reader knows format 1, the file has ${told.format}`);
    for (const name of ["inputs", "width", "task", "classes", "threshold", "fill", "flags"]) this[name] = told[name];
    this.constants = Object.entries(told.constants).map(([name, facts]) => [name, constantTensor(facts)]);
    this.result = told.features;
    this.steps = told.steps.map(([name, takes, gives, attributes]) => {
      if (!Object.hasOwn(ONNX_OPERATORS, name)) throw new Error(`this reader does not know the operator ${name}`);
      return { name, takes, gives, attributes, compute: ONNX_OPERATORS[name] };
    });
  }

  // rows: [{column: value}]; a tensor (rows, features) whose missing values are NaN.
  features(rows) {
    const values = Object.fromEntries(this.constants);
    for (const column of this.inputs) values[column.name] = columnTensor(column, rows.map((row) => row[column.name]));
    for (const step of this.steps) {
      const made = step.compute(step.takes.map((name) => values[name]), step.attributes, step);
      (Array.isArray(made) ? made : [made]).forEach((tensor, i) => { values[step.gives[i]] = tensor; });
    }
    return values[this.result];
  }

  // A Float32Array of rows * width without NaN, for the model's `encoded`.
  encode(rows) {
    const { data } = this.features(rows), size = this.fill.length, made = new Float32Array(rows.length * this.width);
    for (let i = 0; i < rows.length; i++) {
      for (let k = 0; k < size; k++) made[i * this.width + k] = Number.isNaN(data[i * size + k]) ? this.fill[k] : data[i * size + k];
      this.flags.forEach((k, j) => { made[i * this.width + size + j] = Number.isNaN(data[i * size + k]) ? 1 : 0; });
    }
    return made;
  }

  // Probabilities of each row, in the order of the classes, of the model's raw scores: a flat array of rows * scores.
  probability(scores) {
    if (this.task === "binary") return Array.from(scores, (score) => [Math.fround(onnxSigmoid(-score)), Math.fround(onnxSigmoid(score))]);
    const count = this.classes.length, lines = [];
    for (let at = 0; at < scores.length; at += count) lines.push(onnxSoftmaxLine(Array.from(scores).slice(at, at + count)));
    return lines;
  }

  // The class of each row, or its value.
  decide(scores) {
    if (this.task === "regression") return Array.from(scores);
    const choose = this.task === "binary" ? (line) => (line[1] >= this.threshold ? 1 : 0) : (line) => Number(onnxLargest(line));
    return this.probability(scores).map((line) => this.classes[choose(line)]);
  }
}

return { Encoder, columnTensor };
