// Whether groups of people are treated alike: rates and errors by group, the criteria, proxies, what mitigation did.

const CRITERIA = {
  demographic_parity: "difference of the shares selected", disparate_impact: "lowest share selected over the highest; 0.8 is the four-fifths rule",
  equal_opportunity: "difference of the shares found of those who deserve it", equalised_odds: "the greater difference of true and false positive rates",
  predictive_parity: "difference of the precision", calibration_gap: "difference of mean probability less actual share", accuracy_equality: "difference of the shares of right predictions",
  mean_error: "difference of the mean of prediction less truth", mean_prediction: "difference of the mean predictions", mae: "difference of the mean absolute errors", mae_ratio: "ratio of the mean absolute errors",
};
const FIGURES = { tpr: "True positive rate", fpr: "False positive rate", ece: "Calibration error", mae: "Mean absolute error" };

function fairness(D) {
  const F = D.evaluation.fairness;
  if (!F || !Object.keys(F.groups || {}).length) return null;
  const notes = [has(F.favourable) && `Selected means predicted ${text(F.favourable)}.`, ...list(F.notes).map(sentence), ...Object.entries(F.inputs || {}).filter(([, read]) => !read).map(([name]) => `${name} is not read by the model.`)].filter(Boolean);
  return [
    notes.length > 0 && h("p", { class: "hint" }, notes.join(" ")),
    Object.entries(F.groups).slice(0, 30).map(([column, groups]) => groupCard(column, list(groups), (F.criteria || {})[column], D)),
    proxies(D, F.proxies),
    mitigation(F.mitigation),
  ];
}
const figureName = (name) => FIGURES[name] || word(name);
// Figures of a group, by name; with several classes those of each class.
function groupFigures(group) {
  const byClass = Object.entries(group.classes || {}).flatMap(([name, found]) => Object.entries(found).map(([figure, value]) => [`${figure}: ${name}`, value]));
  return { ...(group.metrics || {}), ...Object.fromEntries(byClass) };
}
function groupCard(column, groups, criteria, D) {
  const known = groups.map((group) => ({ group, figures: groupFigures(group) })), names = [...new Set(known.flatMap(({ figures }) => Object.keys(figures)))], host = h("div");
  const choice = h("select", { class: "filter", "aria-label": `Figure by ${column}`, onchange: draw }, names.map((name) => h("option", { value: name }, figureName(name))));
  function draw() {
    const name = choice.value;
    host.replaceChildren(forest(known.map(({ group, figures }) => ({ label: text(group.value), ...(figures[name] || {}), note: plural(group.rows, "row"), color: group.too_small || group.pooled ? 2 : 0, text: group.too_small ? "too few rows" : null })), { limit: 20, notes: true, label: `${figureName(name)} by ${column}` }));
  }
  const first = ["selection_rate", "mean_error", D.evaluation.metric].find((name) => names.includes(name)) || names[0];
  if (first) { choice.value = first; draw(); }
  return card(column, null, names.length > 0 && h("div", { class: "bar" }, choice), host, criteria && criteriaTable(column, criteria, D));
}
function criteriaTable(column, criteria, D) {
  const rows = Object.entries(criteria).filter(([, found]) => found && has(found.value));
  if (!rows.length) return null;
  return h("div", { class: "spaced" }, sortable([
    { name: "Criterion", wide: true, cell: ([name, r]) => [word(name), has(r.class) && ` (${text(r.class)})`, h("small", { class: "below" }, CRITERIA[name] || "")], key: ([name]) => name }, { name: "Found", number: true, cell: ([, r]) => score(r.value), key: ([, r]) => r.value },
    { name: `${percent(D.evaluation.confidence)} interval`, number: true, cell: ([, r]) => h("span", { class: "iv" }, interval(r)), key: ([, r]) => r.low },
    { name: "p", number: true, cell: ([, r]) => pValue(r.p), key: ([, r]) => r.p },
    { name: "Between", some: true, cell: ([, r]) => list(r.between).map(text).join(" and ") },
  ], rows, { label: `Criteria of ${column}` }));
}
function proxies(D, found) {
  const entries = Object.entries(found || {});
  if (!entries.length) return null;
  const area = (one) => one.roc_auc || {};
  return card("Proxies", "How well the model's columns give a group away, on rows that were held out: the area under the curve, 0.5 is chance. Where they do, leaving the column out of the model hides little.",
    entries.map(([column, { together, columns, disparate_impact: impact }]) => h("div", null, h("h4", null, column),
      forest([{ label: "all together", ...area(together), color: 3 }, ...list(columns).map((one) => ({ label: one.column, ...area(one) }))], { limit: 6, zero: 0.5, include: [0.5], label: `Columns that give ${column} away` }),
      impact && has(impact.value) && h("p", { class: "hint" }, `Disparate impact between the groups that the columns suggest: ${score(impact.value)} ${interval(impact)}.`))));
}
function mitigation(M) {
  const T = M && M.thresholds;
  if (!M || (!T && !list(M.reweigh).length)) return null;
  const change = (label, rows) => rows.length > 0 && sortable([
    { name: label, wide: true, cell: ([name, , group]) => (group ? `${group}: ${within(name)}` : figureName(name)) }, { name: "Before", number: true, cell: ([, r]) => score(r.before), key: ([, r]) => r.before },
    { name: "After", number: true, cell: ([, r]) => score(r.after), key: ([, r]) => r.after }, { name: "Difference", number: true, cell: ([, r]) => [signed(r.difference), " ", h("span", { class: "iv" }, interval(r, signed))], key: ([, r]) => r.difference },
  ], rows, { label, limit: 20 });
  return card("Mitigation", "What was done against unequal treatment, what it changed on the test rows, and what it cost there.",
    list(M.reweigh).length > 0 && h("p", null, `Training rows were weighed anew by ${words(M.reweigh)}.`),
    T && [h("p", null, `Thresholds by ${words(T.groups)} for ${within(T.constraint)}, within ${num(T.tolerance)}; the common one is ${fixed(T.common, 2)}.`),
      change("Criterion", Object.entries(T.criteria || {}).flatMap(([group, found]) => Object.entries(found).map(([name, r]) => [name, r, group]))), change("Metric", Object.entries(T.metrics || {}))]);
}
// Facts of any depth as names and values.
const facts = (found) => h("dl", { class: "kv" }, Object.entries(found).map(([name, value]) => [h("dt", null, word(name)), h("dd", null, value && typeof value === "object" ? (Array.isArray(value) && value.every((v) => typeof v !== "object") ? value.map(text).join(", ") : facts(value)) : text(value))]));
