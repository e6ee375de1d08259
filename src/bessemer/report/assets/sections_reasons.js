// Why the model says what it says: importance, dependence, worked examples.

function importance(D) {
  const X = D.explanations;
  if (!X) return null;
  const rows = (name) => list((((X.found || {})[name] || {}).content || {}).rows);
  const shuffled = rows("permutation"), moved = rows("contributions"), swarm = X.beeswarm;
  const metric = word(X.metric || D.evaluation.metric);
  const amounts = same(shuffled.map((r) => r.value)), moves = same(moved.map((r) => r.value));
  return [
    h("div", { class: "grid" },
      shuffled.length > 0 && card("What is lost without a column", `How much worse ${metric} gets when the column is shuffled, with 95% intervals over ${plural(X.rows, "test row")}.`,
        forest(shuffled.map((r) => ({ label: r.group, ...r })), { kind: "bar", zero: 0, limit: 15, format: amounts, label: "Permutation importance" })),
      moved.length > 0 && card("How far a column moves the score", `Mean absolute contribution to ${{ regression: "the prediction", binary: "the score, in log-odds", multiclass: "the scores of the classes, added up" }[D.task]}, over ${plural(X.rows, "test row")}.`,
        forest(moved.map((r) => ({ label: r.group, value: r.value })), { kind: "bar", limit: 15, format: moves, label: "Mean absolute contribution" }))),
    swarm && list(swarm.groups).length > 0 && h("div", { style: "margin-top:16px" }, card("Row by row", `Each dot is a test row: where it lies is what the column added to the score${D.task === "multiclass" ? " of the predicted class" : ""}, its colour is the value.`, beeswarm(swarm))),
  ];
}

function dependence(D) {
  const X = D.explanations || {}, order = list((X.beeswarm || {}).groups);
  const curves = Object.entries(X.dependence || {}).filter(([, c]) => list(c.points).length).sort((a, b) => order.indexOf(a[0]) - order.indexOf(b[0]));
  if (!curves.length) return null;
  return h("div", { class: "grid" }, curves.map(([group, curve]) => card(group, has(curve.class) ? `contribution to class ${text(curve.class)}` : null, dependenceChart(group, curve))));
}
function dependenceChart(group, curve) {
  const missing = curve.points.find((p) => p[0] === null), known = curve.points.filter((p) => p[0] !== null);
  const rest = missing && curve.kind !== "category" && h("p", { class: "hint after" }, `Missing: ${signed(missing[1])} (${plural(missing[4], "row")})`);
  if (curve.kind === "category" || known.length < 2) {
    const rows = curve.points.map((p) => ({ label: text(p[0]), value: p[1], low: p[2], high: p[3], note: num(p[4]) })).sort((a, b) => b.value - a.value);
    return [forest(rows, { zero: 0, include: [0], limit: 10, notes: true, brief: true, format: (v) => signed(v), label: `Contribution by ${group}` }), curve.others > 0 && h("p", { class: "hint after" }, `and ${plural(curve.others, "rarer value")}`)];
  }
  const time = curve.kind === "timestamp", x = (p) => (time ? Date.parse(p[0] + "Z") : p[0]);
  const points = known.map((p) => [x(p), p[1]]), name = (p) => (time ? day(p[0]) : num(p[0]));
  return [xy({ label: `Contribution by ${group}`, height: 210, x: { label: group, sparse: time ? 105 : 75, format: time ? (v) => new Date(v).toISOString().slice(0, 10) : null }, y: { label: "contribution" },
    layers: [{ kind: "band", points: known.map((p) => [x(p), p[2], p[3]]) }, { kind: "line", points }, { kind: "dots", points, radius: 2.5 }],
    hover: known.map((p) => ({ x: x(p), title: `${group} = ${name(p)}`, lines: [`mean ${signed(p[1])}`, `10th to 90th percentile ${signed(p[2])} to ${signed(p[3])}`, plural(p[4], "row")] })) }), rest];
}

const KINDS = { mistake: "Worst mistakes", highest: "Highest", lowest: "Lowest", borderline: "Borderline", confident: "Most certain", typical: "Typical" };
function examples(D) {
  const found = list((D.explanations || {}).examples);
  if (!found.length) return null;
  const view = h("div", { class: "card" }), buttons = [];
  const chance = (e) => (D.task === "binary" ? 1 / (1 + Math.exp(-e.score)) : e.probability);
  const show = (i) => {
    buttons.forEach((b, j) => b.setAttribute("aria-pressed", String(i === j)));
    view.replaceChildren(...waterfall(D, found[i], chance(found[i])));
  };
  const menu = h("div", { class: "list", role: "group", "aria-label": "Examples" });
  found.forEach((example, i) => {
    if (i === 0 || found[i - 1].why !== example.why) menu.append(h("h3", null, KINDS[example.why] || word(example.why)));
    const button = h("button", { onclick: () => show(i) }, h("span", null, text(example.prediction)), h("span", null, D.task === "regression" ? `actual ${num(example.actual)}` : percent(chance(example), 1)));
    buttons.push(button);
    menu.append(button);
  });
  show(0);
  return h("div", { class: "picker" }, menu, view);
}
function waterfall(D, example, chance) {
  const parts = Object.entries(example.contributions).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]) || (a[0] < b[0] ? -1 : 1));
  const shown = parts.slice(0, 12), rest = parts.slice(12).reduce((sum, p) => sum + p[1], 0);
  let level = example.base;
  const rows = [{ label: "base", from: example.base, value: example.base, color: 3, text: score(example.base), tip: "the score before anything is known of the row" }];
  const step = (label, mark, delta) => {
    rows.push({ label, mark, from: level, value: level + delta, color: delta < 0 ? 1 : 0, text: signed(delta) });
    level += delta;
  };
  for (const [group, delta] of shown) {
    const value = Object.hasOwn(example.row, group) ? ` = ${text(example.row[group])}` : "";
    step(group + value, [h("strong", null, group), value], delta);
  }
  if (parts.length > 12) step("others", `${plural(parts.length - 12, "other column")}`, rest);
  rows.push({ label: "score", mark: h("strong", null, "score"), from: example.score, value: example.score, color: 3, text: score(example.score) });
  const right = String(example.prediction) === String(example.actual);
  return [
    h("div", { class: "stats", style: "margin-bottom:14px" },
      h("div", null, h("span", null, "Prediction"), text(example.prediction)),
      D.task === "binary" && h("div", null, h("span", null, `Probability of ${text(D.positive)}`), percent(chance, 1)),
      D.task === "multiclass" && h("div", null, h("span", null, "Probability"), percent(chance, 1)),
      h("div", null, h("span", null, "Actual"), text(example.actual)),
      D.task === "regression" ? h("div", null, h("span", null, "Error"), signed(example.prediction - example.actual, num)) : h("div", null, h("span", null, "Right?"), badge(right, right ? "right" : "wrong"))),
    forest(rows, { kind: "span", format: score, label: "From the base to the score" }),
    legend([[0, "pushes the score up"], [1, "pushes it down"]]),
    h("details", { class: "after" }, h("summary", null, "The whole row"), h("dl", { class: "kv after" }, Object.entries(example.row).map(([k, v]) => [h("dt", null, k), h("dd", null, text(v))]))),
  ];
}
