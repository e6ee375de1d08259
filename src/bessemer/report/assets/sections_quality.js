// How good the model is: gates and metrics.

const fact = (name, value, more) => h("div", null, h("dt", null, name), h("dd", null, value, more && h("small", null, more)));
const badge = (good, label) => h("span", { class: good ? "badge" : "badge bad" }, good ? "✓ " : "✗ ", label);

function gates(D) {
  const E = D.evaluation;
  const rivals = Object.entries(E.versus || {}).filter(([, v]) => v && has(v.difference));
  const against = rivals.map(([name, v]) => ({ label: word(name), value: v.difference, low: v.low, high: v.high, note: { better: "better", tie: "tie", worse: "worse" }[v.verdict] || v.verdict, color: v.verdict === "tie" ? 2 : 0 }));
  const found = (g) => (typeof g.value === "number" ? `, found ${score(g.value)}` : has(g.value) ? `, found ${text(g.value)}` : "");
  const table = list(E.gates).length > 0 && h("div", { class: "gates" }, E.gates.map((g) => [
    badge(g.passed, g.passed ? "passed" : "failed"),
    h("div", null, h("strong", null, word(g.gate)), h("span", null, `: ${text(g.required)}${found(g)}`), g.why && h("div", { class: "hint" }, g.why))]));
  if (!table && !against.length) return null;
  return [
    table && card("Gates", "What the model had to reach before it may be packaged.", table),
    against.length > 0 && card(`Difference in ${within(E.metric)}`, `Model against each rival on the same rows, with ${percent(E.confidence)} paired bootstrap intervals. Right of zero, the model is better; across zero, it is a tie.`,
      forest(against, { zero: 0, include: [0], notes: true, format: (v) => signed(v), label: "Difference from baselines" })),
  ];
}
const card = (title, hint, ...body) => h("div", { class: "card" }, h("h3", null, title), hint && h("p", { class: "hint" }, hint), body);

// The metrics of a target beside those of its baselines; `confidence` is that of the intervals.
function metricTable(own, confidence, label) {
  const names = Object.keys(own.metrics || {}), baselines = Object.keys(own.baselines || {}).filter((name) => own.baselines[name]);
  const rows = [own.metric, ...names.filter((n) => n !== own.metric)].filter((n) => own.metrics[n]).map((name) => ({ name, ...own.metrics[name] }));
  return sortable([
    { name: "Metric", cell: (r) => (r.name === own.metric ? h("strong", null, word(r.name)) : word(r.name)), key: (r) => word(r.name) },
    { name: "Model", number: true, cell: (r) => score(r.value), key: (r) => r.value },
    { name: `${percent(confidence)} interval`, number: true, cell: (r) => h("span", { class: "iv" }, interval(r)), key: (r) => r.low },
    ...baselines.map((b) => ({ name: word(b), number: true, cell: (r) => score(own.baselines[b][r.name]), key: (r) => own.baselines[b][r.name] })),
    { name: "", cell: (r) => h("span", { class: "iv" }, r.greater_is_better === false ? "lower is better" : "higher is better"), key: (r) => String(r.greater_is_better) },
  ], rows, { label });
}

// What the same model predicts beside its main target.
function furtherTargets(D) {
  const E = D.evaluation, found = Object.entries(E.further || {});
  return found.length > 0 && found.map(([name, own]) => h("div", { class: "card" }, h("h3", null, h("bdi", null, name)),
    h("p", { class: "hint" }, `${word(own.task)}, on ${plural(own.rows, "test row")} that have it.`), own.rows > 0 && metricTable(own, E.confidence, `Metrics of ${name}`)));
}

function metrics(D) {
  const E = D.evaluation, table = metricTable(E, E.confidence, "Metrics");
  const C = E.curves || {};
  return [
    card("Metrics", `On ${plural(E.rows, "test row")}; intervals from ${plural(E.replicates, "bootstrap replicate")}.`, table),
    h("div", { class: "grid spaced" },
      roc(C), recall(C), gain(C, D), calibration(C, E), separation(D), residuals(C, D), fit(D)),
    h("div", { class: "spaced" }, list(C.thresholds).length ? decisions(D) : confusion(C)),
    leftover(D),
  ];
}
