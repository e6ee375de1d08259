// What a threshold decides: the confusion matrix under a slider, and what each choice costs.

// The darkest shade still lets the text be read.
const shade = (share) => `background:color-mix(in oklab, var(--accent) ${Math.round(6 + 40 * share)}%, var(--bg))`;
function confusion(C) {
  const M = C.confusion;
  if (!M || !list(M.counts).length) return null;
  const labels = list(M.labels);
  return card("Confusion matrix", "Rows are what was true, columns what was predicted; the shade is the share of the row.", scroller("Confusion matrix", h("table", { class: "matrix" },
    h("thead", null, h("tr", null, h("td"), labels.map((l) => h("th", { scope: "col", title: text(l) }, text(l))))),
    h("tbody", null, M.counts.map((row, i) => {
      const all = row.reduce((a, b) => a + b, 0) || 1;
      return h("tr", null, h("th", { scope: "row", title: text(labels[i]) }, text(labels[i])), row.map((count) => h("td", { style: shade(count / all) }, num(count), h("small", null, percent(count / all)))));
    })))));
}
function decisions(D) {
  const E = D.evaluation, T = E.curves.thresholds, n = T.length - 1, yes = text(D.positive), no = text(D.classes[0]), costs = E.costs && E.costs.costs;
  const out = h("output"), grid = h("div", { class: "split", "aria-live": "polite" });
  const used = ((E.threshold || {}).used || {}).threshold, first = typeof used === "number" ? used : 0.5;
  const slider = h("input", { type: "range", min: 0, max: n, step: 1, value: Math.round(first * n), "aria-label": "Threshold", oninput: draw });
  function draw() {
    const line = T[Number(slider.value)];
    out.textContent = fixed(line[0], 2);
    slider.setAttribute("aria-valuetext", fixed(line[0], 2));
    grid.replaceChildren(fourOutcomes(line, yes, no), figures(line, costs));
  }
  draw();
  const jump = (name, value) => typeof value === "number" && h("button", { class: "pill", type: "button", onclick: () => { slider.value = Math.round(value * n); draw(); } }, `${name}: ${fixed(value, 2)}`);
  return [card("Decisions at a threshold", `A row is called ${yes} from this probability on. Move it to see what each choice costs on the test rows.`,
    h("div", { class: "slider" }, slider, out), h("div", { class: "bar" }, jump("In use", first), first !== 0.5 && jump("Half", 0.5), jump("Suggested", D.threshold), costs && jump("Cheapest", (E.costs.best || {}).threshold)), grid),
  costs && costCard(E)];
}
function fourOutcomes([, tp, fp, fn, tn], yes, no) {
  const cell = (count, all) => h("td", { style: shade(all ? count / all : 0) }, num(count), h("small", null, percent(all ? count / all : 0)));
  return h("table", { class: "matrix", "aria-label": "Outcomes" }, h("thead", null, h("tr", null, h("td"), h("th", { scope: "col" }, `says ${no}`), h("th", { scope: "col" }, `says ${yes}`))),
    h("tbody", null, h("tr", null, h("th", { scope: "row" }, `is ${no}`), cell(tn, fp + tn), cell(fp, fp + tn)), h("tr", null, h("th", { scope: "row" }, `is ${yes}`), cell(fn, tp + fn), cell(tp, tp + fn))));
}
function figures([, tp, fp, fn, tn], costs) {
  const all = tp + fp + fn + tn || 1, precision = tp + fp ? tp / (tp + fp) : null, recalled = tp + fn ? tp / (tp + fn) : null;
  const stat = (name, value, format) => h("div", null, h("span", null, name), has(value) ? (format || ((v) => percent(v, 1)))(value) : MISSING);
  return h("div", { class: "stats" }, stat("Precision", precision), stat("Recall", recalled), stat("F1", precision + recalled ? (2 * precision * recalled) / (precision + recalled) : null),
    stat("Accuracy", (tp + tn) / all), stat("Flagged", (tp + fp) / all),
    costs && stat("Cost a row", (tp * costs.true_positive + fp * costs.false_positive + fn * costs.false_negative + tn * costs.true_negative) / all, num));
}

const RULES = { shipped: "As it ships", best: "Cheapest threshold", half: "Threshold one half", always: "Always yes", never: "Always no" };
function costCard(E) {
  const C = E.costs, rows = Object.keys(RULES).filter((name) => C[name]).map((name) => ({ label: has(C[name].threshold) ? `${RULES[name]} (${fixed(C[name].threshold, 2)})` : RULES[name], ...C[name], color: name === "shipped" ? 0 : 2 })), curve = list(C.curve);
  const paid = Object.entries(C.costs).map(([name, value]) => `${within(name)} ${num(value)}`).join(", ");
  return h("div", { class: "grid spaced" },
    card("What it costs", `Cost a row, with ${percent(E.confidence)} intervals, on the test rows; the cheapest threshold was chosen on the validation rows. ${sentence(paid)}`, forest(rows, { kind: "dot", format: num, label: "Cost a row" })),
    curve.length > 0 && card("Cost by threshold", null, xy({ label: "Cost a row by threshold", x: { domain: unit, label: "threshold" }, y: { label: "cost a row" },
      layers: [{ kind: "line", points: curve.map(([t, valid]) => [t, valid]), color: 2 }, { kind: "line", points: curve.map(([t, , test]) => [t, test]) }],
      hover: curve.map(([t, valid, test]) => ({ x: t, title: `threshold ${fixed(t, 2)}`, lines: [`test ${num(test)}`, `validation ${num(valid)}`] })) }), legend([[0, "test rows"], [2, "validation rows"]])));
}
