// What the model leans on, over all rows.

const foundBy = (D, name) => ((D.explanations || {}).found || {})[name];
const foundOf = (D, kind) => Object.entries((D.explanations || {}).found || {}).filter(([, found]) => found && found.kind === kind);
const rowsOf = (found) => list(((found || {}).content || {}).rows);
const scoreUnit = (D) => ({ regression: "the prediction", binary: "the score, in log-odds", multiclass: "the scores of the classes, added up" })[D.task];

// Every explanation says what it is measured against and how far off it may be.
function stated(found) {
  if (!found || !found.baseline) return null;
  const { baseline, error } = found, value = list(baseline.value);
  return h("p", { class: "stated" },
    h("span", null, "Compared with ", baseline.text, value.length ? ` (${value.length > 4 ? plural(value.length, "value") : value.map((v) => score(v)).join(", ")})` : "", "."),
    error && h("span", null, ` ${word(error.measure)}: ${has(error.value) ? num(error.value) : "not known"}`, error.text ? `; ${error.text}.` : "."));
}

// The ranking the page goes by: what shuffling loses, else how far columns move the score.
function ranking(D) {
  const X = D.explanations || {}, metric = within(X.metric || D.evaluation.metric);
  for (const [name, says] of [["permutation", `How much worse the ${metric} gets without the column.`], ["contributions", `How far the column moves ${scoreUnit(D)}, on average.`]]) {
    const rows = rowsOf(foundBy(D, name));
    if (rows.length) return { name, says, rows: rows.map((row) => ({ label: row.group, value: row.value, low: row.low, high: row.high })) };
  }
  const other = foundOf(D, "importance")[0];
  return other ? { name: other[0], says: `By ${word(other[0])}.`, rows: rowsOf(other[1]).map((row) => ({ label: row.group, value: row.value, low: row.low, high: row.high })) } : { name: null, says: "", rows: [] };
}

const IMPORTANCE = {
  permutation: (D, X) => ["What is lost without a column", `How much worse the ${within(X.metric || D.evaluation.metric)} gets when the column is shuffled, with 95% intervals over ${plural(X.rows, "test row")}.`, "Permutation importance"],
  contributions: (D, X) => ["How far a column moves the score", `Mean absolute contribution to ${scoreUnit(D)}, over ${plural(X.rows, "test row")}.`, "Mean absolute contribution"],
};
function importance(D) {
  const X = D.explanations;
  if (!X) return null;
  const charts = foundOf(D, "importance").filter(([, found]) => rowsOf(found).length).map(([name, found]) => importanceCard(D, name, found, IMPORTANCE[name] ? IMPORTANCE[name](D, X) : [word(name), `In ${found.content.unit || "its own unit"}.`, word(name)]));
  const swarm = X.beeswarm, dots = swarm && list(swarm.groups).length > 0;
  if (!charts.length && !dots) return null;
  return [
    charts.length > 0 && h("div", { class: "grid" }, charts),
    dots && h("div", { class: "spaced" }, card("Row by row", `Each dot is a test row: where it lies is what the column added to the score${D.task === "multiclass" ? " of the predicted class" : ""}, its colour is the value.`, beeswarm(swarm))),
  ];
}
function importanceCard(D, name, found, [title, hint, label]) {
  const rows = rowsOf(found), format = same(rows.map((row) => row.value));
  return card(title, hint, forest(rows.map((row) => ({ label: row.group, mark: columnLink(D, row.group), ...row })), { kind: "bar", zero: 0, limit: 15, format, label }), stated(found));
}
