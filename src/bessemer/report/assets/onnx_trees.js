// Trees: every row walks from each root to a leaf, and the leaves' values are added in float32, in the order of the trees.

// From steps to places, and thresholds to the nodes they belong to.
function onnxTreesOpen(packed) {
  const n = packed.left.length, left = new Int32Array(n), right = new Int32Array(n), threshold = new Float32Array(n);
  for (let i = 0, branch = 0; i < n; i++) {
    const leaf = packed.left[i] < 0;
    left[i] = leaf ? packed.left[i] : packed.left[i] + i;
    right[i] = leaf ? 0 : packed.right[i] + i;
    if (!leaf) threshold[i] = packed.threshold[branch++];
  }
  return { ...packed, left, right, threshold };
}

const onnxGoesLeft = (trees, node, x) => (Number.isNaN(x) ? trees.missing_left[node] !== 0 : x <= trees.threshold[node]);

function onnxTreesLeaf(trees, root, x) {
  let node = root;
  while (trees.left[node] >= 0) node = onnxGoesLeft(trees, node, x[trees.feature[node]]) ? trees.left[node] : trees.right[node];
  return -1 - trees.left[node];
}

function onnxTreesSum([x], packed, node) {
  const trees = (node.trees ||= onnxTreesOpen(packed)), { targets, width } = trees, [rows, features] = x.dims, made = onnxTensor("f32", [rows, targets]);
  for (let i = 0; i < rows; i++) {
    const row = x.data.subarray(i * features, (i + 1) * features), sum = made.data.subarray(i * targets, (i + 1) * targets);
    for (const root of trees.root) {
      const leaf = onnxTreesLeaf(trees, root, row);
      if (width === 1) sum[trees.target[leaf]] += trees.value[leaf];
      else for (let k = 0; k < width; k++) sum[k] += trees.value[leaf * width + k];
    }
    for (let k = 0; k < targets; k++) sum[k] += trees.base[k];
  }
  return made;
}

const ONNX_TREES = { TreeEnsembleRegressor: onnxTreesSum };
