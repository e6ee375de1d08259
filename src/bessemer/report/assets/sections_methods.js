// What each method for single rows said of one: rules, counterfactuals, influence of training rows, other attributions.

const METHODS = { rules: ruleCard, counterfactuals: counterfactualCard, influence: influenceCard, attributions: attributionCard, maps: mapCard };
const METHOD_NAMES = { saliency_maps: "Where it looked", lime: "LIME", anchors: "What is enough", counterfactuals: "What would change it", influence: "Which training rows made it so" };

function otherMethods(D, example) {
  const cards = [];
  for (const [kind, make] of Object.entries(METHODS)) {
    for (const [name, found] of foundOf(D, kind)) {
      const said = rowsOf(found).filter((row) => row.row === example.position);
      if (said.length) cards.push(card(METHOD_NAMES[name] || word(name), null, said.map((row) => make(D, row, example)), stated(found)));
    }
  }
  return cards;
}

const condition = ({ column, operator, value }) => h("span", { class: "condition" }, h("strong", null, h("bdi", null, column)), ` ${operator} `, h("bdi", null, Array.isArray(value) ? value.map(text).join(" to ") : text(value)));
function joined(nodes, between) { return nodes.flatMap((node, i) => (i ? [between, node] : [node])); }

function ruleCard(D, rule) {
  const conditions = list(rule.conditions);
  return h("div", null,
    h("p", { class: "said" }, conditions.length ? ["If ", joined(conditions.map(condition), " and "), ", "] : "Whatever the row, ", "the prediction is ", h("strong", null, text(rule.prediction)),
      ` for ${percent(rule.precision)} of the rows`, has(rule.low) ? ` [${percent(rule.low)}, ${percent(rule.high)}]` : "", ", whatever else is different."),
    h("p", { class: "hint" }, `The rule holds for ${percent(rule.coverage)} of the rows.`));
}

function counterfactualCard(D, row) {
  const found = list(row.found);
  const asked = `Predicted ${text(row.prediction)}; wanted ${typeof row.wanted === "object" && row.wanted ? JSON.stringify(row.wanted) : text(row.wanted)}.`;
  if (!found.length) return h("p", { class: "hint" }, asked, " None was found", row.why ? `: ${row.why}` : "", ".");
  return h("div", null, h("p", { class: "hint" }, asked), scroller("Counterfactuals", h("table", { "aria-label": "Counterfactuals" },
    h("thead", null, h("tr", null, ["If instead", "then", "Probability", "Distance"].map((name, i) => h("th", { scope: "col", class: i > 1 ? "n" : null }, name)))),
    h("tbody", null, found.map((one) => h("tr", null,
      h("td", { class: "wide" }, Object.entries(one.changes || {}).map(([column, [from, to]]) => h("div", null, h("strong", null, h("bdi", null, column)), ": ", h("bdi", null, text(from)), " → ", h("bdi", null, text(to))))),
      h("td", null, text(one.prediction)), h("td", { class: "n" }, has(one.probability) ? percent(one.probability, 1) : MISSING), h("td", { class: "n" }, num(one.distance))))))));
}

function influenceCard(D, row) {
  const side = (title, rows, color) => list(rows).length > 0 && h("div", null, h("h4", null, title),
    forest(rows.map((one, i) => ({ label: rowInShort(one, i), full: `training row with ${D.target} = ${text(one.actual)}`, tip: Object.entries(one.row).slice(0, 8).map(([name, value]) => `${name} = ${text(value)}`), value: one.influence, color, mark: influential(D, one) })), { kind: "bar", zero: 0, limit: 5, format: same(rows.map((one) => one.influence)), label: title }));
  return h("div", { class: "grid" }, side("Speak for the prediction", row.helpful, 0), side("Speak against it", row.harmful, 1));
}
const rowInShort = (one, i) => `${i + 1}: ${Object.entries(one.row).slice(0, 3).map(([name, value]) => `${name} = ${text(value)}`).join(", ")}`;
const influential = (D, one) => h("details", null, h("summary", null, `${cut(D.target, 24)} = ${text(one.actual)}`), h("dl", { class: "kv" }, Object.entries(one.row).map(([name, value]) => [h("dt", null, name), h("dd", null, text(value))])));

function attributionCard(D, row, example) {
  const parts = Object.entries(row.contributions).map(([group, value]) => ({ group, value, error: (row.error || {})[group] })).filter((part) => part.value !== 0).sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
  return h("div", null, h("p", { class: "hint" }, `base ${score(row.base)}, score ${score(row.score)}${has(row.class) ? `, for ${text(row.class)}` : ""}`),
    forest(parts.map(({ group, value, error }) => ({ label: group, mark: [h("strong", null, group), Object.hasOwn(example.row, group) ? ` = ${text(example.row[group])}` : ""], value, text: signed(value), color: value < 0 ? 1 : 0, ...(has(error) ? { low: value - error, high: value + error } : {}) })),
      { kind: "bar", zero: 0, limit: 10, format: (v) => signed(v), brief: true, label: "Attributions" }));
}

function mapCard(D, row) {
  const of = has(row.class) ? ` for ${text(row.class)}` : D.task === "binary" ? ` for ${text(D.positive)}` : "";
  return h("figure", { class: "maps" }, picture(row, row.image, `${row.column} as the model sees it`), heat(row, `what its pixels add: ${signed(row.raised)} and ${signed(row.lowered)}`),
    h("figcaption", null, h("bdi", null, row.column), `: the score${of} is raised by ${num(row.raised)} where it is `, h("strong", { class: "for" }, "orange"), ` and lowered by ${num(-row.lowered)} where it is `, h("strong", { class: "against" }, "blue"), "."));
}
