// How good the model is: summary, gates, metrics, curves, slices.

function summary(D) {
  const E = D.evaluation, main = E.metrics[E.metric] || {}, model = D.model;
  const passed = list(E.gates).filter((g) => g.passed).length, total = list(E.gates).length;
  const gauge = forest(
    [{ label: "Model", ...main }, ...Object.entries(E.baselines || {}).map(([name, found]) => ({ label: word(name), value: found && found[E.metric], color: 2 }))].filter((r) => has(r.value)),
    { bare: true, label: "The model beside its baselines" });
  const rows = D.splits.rows || {};
  return [
    h("div", { class: "hero" },
      h("div", { class: "verdict" },
        h("div", { class: "name" }, word(E.metric) + (main.greater_is_better === false ? " (lower is better)" : "")),
        h("div", { class: "big" }, score(main.value)),
        h("div", { class: "range" }, `${percent(E.confidence)} interval ${interval(main)}`),
        h("div", { class: "gauge" }, gauge)),
      h("dl", { class: "facts" },
        fact("Verdict", badge(E.passed, E.passed ? "Ready to ship" : "Not to be shipped"), total ? `${passed} of ${plural(total, "gate")} passed` : "no gates set"),
        fact("Target", D.target, word(D.task) + (D.classes.length ? `, ${plural(D.classes.length, "class", "classes")}` : "")),
        fact("Model", word(model.learner), [model.iterations > 0 && plural(model.iterations, "iteration"), model.calibration && model.calibration.method !== "none" && `${model.calibration.method} calibration`].filter(Boolean).join(", ")),
        fact("Judged on", plural(E.rows, "test row"), "never seen in training"),
        fact("Trained on", plural(rows.train || 0, "row"), rows.valid ? plural(rows.valid, "row") + " to tune and stop" : null),
        fact("Inputs", plural(D.columns_used, "column"), plural(D.features.length + D.features_left_out, "feature")))),
    has(D.positive) && h("p", { class: "hint after" }, "Probabilities are those of ", h("strong", null, `${D.target} = ${text(D.positive)}`),
      has(D.positive_share) ? `, which holds for ${percent(D.positive_share)} of the rows.` : "."),
  ];
}
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
    against.length > 0 && card(`Difference in ${word(E.metric)}`, `Model against each rival on the same rows, with ${percent(E.confidence)} paired bootstrap intervals. Right of zero, the model is better; across zero, it is a tie.`,
      forest(against, { zero: 0, include: [0], notes: true, format: (v) => signed(v), label: "Difference from baselines" })),
  ];
}
const card = (title, hint, ...body) => h("div", { class: "card" }, h("h3", null, title), hint && h("p", { class: "hint" }, hint), body);

function metrics(D) {
  const E = D.evaluation, names = Object.keys(E.metrics || {});
  const baselines = Object.keys(E.baselines || {}).filter((name) => E.baselines[name]);
  const rows = [E.metric, ...names.filter((n) => n !== E.metric)].filter((n) => E.metrics[n]).map((name) => ({ name, ...E.metrics[name] }));
  const table = sortable([
    { name: "Metric", cell: (r) => (r.name === E.metric ? h("strong", null, word(r.name)) : word(r.name)), key: (r) => word(r.name) },
    { name: "Model", number: true, cell: (r) => score(r.value), key: (r) => r.value },
    { name: `${percent(E.confidence)} interval`, number: true, cell: (r) => h("span", { class: "iv" }, interval(r)), key: (r) => r.low },
    ...baselines.map((b) => ({ name: word(b), number: true, cell: (r) => score(E.baselines[b][r.name]), key: (r) => E.baselines[b][r.name] })),
    { name: "", cell: (r) => h("span", { class: "iv" }, r.greater_is_better === false ? "lower is better" : "higher is better"), key: (r) => String(r.greater_is_better) },
  ], rows, { label: "Metrics" });
  const C = E.curves || {};
  return [
    card("Metrics", `On ${plural(E.rows, "test row")}; intervals from ${plural(E.replicates, "bootstrap replicate")}.`, table),
    h("div", { class: "grid", style: "margin-top:16px" },
      roc(C), recall(C), calibration(C, E), separation(D), residuals(C, D), fit(D)),
    h("div", { style: "margin-top:16px" }, list(C.thresholds).length ? decisions(D) : confusion(C)),
  ];
}

const unit = [0, 1];
function roc(C) {
  const points = list(C.roc);
  if (!points.length) return null;
  return card("ROC curve", "Share of positives found against share of negatives flagged, over all thresholds.", xy({ label: "ROC curve",
    x: { domain: unit, label: "false positive rate" }, y: { domain: unit, label: "true positive rate" },
    layers: [{ kind: "diagonal" }, { kind: "band", points: points.map(([x, y]) => [x, 0, y]) }, { kind: "line", points }],
    hover: points.map(([x, y]) => ({ x, title: `${percent(y)} of positives found`, lines: [`${percent(x)} of negatives flagged`] })) }));
}
function recall(C) {
  const points = list(C.precision_recall).slice().sort((a, b) => a[0] - b[0]);
  if (!points.length) return null;
  return card("Precision and recall", "How many of the flagged are right, against how many of the positives are flagged.", xy({ label: "Precision-recall curve",
    x: { domain: unit, label: "recall" }, y: { domain: unit, label: "precision" }, layers: [{ kind: "line", points }],
    hover: points.map(([x, y]) => ({ x, title: `precision ${percent(y)}`, lines: [`recall ${percent(x)}`] })) }));
}
function calibration(C, E) {
  const bins = list(C.calibration).filter((b) => has(b.predicted) && has(b.observed));
  if (!bins.length) return null;
  if (E.task === "regression") return means(bins);
  return card("Calibration", `Of the rows given a probability, how many came true; whiskers are ${percent(E.confidence)} intervals. On the dashed line, probabilities mean what they say.`, xy({ label: "Calibration",
    x: { domain: unit, label: "predicted" }, y: { domain: unit, label: "observed" },
    layers: [{ kind: "diagonal" }, { kind: "whiskers", points: bins.filter((b) => has(b.low)).map((b) => [b.predicted, b.low, b.high]) }, { kind: "line", points: bins.map((b) => [b.predicted, b.observed]), dash: true }, { kind: "dots", points: bins.map((b) => [b.predicted, b.observed]), radius: 4 }],
    hover: bins.map((b) => ({ x: b.predicted, title: `observed ${percent(b.observed, 1)} ${has(b.low) ? `[${percent(b.low, 1)}, ${percent(b.high, 1)}]` : ""}`, lines: [`predicted ${percent(b.predicted, 1)}`, plural(b.rows, "row")] })) }));
}
function means(bins) {
  const domain = extent(bins.flatMap((b) => [b.predicted, b.observed, b.low, b.high]), 0.04);
  return card("Calibration", "Mean actual value of the rows with about the same prediction; whiskers hold the middle 80% of them.", xy({ label: "Calibration",
    x: { domain, label: "predicted" }, y: { domain, label: "actual" },
    layers: [{ kind: "diagonal" }, { kind: "whiskers", points: bins.filter((b) => has(b.low)).map((b) => [b.predicted, b.low, b.high]) }, { kind: "dots", points: bins.map((b) => [b.predicted, b.observed]), radius: 4 }],
    hover: bins.map((b) => ({ x: b.predicted, title: `actual ${num(b.observed)}, middle 80% ${num(b.low)} to ${num(b.high)}`, lines: [`predicted ${num(b.predicted)}`, plural(b.rows, "row")] })) }));
}
function separation(D) {
  const T = list(D.evaluation.curves && D.evaluation.curves.thresholds);
  if (T.length < 2) return null;
  const wide = 4, n = T.length - 1;
  // what lies between two thresholds is what the lower one flags and the higher one does not
  const share = (k) => Array.from({ length: n / wide }, (_, i) => (T[i * wide][k] - ((i + 1) * wide < n ? T[(i + 1) * wide][k] : 0)) / (T[0][k] || 1));
  const up = share(1), down = share(2), bars = (values) => values.map((v, i) => [(wide * i) / n, (wide * (i + 1)) / n, v]);
  return card("Separation", "Where the probabilities of the two classes lie. The less the two overlap, the better the model tells them apart.", xy({ label: "Probability by class",
    x: { domain: unit, label: "probability" }, y: { label: "share of the class", format: (v) => percent(v) },
    layers: [{ kind: "bars", points: bars(down), color: 2, faint: true }, { kind: "bars", points: bars(up), color: 0, faint: true }],
    hover: up.map((v, i) => ({ x: (4 * i + 2) / n, title: `probability ${fixed((4 * i) / n, 2)} to ${fixed((4 * (i + 1)) / n, 2)}`, lines: [`${percent(v, 1)} of ${text(D.positive)}`, `${percent(down[i], 1)} of the rest`] })) }),
    legend([[0, `${D.target} = ${text(D.positive)}`], [2, "the rest"]]));
}
function residuals(C, D) {
  const R = C.residuals;
  if (!R || !list(R.counts).length) return null;
  const bars = R.counts.map((count, i) => [R.edges[i], R.edges[i + 1], count]);
  return card("Errors", "Actual value minus prediction. Centred on zero and narrow is good; a long tail on one side is a habit.", xy({ label: "Histogram of errors",
    x: { label: `error in ${D.target}` }, y: { label: "rows" }, layers: [{ kind: "bars", points: bars, color: 2 }],
    hover: bars.map(([a, b, c]) => ({ x: (a + b) / 2, title: plural(c, "row"), lines: [`error ${num(a)} to ${num(b)}`] })) }));
}
function fit(D) {
  const points = list(D.scatter);
  if (!points.length) return null;
  const domain = extent(points.flat(), 0.02);
  return card("Predicted and actual", `${plural(points.length, "test row")} at random; on the dashed line the prediction is right.`, xy({ label: "Predicted against actual",
    x: { domain, label: "actual" }, y: { domain, label: "predicted" }, layers: [{ kind: "diagonal" }, { kind: "dots", points, radius: 2.4, faint: true }] }));
}
function shade(share) {
  const strong = share > 0.55;
  return `background:color-mix(in oklab, var(--accent) ${Math.round(12 + 80 * share)}%, var(--bg));color:${strong ? "var(--bg)" : "var(--ink)"}`;
}
function confusion(C) {
  const M = C.confusion;
  if (!M || !list(M.counts).length) return null;
  const labels = list(M.labels);
  return card("Confusion matrix", "Rows are what was true, columns what was predicted; the shade is the share of the row.", h("div", { class: "scroll" }, h("table", { class: "matrix" },
    h("thead", null, h("tr", null, h("th"), labels.map((l) => h("th", { scope: "col", title: text(l) }, text(l))))),
    h("tbody", null, M.counts.map((row, i) => {
      const all = row.reduce((a, b) => a + b, 0) || 1;
      return h("tr", null, h("th", { scope: "row", title: text(labels[i]) }, text(labels[i])), row.map((count) => h("td", { style: shade(count / all) }, num(count), h("small", null, percent(count / all)))));
    })))));
}
function decisions(D) {
  const T = D.evaluation.curves.thresholds, n = T.length - 1, yes = text(D.positive), no = text(D.classes[0]);
  const out = h("output"), grid = h("div", { class: "split" });
  const slider = h("input", { type: "range", min: 0, max: n, step: 1, value: Math.round(0.5 * n), "aria-label": "Threshold", oninput: draw });
  function draw() {
    const [threshold, tp, fp, fn, tn] = T[Number(slider.value)], P = tp + fn, N = fp + tn;
    out.textContent = fixed(threshold, 2);
    const cell = (count, all) => h("td", { style: shade(all ? count / all : 0) }, num(count), h("small", null, percent(all ? count / all : 0)));
    const stat = (name, value) => h("div", null, h("span", null, name), has(value) ? percent(value, 1) : MISSING);
    const precision = tp + fp ? tp / (tp + fp) : null, recalled = P ? tp / P : null;
    grid.replaceChildren(
      h("table", { class: "matrix" }, h("thead", null, h("tr", null, h("th"), h("th", { scope: "col" }, `says ${no}`), h("th", { scope: "col" }, `says ${yes}`))),
        h("tbody", null, h("tr", null, h("th", { scope: "row" }, `is ${no}`), cell(tn, N), cell(fp, N)), h("tr", null, h("th", { scope: "row" }, `is ${yes}`), cell(fn, P), cell(tp, P)))),
      h("div", { class: "stats" }, stat("Precision", precision), stat("Recall", recalled), stat("F1", precision + recalled ? (2 * precision * recalled) / (precision + recalled) : null), stat("Accuracy", (tp + tn) / (P + N || 1)), stat("Flagged", (tp + fp) / (P + N || 1))));
  }
  draw();
  const jump = (name, value) => h("button", { class: "pill", onclick: () => { slider.value = Math.round(value * n); draw(); } }, `${name}: ${fixed(value, 2)}`);
  return card("Decisions at a threshold", `A row is called ${yes} from this probability on. Move it to see what each choice costs on the test rows.`,
    h("div", { class: "slider" }, slider, out), h("div", { class: "bar" }, jump("Default", 0.5), has(D.threshold) && jump("Suggested", D.threshold)), grid);
}

function slices(D) {
  const E = D.evaluation, found = Object.entries(E.slices || {}).filter(([, rows]) => list(rows).length);
  if (!found.length) return null;
  const whole = E.metrics[E.metric] || {};
  return found.map(([column, rows]) => {
    const shown = rows.map((r) => ({ label: text(r.value), full: `${column} = ${text(r.value)}`, ...((r.metrics || {})[E.metric] || {}), note: plural(r.rows, "row"), rows: r.rows, text: r.metrics && r.metrics[E.metric] && has(r.metrics[E.metric].value) ? null : "too few rows" }));
    return slice(column, shown, whole, E);
  });
}
function slice(column, rows, whole, E) {
  const host = h("div"), orders = { Rows: (r) => -r.rows, Worst: (r) => (has(r.value) ? (whole.greater_is_better === false ? -r.value : r.value) : Infinity), Name: (r) => r.label };
  const buttons = Object.entries(orders).map(([name, key]) => h("button", { class: "pill", onclick: () => show(name, key) }, name));
  function show(name, key) {
    buttons.forEach((b) => b.setAttribute("aria-pressed", String(b.textContent === name)));
    const sorted = [...rows].sort((a, b) => { const u = key(a), v = key(b); return typeof u === "number" ? u - v || 0 : u.localeCompare(v, "en", { numeric: true }); });
    host.replaceChildren(forest(sorted, { zero: whole.value, include: [whole.value], limit: 12, notes: true, label: `${word(E.metric)} by ${column}` }));
  }
  show("Rows", orders.Rows);
  return card(column, `${word(E.metric)} by value; the dashed line is the whole test set (${score(whole.value)}).`, h("div", { class: "bar" }, buttons), host);
}
