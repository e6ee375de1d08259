// What-if: a row's values are changed and the model answers at once, in the page, or from a server that the reader asks.

const FIELDS_SHOWN = 10;

function whatIf(D) {
  const W = D.whatif;
  if (!W || !W.fields.length || (!W.packed && !W.server && W.fields.every((field) => field.domain.media === "image"))) return null;
  const host = h("div", { class: "whatif", "data-whatif": W.packed ? "opening" : "none" });
  if (!W.packed && !W.server) {
    host.append(h("p", { class: "callout" }, `${W.why} With the address of a running server in the project file (`, h("code", null, "report: {server: http://localhost:8080}"), "), this page can ask that instead."));
    return host;
  }
  const start = (model) => { host.replaceChildren(...whatIfBody(D, model)); host.dataset.whatif = "ready"; };
  if (!W.packed) start(null);
  else pageModel(D).then(start).catch((error) => { host.dataset.whatif = "failed"; host.replaceChildren(h("p", { class: "callout" }, `The model could not be opened in this browser: ${error.message}.`)); });
  return host;
}

function whatIfBody(D, model) {
  const W = D.whatif, answer = h("div", { class: "card answer" }), fields = h("div", { class: "fields" }), changes = h("div", { class: "changes" });
  let row = null, now = {}, before = null, timer = 0;
  const made = W.fields.map((facts) => whatifField(facts, (value) => update({ [facts.name]: value })));
  const order = () => {
    const parts = before && before.why ? before.why.contributions : {};
    return [...made].sort((a, b) => Math.abs(parts[b.name] || 0) - Math.abs(parts[a.name] || 0));
  };
  let sorted = made, all = made.length <= FIELDS_SHOWN + 2;
  const more = h("button", { class: "more", onclick: () => { all = true; draw(); } }, `Show all ${num(made.length)} columns`);
  const search = made.length > FIELDS_SHOWN + 2 && h("input", { class: "filter", type: "search", placeholder: "Find a column", "aria-label": "Find a column", oninput: draw });
  function draw() {
    const wanted = search ? search.value.trim().toLowerCase() : "", fits = sorted.filter((field) => field.name.toLowerCase().includes(wanted));
    fields.replaceChildren(...fits.slice(0, all || wanted ? 200 : FIELDS_SHOWN).map((field) => field.node));
    if (all || wanted) more.remove();
    else fields.after(more);
  }
  function choose(chosen) {
    row = chosen;
    now = { ...row.values };
    before = model && model.answer(D, now);
    sorted = order();
    draw();
    update({});
  }
  function update(changed) {
    now = { ...now, ...changed };
    made.forEach((field) => field.set(now[field.name], row.values[field.name]));
    const different = made.filter((field) => !sameValue(now[field.name], row.values[field.name]));
    changes.replaceChildren(...(different.length ? [h("button", { class: "pill", onclick: () => choose(row) }, `Undo ${plural(different.length, "change")}`)] : []));
    if (!model) return;
    const found = model.answer(D, now);
    answer.replaceChildren(...answerView(D, found, before, now, different.length > 0, row));
    redraw(answer);
    document.dispatchEvent(new CustomEvent("row-changed", { detail: { features: found.features, forests: found.forests } }));
    clearTimeout(timer);
    if (different.length) timer = setTimeout(() => say(`Prediction ${text(found.label)}`), 600);
  }
  const menu = rowMenu(D, choose);
  if (!W.rows.length) return [h("p", { class: "callout" }, "There is no test row to start from.")];
  const bench = h("div", { class: "card" }, fields), ask = W.server && serverView(D, () => now);
  choose(W.rows[0]);
  return [h("div", { class: "bar" }, menu, search, changes), h("div", { class: "bench" }, bench, h("div", null, model && answer, !model && h("p", { class: "callout" }, W.why), ask))];
}

// The rows to start from; the row that is chosen elsewhere in the page is followed.
function rowMenu(D, choose) {
  const W = D.whatif, examples = list((D.explanations || {}).examples);
  const name = (row, i) => (has(row.example) ? `${KINDS[row.why] || word(row.why)}: ${text(examples[row.example].prediction)} (row ${num(examples[row.example].position)})` : `Test row ${i + 1}`);
  const select = h("select", { class: "filter", "aria-label": "Start from", onchange: () => choose(W.rows[select.selectedIndex]) }, W.rows.map((row, i) => h("option", null, name(row, i))));
  document.addEventListener("row-chosen", ({ detail }) => {
    const at = W.rows.findIndex((row) => has(row.example) && examples[row.example] === detail);
    if (at >= 0 && at !== select.selectedIndex) { select.selectedIndex = at; choose(W.rows[at]); }
  });
  return h("label", { class: "start" }, "Start from ", select);
}

function answerView(D, found, before, row, changed, start) {
  const fact = (name, value, was) => h("div", null, h("span", null, name), h("bdi", null, value), changed && has(was) && h("small", null, was));
  const chance = (one) => (D.task === "binary" ? one.chances[1] : Math.max(...list(one.chances)));
  const gap = (a, b, format) => (a === b ? "as before" : `${signed(a - b, format)}`);
  const points = (share) => fixed(100 * share, 1) + " points";
  return [
    h("div", { class: "stats spread" },
      fact("Prediction", text(found.label), String(found.label) === String(before.label) ? "as before" : `was ${text(before.label)}`),
      D.task !== "regression" && fact(D.task === "binary" ? `Probability of ${text(D.positive)}` : "Probability", percent(chance(found), 1), gap(chance(found), chance(before), points)),
      fact(D.task === "regression" ? "Change" : "Score", D.task === "regression" ? signed(found.score - before.score, num) : score(found.score), D.task !== "regression" && gap(found.score, before.score)),
      has(start.actual) && fact(changed ? "Actual of the row" : "Actual", text(start.actual))),
    D.task === "multiclass" && chancesView(D, found, before, changed),
    found.why ? waterfall({ ...found.why, row }) : h("p", { class: "hint" }, "Contributions of this kind of model are not computed in the page."),
  ].flat().filter(Boolean);
}

// The classes that are likely now or were before, with how likely.
function chancesView(D, found, before, changed) {
  const rows = D.classes.map((name, i) => ({ label: text(name), value: found.chances[i], text: percent(found.chances[i], 1), note: changed ? signed(100 * (found.chances[i] - before.chances[i]), (v) => fixed(v, 1)) : "" }));
  return forest(rows.sort((a, b) => b.value - a.value).slice(0, 8), { kind: "bar", zero: 0, notes: changed, brief: true, label: "Probability of each class" });
}
