// One screen of what matters first: is it good, where does it fail, what drives it, can it ship.

function summary(D) {
  return [
    h("div", { class: "questions" }, isItGood(D), whereItFails(D), whatDrivesIt(D), canItShip(D)),
    shortFacts(D),
  ];
}
const question = (title, answer, more, ...body) =>
  h("article", { class: "question" }, h("h2", null, title), h("p", { class: "answer" }, answer), body, more && h("p", { class: "further" }, more));
const further = (id, name) => h("a", { href: "#" + id }, name + " →");

function isItGood(D) {
  const E = D.evaluation, main = E.metrics[E.metric] || {};
  const rows = [{ label: "Model", ...main }, ...Object.entries(E.baselines || {}).map(([name, found]) => ({ label: word(name), value: found && found[E.metric], color: 2 })),
    E.champion && { label: "Champion", value: E.champion[E.metric], color: 1 }].filter((row) => row && has(row.value));
  return question("Is it good?",
    [h("span", { class: "figure" }, score(main.value)), h("span", { class: "unit" }, word(E.metric), main.greater_is_better === false && ", lower is better", h("br"), `${percent(E.confidence)} interval ${interval(main) || "not known"}`)],
    further("performance", "Metrics, curves and thresholds"),
    h("p", { class: "hint" }, rivalWords(E)),
    forest(rows, { label: "The model beside its baselines", brief: true }));
}
function rivalWords(E) {
  const by = (verdict) => Object.entries(E.versus || {}).filter(([, v]) => v && v.verdict === verdict).map(([name]) => name);
  const parts = [["better", "better than"], ["tie", "level with"], ["worse", "worse than"]].map(([verdict, said]) => (by(verdict).length ? `${said} ${words(by(verdict))}` : ""));
  return sentence(parts.filter(Boolean).join(", ")) || `On ${plural(E.rows, "test row")} that training never saw.`;
}

function whereItFails(D) {
  const E = D.evaluation, weak = weakest(E), signs = warningSigns(D), first = weak.rows[0];
  const answer = first ? [h("strong", null, h("bdi", null, first.label)), ` is ${weak.sure ? "where it is worse" : "its weakest part"}: ${within(weak.measure)} ${score(first.value)}${has(first.elsewhere) ? `, elsewhere ${score(first.elsewhere)}` : has(weak.whole) ? ` against ${score(weak.whole)}` : ""}.`]
    : weak.looked ? "No part of the test rows was found where it is clearly worse than elsewhere." : "Parts of the test rows were not looked at.";
  return question("Where does it fail?", answer, weak.rows.length + signs.length ? further("weak", "All weak spots") : null,
    weak.rows.length > 1 && forest(weak.rows.slice(0, signs.length ? 2 : 3), { zero: weak.whole, include: [weak.whole].filter(has), label: "Its weakest parts", brief: true }),
    signs.length > 0 && h("ul", { class: "signs" }, signs.map((sign) => h("li", null, sign))));
}
// The parts that are worse than the rest: those that were searched for and confirmed, by their loss; else those that were
// asked for, by the main metric.
function weakest(E) {
  const W = E.weak_slices, metrics = E.metrics || {}, sure = list((W || {}).found).filter((part) => part.confirmed && has(part.loss));
  const looked = Boolean(W) || Object.keys(E.slices || {}).length > 0;
  if (sure.length) {
    const rows = sure.map((part) => ({ label: part.text, value: part.loss, elsewhere: part.loss_elsewhere, tip: plural(part.rows, "row") })).sort((a, b) => b.value - a.value);
    return { rows, sure: true, looked, measure: W.loss, whole: (metrics[W.loss] || {}).value };
  }
  const { value: whole, greater_is_better: greater = true } = metrics[E.metric] || {};
  const asked = Object.entries(E.slices || {}).flatMap(([column, parts]) => parts.map((part) => ({ label: `${column} = ${text(part.value)}`, tip: plural(part.rows, "row"), ...((part.metrics || {})[E.metric] || {}) })));
  const apart = asked.filter((row) => has(row.value) && (greater ? (has(row.high) ? row.high : row.value) < whole : (has(row.low) ? row.low : row.value) > whole));
  return { rows: apart.sort((a, b) => (greater ? a.value - b.value : b.value - a.value)), sure: false, looked, measure: E.metric, whole };
}
function warningSigns(D) {
  const E = D.evaluation, sign = [], share = (n) => percent(n / (E.rows || 1));
  const doubles = duplicateRows(E), labels = labelRows(E);
  if (doubles) sign.push(`${plural(doubles, "test row")} ${doubles === 1 ? "is" : "are"} also in the training rows (${share(doubles)}).`);
  if (labels) sign.push(`${plural(labels, "label")} of the test rows contradict${labels === 1 ? "s" : ""} the model beyond chance (${share(labels)}).`);
  for (const [column, found] of Object.entries((E.fairness || {}).criteria || {})) {
    const impact = found.disparate_impact;
    if (has(E.fairness.favourable) && impact && has(impact.high) && impact.high < 0.8) sign.push(`${column}: ${text(list(impact.between)[0])} gets the favourable outcome ${fixed(impact.value, 2)} times as often as ${text(list(impact.between)[1])}.`);
  }
  const proxies = list((E.target_proxies || {}).proxies);
  if (proxies.length) sign.unshift(`${words(proxies)} alone tell${proxies.length === 1 ? "s" : ""} nearly as much as the whole model: known before the prediction?`);
  return sign.length > 2 ? [...sign.slice(0, 2), `and ${plural(sign.length - 2, "more doubt")}`] : sign;
}

function whatDrivesIt(D) {
  const drivers = ranking(D);
  if (!drivers.rows.length) return question("What drives it?", "The model was not explained in this run.");
  const top = drivers.rows.slice(0, 5), strongest = top.filter((row) => row.value > 0).slice(0, 2).map((row) => h("strong", null, h("bdi", null, row.label)));
  const rows = top.map((row) => ({ ...row, mark: columnLink(D, row.label) }));
  return question("What drives it?", strongest.length ? [strongest[0], strongest[1] && " and ", strongest[1], strongest.length > 1 ? " matter most." : " matters most."] : "No column makes a difference.",
    further("why", "Every column's effect"),
    h("p", { class: "hint" }, drivers.says), forest(rows, { kind: "bar", zero: 0, format: same(top.map((row) => row.value)), brief: true, label: "The most important columns" }));
}

function canItShip(D) {
  const E = D.evaluation, all = list(E.gates), failed = all.filter((gate) => !gate.passed), shown = [...failed, ...all.filter((gate) => gate.passed)].slice(0, 5);
  return question("Can it ship?",
    [badge(E.passed, E.passed ? "Ready to ship" : "Not to be shipped"), ` ${all.length ? `${all.length - failed.length} of ${plural(all.length, "gate")} passed.` : "No gates were set for it."}`],
    all.length > 0 && further("gates", "What each gate found"),
    h("ul", { class: "checks" }, shown.map((gate) => h("li", { class: gate.passed ? null : "bad" }, h("span", { "aria-hidden": "true" }, gate.passed ? "✓" : "✗"),
      h("span", null, h("strong", null, word(gate.gate)), ` ${gate.required}`, h("span", { class: "hidden" }, gate.passed ? " (passed)" : " (failed)"), gate.why && (!gate.passed || all.length < 3) && h("small", null, gate.why))))),
    all.length > shown.length && h("p", { class: "hint" }, `and ${plural(all.length - shown.length, "more gate")}`));
}

function shortFacts(D) {
  const model = D.model, rows = D.splits.rows || {}, others = Object.entries(D.evaluation.further || {});
  return h("dl", { class: "facts" },
    fact("Target", D.target, [word(D.task), D.classes.length > 2 && `, ${plural(D.classes.length, "class", "classes")}`, has(D.positive) && `; ${text(D.positive)} is ${has(D.positive_share) ? percent(D.positive_share) : "the positive class"}`]),
    others.length > 0 && fact("Also predicts", words(others.map(([name]) => name)), "see Performance"),
    fact("Model", word(model.learner), [model.iterations > 0 && plural(model.iterations, "iteration"), model.calibration && model.calibration.method !== "none" && `${model.calibration.method} calibration`].filter(Boolean).join(", ")),
    model.private && fact("Private", `epsilon ${num(model.private.epsilon)}`, `at delta ${num(model.private.delta)}, for ${model.private.covers}; not covered: ${list(model.private.beyond).join("; ")}${model.private.secure ? "" : "; whoever knows the run's seed knows the noise"}`),
    fact("Judged on", plural(D.evaluation.rows, "test row"), "never seen in training"),
    fact("Trained on", plural(rows.train || 0, "row"), rows.valid ? plural(rows.valid, "row") + " to tune and stop" : null),
    fact("Inputs", plural(D.columns_used, "column"), plural(D.features.length + D.features_left_out, "feature")));
}
