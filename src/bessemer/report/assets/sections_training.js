// How the model was found: the leaderboard, training curves, the learning curve, parameters.

function training(D) {
  const H = D.history || {}, board = list(H.leaderboard), curves = Object.entries(H.curves || {}).filter(([, points]) => list(points).length > 1);
  if (!board.length && !curves.length && !H.learning_curve) return null;
  const params = Object.entries(D.model.params || {}), A = H.automl, needed = measured().needed || {};
  const skipped = [...list(A && A.skipped), ...list(H.compared).filter((r) => r.why)];
  return [
    h("div", { class: "grid" },
      lossCharts(curves).map(([title, lines]) => card(title, null, lossChart(title, lines, D.model.iterations))),
      learningCurve(H.learning_curve),
    ),
    h("div", { class: "spaced" },
      board.length > 0 && card("Leaderboard", A ? automlWords(A) : "Each learner on the validation rows.", sortable(leaderboardColumns(board, A), board, { label: "Leaderboard", limit: 20 })),
      skipped.length > 0 && card("Left out", "What the budget had no time for, or could not be tried.", sortable([
        { name: "Learner", cell: (r) => word(r.learner), key: (r) => r.learner },
        { name: "Needed", number: true, cell: (r) => (has(needed[r.learner]) ? `${num(needed[r.learner])} s` : ""), key: (r) => needed[r.learner] },
        { name: "Why", wide: true, cell: (r) => r.why },
      ], skipped, { label: "Left out", limit: 10 })),
    ),
    params.length > 0 && h("div", { class: "spaced" }, card("Parameters", null, h("dl", { class: "pairs" }, params.map(([k, v]) => h("div", null, h("dt", null, k), h("dd", null, has(v) && typeof v === "object" ? JSON.stringify(v) : String(v))))))),
  ];
}
// More rows, better model? points: {rows, mean, low, high, values}; extrapolation: {at: the same, text}.
function learningCurve(L) {
  if (!L) return null;
  const points = list(L.points), E = L.extrapolation, further = list(E && E.at), last = points[points.length - 1], metric = within(L.metric);
  if (points.length < 2) return L.why ? card("No learning curve", sentence(L.why)) : null;
  const bands = (rows) => rows.filter((p) => has(p.low) && has(p.high)).map((p) => [p.rows, p.low, p.high]);
  return card("Would more rows help?", `${word(L.learner || "the learner")} on parts of the training rows, judged on the validation rows${L.greater_is_better === false ? "; lower is better" : ""}.`, xy({ label: `${word(L.metric)} by training rows`, x: { label: "training rows", domain: extent([...points, ...further].map((p) => p.rows)) }, y: { label: metric },
    layers: [{ kind: "band", points: bands(points) }, { kind: "band", points: bands([last, ...further.map((p) => ({ ...p }))]), color: 2 }, { kind: "line", points: points.map((p) => [p.rows, p.mean]) }, { kind: "dots", points: points.flatMap((p) => list(p.values).map((v) => [p.rows, v])), radius: 2, faint: true },
      { kind: "line", points: further.length ? [[last.rows, last.mean], ...further.map((p) => [p.rows, p.value])] : [], color: 2, dash: true }],
    hover: [...points, ...further].map((p) => ({ x: p.rows, title: plural(p.rows, "row"), lines: [`${metric} ${score(has(p.mean) ? p.mean : p.value)} ${interval(p)}`] })) }),
  E && h("p", { class: "after" }, sentence(E.text.replace(/\.$/, ""))), list(L.left_out).length > 0 && h("p", { class: "hint after" }, `Left out: ${L.left_out.map((one) => `${percent(one.share)} (${one.why})`).join(", ")}.`));
}
const size = (bytes) => (bytes < 1e3 ? `${num(bytes)} B` : bytes < 1e6 ? `${fixed(bytes / 1e3, 0)} kB` : `${num(bytes / 1e6)} MB`);
function leaderboardColumns(board, A) {
  const fits = measured().fits || {}, of = (r) => fits[r.learner] || {}, timed = board.some((r) => fits[r.learner]);
  return [
    { name: "Learner", cell: (r) => [r.chosen ? h("strong", null, word(r.learner)) : word(r.learner), r.chosen ? " ✓" : ""], key: (r) => r.learner },
    { name: word(board[0].metric || "value"), number: true, cell: (r) => score(r.value), key: (r) => r.value },
    { name: "95 %", number: true, cell: (r) => (has(r.low) ? `${score(r.low)} to ${score(r.high)}` : "") },
    A && { name: "Weight", number: true, cell: (r) => (r.weight ? percent(r.weight) : ""), key: (r) => r.weight },
    timed && { name: "Fit", number: true, cell: (r) => `${num(of(r).fit_seconds)} s`, key: (r) => of(r).fit_seconds },
    timed && { name: "A row", number: true, cell: (r) => `${num(of(r).predict_microseconds)} µs`, key: (r) => of(r).predict_microseconds },
    { name: "Size", number: true, cell: (r) => (has(r.bytes) ? size(r.bytes) : ""), key: (r) => r.bytes },
    { name: "Note", wide: true, cell: (r) => r.note || "" },
  ].filter(Boolean);
}
// What differs from run to run stands beside the page's own data, and only in the copy in the build folder.
const measured = () => (JSON.parse(document.getElementById("bessemer-timings").textContent) || {}).training || {};
function automlWords(A) {
  const used = measured().used, kind = A.folds > 1 ? plural(A.folds, "fold") : "one validation part", small = A.distilled;
  const lost = small ? ` The distilled model has ${num(small.student)} on the first fold, the ensemble ${num(small.ensemble)}.` : "";
  return `Out of fold: ${kind} of ${num(A.rows)} training rows. Budget: ${num(A.budget)} s${has(used) ? `, fitted for ${num(used)} s` : ""}.${lost}`;
}
// Curves of one metric (train, valid) share a chart: names end or start with the part.
function lossCharts(curves) {
  const charts = new Map(), part = /(^|[._/ ])(train|valid)(?=[._/ ]|$)/;
  for (const [name, points] of curves) {
    const found = name.match(part), title = name.replace(part, ".").split(/[./ ]+/).map((w) => word(w.replace(/^_/, ""))).filter(Boolean).join(": ");
    charts.set(title, [...(charts.get(title) || []), [found ? found[2] : "value", points]]);
  }
  return [...charts];
}
function lossChart(title, lines, best) {
  const longest = lines.map((line) => line[1]).sort((a, b) => b.length - a.length)[0];
  const near = (points, step) => points.reduce((best, p) => (Math.abs(p[0] - step) < Math.abs(best[0] - step) ? p : best));
  const color = (i) => (lines.length === 1 ? 0 : [2, 0, 1, 3][i % 4]);
  return [xy({ label: title, height: 230, x: { label: "iteration" }, y: {},
    layers: lines.map(([, points], i) => ({ kind: "line", points, color: color(i) })),
    hover: longest.map(([step]) => ({ x: step, title: `iteration ${num(step)}${step === best ? " (kept)" : ""}`, lines: lines.map(([name, points]) => `${name} ${num(near(points, step)[1])}`) })) }),
  lines.length > 1 && legend(lines.map(([name], i) => [color(i), name]))];
}
