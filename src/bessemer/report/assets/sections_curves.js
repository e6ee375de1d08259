// The curves of the test rows: ROC, precision and recall, gain, calibration, errors.

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
function gain(C, D) {
  const points = list(C.gain), share = D.positive_share;
  if (points.length < 2) return null;
  const ideal = has(share) && share > 0 && share < 1 ? [[0, 0], [share, 1], [1, 1]] : [];
  return card("Gain and lift", "Share of the positives found in the rows of highest probability; the grey line is the best that can be.", xy({ label: "Gain",
    x: { domain: unit, label: "share of rows, highest first", format: (v) => percent(v) }, y: { domain: unit, label: "share of positives", format: (v) => percent(v) },
    layers: [{ kind: "diagonal" }, { kind: "line", points: ideal, color: 2, dash: true }, { kind: "line", points }],
    hover: points.map(([x, y]) => ({ x, title: `the first ${percent(x, 1)} of the rows`, lines: [`${percent(y)} of the positives`, x > 0 ? `lift ${fixed(y / x, 2)}: that many times as many as by chance` : ""].filter(Boolean) })) }));
}
// Where the model is off on average: by its own prediction, and by the columns over which that varies most.
function leftover(D) {
  const R = D.residuals, binary = D.task === "binary";
  if (!R || !list(R.prediction).length) return null;
  const what = binary ? "what happened minus the probability" : "actual minus predicted";
  const chart = (title, name, curve) => card(title, null, effectChart(name, curve, { unit: "mean error", band: "95% interval", show: binary ? signed : (v) => signed(v, num) }));
  const [first, ...rest] = [["By prediction", binary ? "predicted probability" : "prediction", { kind: "number", points: R.prediction }], ...list(R.columns).map((column) => [column.name, column.name, column])];
  return [h("h3", { class: "part" }, "Where it is off"), h("p", { class: "intro" }, `Mean error, ${what}, with 95% intervals. Away from zero, predictions are too high or too low there.`),
    h("div", { class: "grid" }, chart(...first), rest.map((one) => chart(...one)))];
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
