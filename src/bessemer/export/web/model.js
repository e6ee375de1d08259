// The model, by onnxruntime-web: rows in, predictions out.

import * as ort from "./onnxruntime/ort.wasm.min.mjs";

ort.env.wasm.numThreads = 1; // more threads need headers that a plain server does not send
ort.env.wasm.wasmPaths = new URL("./onnxruntime/", import.meta.url).href;

const TYPES = { f32: "float32", f64: "float64", i64: "int64", str: "string" };

async function fetched(name) {
  const response = await fetch(new URL(name, import.meta.url));
  if (!response.ok) throw new Error(`${name} cannot be read: ${response.status} ${response.statusText}`);
  return response;
}

function feed(column, rows) {
  const { type, dims, data } = BessemerEncoder.columnTensor(column, rows.map((row) => row[column.name]));
  return new ort.Tensor(TYPES[type], data, dims);
}

// facts: of signature.json. predict(rows): [{prediction, probability?: [a number a class]}] of [{column: value}].
export async function load() {
  const facts = await (await fetched("signature.json")).json();
  const bytes = new Uint8Array(await (await fetched("model.onnx")).arrayBuffer());
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  const taken = facts.inputs.filter((column) => session.inputNames.includes(column.name));
  const wanted = facts.task === "regression" ? ["prediction", "score"] : ["prediction", "probability"];
  let last = Promise.resolve(); // a session answers one at a time

  async function run(rows) {
    if (!rows.length) return [];
    const feeds = Object.fromEntries(taken.map((column) => [column.name, feed(column, rows)]));
    const made = await session.run(feeds, wanted), numbers = made[wanted[1]], width = numbers.data.length / rows.length;
    return rows.map((_, i) => {
      if (facts.task === "regression") return { prediction: numbers.data[i * width] };
      const said = made.prediction.data[i];
      return { prediction: typeof said === "bigint" ? Number(said) : said, probability: Array.from(numbers.data.slice(i * width, (i + 1) * width)) };
    });
  }
  return { facts, predict: (rows) => (last = last.catch(() => null).then(() => run(rows))) };
}
