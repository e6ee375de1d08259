// Exact contributions of trees for one row: package/trees/paths.py in the page. A leaf is worth its value where the row keeps
// the conditions of its path (o = 1), and the share z of the training weight that does where a feature is not known; a
// feature's part is value (o - z) times the integral over t of the product of the others' z (1 - t) + o t.

// Gauss and Legendre's points and weights on 0..1: exact to degree 2n - 1.
function legendre(n) {
  return Array.from({ length: n }, (_, i) => {
    let x = Math.cos((Math.PI * (i + 0.75)) / (n + 0.5)), slope = 1;
    for (let round = 0; round < 100; round++) {
      let before = 1, at = x;
      for (let k = 2; k <= n; k++) [before, at] = [at, ((2 * k - 1) * x * at - (k - 1) * before) / k];
      slope = (n * (x * at - before)) / (x * x - 1);
      const step = at / slope;
      x -= step;
      if (Math.abs(step) < 1e-15) break;
    }
    return [(x + 1) / 2, 1 / ((1 - x * x) * slope * slope)];
  });
}

// How many training rows reach each node of a tree, as whole numbers that are never 0.
function coversOf(trees, root, end) {
  let total = 0;
  for (let node = root; node < end; node++) if (trees.left[node] < 0) total += trees.cover[-1 - trees.left[node]];
  const found = new Float64Array(end - root);
  for (let node = end - 1; node >= root; node--) {
    if (trees.left[node] < 0) found[node - root] = Math.max(1, Math.round(total > 0 ? (trees.cover[-1 - trees.left[node]] * 1e9) / total : 1));
    else found[node - root] = found[trees.left[node] - root] + found[trees.right[node] - root];
  }
  return found;
}

// Each leaf with its conditions, one a feature: {feature, low, high, missing, share}.
function pathsOf(trees, root, end) {
  const covers = coversOf(trees, root, end), found = [], todo = [[root, []]];
  while (todo.length) {
    const [node, conditions] = todo.pop();
    if (trees.left[node] < 0) { found.push({ leaf: -1 - trees.left[node], conditions }); continue; }
    const feature = trees.feature[node], t = trees.threshold[node], missingLeft = trees.missing_left[node] !== 0;
    const own = conditions.find((c) => c.feature === feature) || { feature, low: -Infinity, open: true, high: Infinity, missing: true, share: 1 };
    const rest = conditions.filter((c) => c !== own), share = (child) => (own.share * covers[child - root]) / covers[node - root];
    todo.push([trees.right[node], [...rest, { ...own, low: own.open ? t : Math.max(own.low, t), open: false, missing: own.missing && !missingLeft, share: share(trees.right[node]) }]]);
    todo.push([trees.left[node], [...rest, { ...own, high: Math.min(own.high, t), missing: own.missing && missingLeft, share: share(trees.left[node]) }]]);
  }
  return found;
}
const keeps = (c, x) => (Number.isNaN(x) ? c.missing : (c.open || x > c.low) && x <= c.high);

class Shapley {
  constructor(trees) {
    this.trees = trees;
    this.rules = [];
    this.paths = Array.from(trees.root).flatMap((root, i) => pathsOf(trees, root, i + 1 < trees.root.length ? trees.root[i + 1] : trees.left.length));
  }
  rule(n) { return (this.rules[n] ||= legendre(n)); }

  // x: the features the trees see. base (K) and each (features x K).
  parts(x, features) {
    const { targets, width, target, value } = this.trees, base = new Float64Array(targets), each = new Float64Array(features * targets);
    for (const { leaf, conditions } of this.paths) {
      const weight = conditions.reduce((product, c) => product * c.share, 1), inside = conditions.map((c) => (keeps(c, x[c.feature]) ? 1 : 0));
      const shares = this.shares(conditions, inside);
      for (let k = 0; k < width; k++) {
        const to = width === 1 ? target[leaf] : k, worth = value[leaf * width + k];
        base[to] += worth * weight;
        conditions.forEach((c, i) => { each[c.feature * targets + to] += worth * shares[i]; });
      }
    }
    return { base, each };
  }
  shares(conditions, inside) {
    const found = new Float64Array(conditions.length);
    for (const [t, weight] of this.rule(Math.ceil(conditions.length / 2))) {
      const factors = conditions.map((c, i) => c.share * (1 - t) + inside[i] * t), product = factors.reduce((a, b) => a * b, 1);
      factors.forEach((factor, i) => { found[i] += (weight * product * (inside[i] - conditions[i].share)) / factor; });
    }
    return found;
  }
}
