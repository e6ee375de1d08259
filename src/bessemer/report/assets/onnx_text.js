// Operators on texts, and those that look values up.

// The table of an encoder is made once and kept with the node.
function onnxLabels([x], attributes, node) {
  if (!node.table) {
    const keys = attributes.keys_strings || attributes.keys_int64s || attributes.keys_floats, whole = Boolean(attributes.keys_int64s);
    node.table = new Map(Array.from(keys, (key, i) => [whole ? BigInt(key) : key, BigInt(attributes.values_int64s[i])]));
    node.unknown = BigInt(attributes.default_int64 ?? -1);
  }
  return onnxEach("i64", [x], (value) => node.table.get(value) ?? node.unknown);
}

function onnxMatches([x], attributes, node) {
  node.regex ||= new RegExp(`^(?:${attributes.pattern})$`, "u");
  return onnxEach("bool", [x], (value) => (node.regex.test(value) ? 1 : 0));
}

// Between spaces; the texts of all rows are as many as the longest has, filled up with empty ones.
function onnxSplit([x]) {
  const parts = x.data.map((value) => value.split(" ").filter((part) => part !== "")), most = Math.max(0, ...parts.map((p) => p.length));
  const texts = parts.flatMap((p) => [...p, ...new Array(most - p.length).fill("")]);
  return [onnxTensor("str", [...x.dims, most], texts), onnxTensor("i64", x.dims, BigInt64Array.from(parts, (p) => BigInt(p.length)))];
}

// How often each word of the pool occurs in each row.
function onnxCounts([x], attributes) {
  if (attributes.mode !== "TF" || attributes.max_gram_length !== 1) throw new Error("counts of more than single words");
  const size = x.dims[x.dims.length - 1], rows = x.data.length / size, words = attributes.ngram_indexes.length;
  const place = new Map(Array.from(attributes.pool_int64s, (word, i) => [BigInt(word), Number(attributes.ngram_indexes[i])]));
  const made = onnxTensor("f32", [...x.dims.slice(0, -1), words]);
  for (let i = 0; i < rows; i++) {
    for (let k = 0; k < size; k++) {
      const at = place.get(x.data[i * size + k]);
      if (at !== undefined) made.data[i * words + at] += 1;
    }
  }
  return made;
}

const ONNX_TEXT = {
  LabelEncoder: onnxLabels, RegexFullMatch: onnxMatches, StringSplit: onnxSplit, TfIdfVectorizer: onnxCounts,
  StringConcat: ([a, b]) => onnxEach("str", [a, b], (x, y) => x + y),
  // in the locale C only the letters of ASCII have another case
  StringNormalizer: ([x], attributes) => onnxEach("str", [x], attributes.case_change_action === "LOWER" ? (v) => v.replace(/[A-Z]/g, (c) => c.toLowerCase()) : (v) => v.replace(/[a-z]/g, (c) => c.toUpperCase())),
};
