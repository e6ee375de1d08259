// A model's graph out of the page: base64, gzip, a head of JSON and arrays (report/compact.py writes it).

async function onnxUnpack(packed) {
  if (typeof DecompressionStream === "undefined") throw new Error("this browser cannot unpack the model: a newer one can");
  const bytes = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0));
  const buffer = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
  return onnxParse(buffer);
}

const ONNX_ARRAYS = { f32: Float32Array, f64: Float64Array, i64: BigInt64Array, i32: Int32Array, i16: Int16Array, bool: Uint8Array };

function onnxParse(buffer) {
  const length = new DataView(buffer).getUint32(0, true), start = Math.ceil((length + 4) / 8) * 8;
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  return onnxArrays(head, (place) => new ONNX_ARRAYS[place[0]](buffer, start + place[1], place[2]));
}

// [type, offset, length] anywhere inside becomes its array.
function onnxArrays(value, read) {
  if (Array.isArray(value)) return value.length === 3 && typeof value[0] === "string" && Object.hasOwn(ONNX_ARRAYS, value[0]) && typeof value[1] === "number" ? read(value) : value.map((inner) => onnxArrays(inner, read));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, name === "texts" || name === "keys_strings" ? inner : onnxArrays(inner, read)]));
}
