// Runs a graph model in TensorFlow.js. Its argument is a folder with the question and `encoded.npy`.
"use strict";

const fs = require("fs");
const path = require("path");
const tf = require("@tensorflow/tfjs");

const BATCHES = [1, 64];
const SECONDS = 0.2;

// {shape, data} of float32 in the order of C.
function readArray(file) {
  const content = fs.readFileSync(file);
  const start = content[6] === 1 ? 10 + content.readUInt16LE(8) : 12 + content.readUInt32LE(8);
  const shape = /'shape': \(([^)]*)\)/.exec(content.toString("latin1", 0, start))[1];
  const data = new Float32Array(content.buffer.slice(content.byteOffset + start));
  return { shape: shape.split(",").filter((size) => size.trim()).map(Number), data };
}

function writeArray(file, tensor) {
  const shape = `(${tensor.shape.join(", ")}${tensor.shape.length === 1 ? "," : ""})`;
  let header = `{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}, }`;
  header += " ".repeat(63 - ((10 + header.length) % 64)) + "\n";
  const start = Buffer.from("\x93NUMPY\x01\x00\0\0" + header, "latin1");
  start.writeUInt16LE(header.length, 8);
  fs.writeFileSync(file, Buffer.concat([start, Buffer.from(new Float32Array(tensor.dataSync()).buffer)]));
}

// What `tf.loadGraphModel` fetches in a browser, read from the disk.
function fromDisk(folder) {
  const told = JSON.parse(fs.readFileSync(path.join(folder, "model.json"), "utf8"));
  const { paths, weights } = told.weightsManifest[0];
  const data = Buffer.concat(paths.map((name) => fs.readFileSync(path.join(folder, name))));
  const weightData = data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength);
  return { load: async () => ({ ...told, weightSpecs: weights, weightData }) };
}

// The median microseconds for a row, by how many are asked for at once.
function microseconds(run, x) {
  const found = {};
  for (const rows of BATCHES) {
    const given = tf.tidy(() => tf.gather(x, tf.range(0, rows, 1, "int32").mod(tf.scalar(x.shape[0], "int32"))));
    const took = [];
    const end = performance.now() + 1000 * SECONDS;
    run(given);
    while (performance.now() < end || took.length < 5) {
      const start = performance.now();
      run(given);
      took.push(performance.now() - start);
    }
    found[rows] = (1000 * took.sort((a, b) => a - b)[took.length >> 1]) / rows;
  }
  return found;
}

async function main(folder) {
  const question = JSON.parse(fs.readFileSync(path.join(folder, "question.json"), "utf8"));
  await tf.setBackend("cpu");
  const model = await tf.loadGraphModel(fromDisk(question.paths[0]));
  const { shape, data } = readArray(path.join(folder, "encoded.npy"));
  const x = tf.tensor(data, shape);
  const answers = model.predict({ encoded: x });
  for (const name of Object.keys(answers)) writeArray(path.join(folder, `out_${name}.npy`), answers[name]);
  const said = { runtime: `TensorFlow.js ${tf.version.tfjs}, in Node ${process.versions.node}` };
  const run = (rows) => tf.tidy(() => Object.values(model.predict({ encoded: rows })).forEach((t) => t.dataSync()));
  if (question.time) said.latency = microseconds(run, x);
  fs.writeFileSync(path.join(folder, "answer.json"), JSON.stringify(said));
}

main(process.argv[2]).catch((error) => {
  console.error(error);
  process.exit(1);
});
