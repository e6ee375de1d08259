// One row at a time: from the base to its score, and what every other method said of the same row.

const KINDS = { mistake: "Worst mistakes", highest: "Highest", lowest: "Lowest", borderline: "Borderline", confident: "Most certain", typical: "Typical", asked: "Asked for" };
const chanceOf = (D, example) => (D.task === "binary" ? 1 / (1 + Math.exp(-example.score)) : example.probability);

function examples(D) {
  const found = list((D.explanations || {}).examples);
  if (!found.length) return null;
  const entry = (example, i) => ({ key: has(example.position) ? example.position : i, example, group: KINDS[example.why] || word(example.why), label: text(example.prediction),
    note: D.task === "regression" ? `actual ${num(example.actual)}` : percent(chanceOf(D, example), 1), search: Object.entries(example.row).map(([name, value]) => `${name}=${text(value)}`).join(" ") });
  const made = picker({ label: "Rows", placeholder: "Find a row: column=value", address: "row", entries: found.map(entry), show: ({ example }) => rowView(D, example) });
  OPENERS.row = (key) => { made.open(key); return "examples"; };
  return made.node;
}
function rowView(D, example) {
  // Other sections that look at single rows follow the choice.
  document.dispatchEvent(new CustomEvent("row-chosen", { detail: example }));
  return [h("div", { class: "card" }, rowPictures(example.row), rowFacts(D, example), waterfall(example), stated(foundBy(D, "contributions")), wholeRow(example.row)), otherMethods(D, example)];
}
function rowFacts(D, example) {
  const right = String(example.prediction) === String(example.actual), fact = (name, value) => h("div", null, h("span", null, name), value);
  return h("div", { class: "stats spread" },
    fact("Prediction", h("bdi", null, text(example.prediction))),
    D.task === "binary" && fact(`Probability of ${text(D.positive)}`, percent(chanceOf(D, example), 1)),
    D.task === "multiclass" && fact("Probability", percent(example.probability, 1)),
    fact("Actual", h("bdi", null, text(example.actual))),
    D.task === "regression" ? fact("Error", signed(example.prediction - example.actual, num)) : fact("Right?", badge(right, right ? "right" : "wrong")));
}
const wholeRow = (row) => h("details", { class: "after" }, h("summary", null, "The whole row"), h("dl", { class: "kv after" }, Object.entries(row).map(([name, value]) => [h("dt", { dir: "auto" }, name), h("dd", { dir: "auto" }, isImage(value) ? photo(value, name) : text(value))])));
const rowPictures = (row) => { const images = Object.entries(row).filter(([, value]) => isImage(value)); return images.length > 0 && h("div", { class: "photos" }, images.map(([name, value]) => photo(value, name))); };

// example: {row, base, score, contributions}
function waterfall(example) {
  const parts = Object.entries(example.contributions).sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]) || (a[0] < b[0] ? -1 : 1));
  const shown = parts.slice(0, 12), rest = parts.slice(12).reduce((sum, p) => sum + p[1], 0);
  let level = example.base;
  const rows = [{ label: "base", from: example.base, value: example.base, color: 3, text: score(example.base), tip: "the score before anything is known of the row" }];
  const step = (label, mark, delta) => {
    rows.push({ label, mark, from: level, value: level + delta, color: delta < 0 ? 1 : 0, text: signed(delta) });
    level += delta;
  };
  for (const [group, delta] of shown) {
    const value = Object.hasOwn(example.row || {}, group) && !isImage(example.row[group]) ? ` = ${text(example.row[group])}` : "";
    step(group + value, [h("strong", null, group), value], delta);
  }
  if (parts.length > 12) step("others", plural(parts.length - 12, "other column"), rest);
  rows.push({ label: "score", mark: h("strong", null, "score"), from: example.score, value: example.score, color: 3, text: score(example.score) });
  return [forest(rows, { kind: "span", format: score, label: "From the base to the score" }), legend([[0, "pushes the score up"], [1, "pushes it down"]])];
}
