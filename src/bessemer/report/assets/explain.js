// What each column added to a prediction that the page has made: the parts of the model's members, added up.

const EXPLAINERS = {
  constant: (facts) => ({ base: Float64Array.from(facts.score), each: () => 0 }),
  linear: (facts, made) => {
    const x = made.features.data, outputs = facts.intercept.length;
    const standard = (f) => ((Number.isNaN(x[f]) ? facts.impute[f] : x[f]) - facts.mean[f]) / facts.scale[f];
    return { base: Float64Array.from(facts.intercept), each: (f, k) => (f < x.length && k < outputs ? standard(f) * facts.coef[k][f] : 0) };
  },
  trees: (facts, made, model) => {
    const outputs = facts.base.length, base = Float64Array.from(facts.base);
    if (!has(facts.forest)) return { base: linked(base, facts), each: () => 0 };
    const found = model.shapley(facts.forest).parts(made.forests[facts.forest].data, facts.features);
    found.base.forEach((value, k) => { base[k] += value; });
    return rescaled(base, found.each, outputs, facts);
  },
  pairs: (facts, made, model) => {
    const found = EXPLAINERS[facts.inner.kind](facts.inner, made, model), first = facts.features, shared = new Map();
    facts.owners.forEach((owners, pair) => owners.forEach((owner) => shared.set(owner, [...(shared.get(owner) || []), pair])));
    const half = (pair, k) => Array.from({ length: facts.width }, (_, i) => found.each(first + pair * facts.width + i, k)).reduce((a, b) => a + b, 0) / 2;
    return { base: found.base, each: (f, k) => found.each(f, k) + (shared.get(f) || []).reduce((sum, pair) => sum + half(pair, k), 0) };
  },
  ensemble: (facts, made, model) => {
    const parts = facts.members.map(([weight, member]) => [weight, EXPLAINERS[member.kind](member, made, model)]), sum = (pick) => parts.reduce((total, [weight, part]) => total + weight * pick(part), 0);
    return { base: parts[0][1].base.map((_, k) => sum((part) => part.base[k])), each: (f, k) => sum((part) => part.each(f, k)) };
  },
};

function linked(total, { link, floor }) {
  if (link === "identity") return total;
  if (link === "exp") return total.map(Math.exp);
  return total.map((v) => { const p = clamp(v, floor, 1 - floor); return link === "log" ? Math.log(p) : Math.log(p / (1 - p)); });
}
// Through a link each part keeps its share of the distance between the base and the sum.
function rescaled(base, each, outputs, facts) {
  if (facts.link === "identity") return { base, each: (f, k) => each[f * outputs + k] };
  const total = base.map((value, k) => { let sum = value; for (let i = k; i < each.length; i += outputs) sum += each[i]; return sum; });
  const zero = linked(base, facts), margin = linked(total, facts);
  const factor = base.map((value, k) => (Math.abs(total[k] - value) < 1e-12 ? 0 : (margin[k] - zero[k]) / (total[k] - value)));
  return { base: zero, each: (f, k) => each[f * outputs + k] * factor[k] };
}

// {base, score, contributions: {group: value}} of output k; null where the page cannot tell, or they do not add up.
function contributionsOf(model, made, k) {
  const W = model.facts, facts = W.explain;
  if (!facts) return null;
  const found = EXPLAINERS[facts.kind](facts, made, model), at = (value, i, other) => (Array.isArray(value) ? value[i] : value) ?? other;
  const scale = at(W.calibration.scale, k, 1), base = found.base[k] * scale + at(W.calibration.offset, k, 0), sums = new Array(W.groups.length).fill(0);
  W.group_of.forEach((group, f) => { sums[group] += found.each(f, k) * scale; });
  const total = sums.reduce((a, b) => a + b, base), reached = made.score.data[k];
  if (!(Math.abs(total - reached) <= 1e-3 * Math.max(1, Math.abs(reached)))) return null;
  return { base, score: reached, contributions: Object.fromEntries(W.groups.map((group, i) => [group, sums[i]])) };
}
