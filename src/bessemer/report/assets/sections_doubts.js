// What makes the figures doubtful: rows that stand in training too, labels that look wrong, columns that tell too much.

// How many test rows stand in the training rows too, or nearly, where that is enough to matter.
function duplicateRows(E) {
  const found = E.duplicates;
  return found && found.exact.share + found.near.share >= 0.01 ? found.exact.rows + found.near.rows : 0;
}
// How many labels the model is sure are others, where that is far more often than its own probabilities allow.
function labelRows(E) {
  const found = E.label_errors && E.label_errors.contradicted;
  return found && found.rows > 3 * found.expected + 5 * Math.sqrt(found.expected + 1) ? found.rows : 0;
}

function doubts(D) {
  const cards = [tooTelling(D), copies(D), labels(D)].filter(Boolean);
  return cards.length ? cards : null;
}

function tooTelling(D) {
  const P = D.evaluation.target_proxies;
  if (!P || !list(P.columns).length) return null;
  const proxies = list(P.proxies), rows = P.columns.map((one) => ({ label: one.column, mark: columnLink(D, one.column), value: Math.max(0, one.share), color: proxies.includes(one.column) ? 0 : 2 }));
  return card(proxies.length ? `${words(proxies)}: the target in disguise?` : "No column tells as much as the whole model", "How much of what the model gains over a constant one column alone gains. Near 100%, ask whether it is known before the prediction is made.",
    forest(rows, { kind: "bar", zero: 0, limit: 5, format: (v) => percent(v), tick: (v) => percent(v), label: "Share of the gain of one column alone" }));
}

function copies(D) {
  const C = D.evaluation.duplicates;
  if (!C) return null;
  const n = C.exact.rows + C.near.rows, metric = within(C.metric);
  const judged = has(C.difference) && h("p", null, `With them the ${metric} is ${score(C.value)}, without them ${score(C.without)}: they make it ${C.difference >= 0 ? "better" : "worse"} by ${num(Math.abs(C.difference))} ${interval(C, num)}.`);
  return card(n ? `${plural(n, "test row")} ${n === 1 ? "stands" : "stand"} in the training rows too` : "No test row stands in the training rows too",
    `${plural(C.exact.rows, "row")} exactly (of ${num(C.exact.of)}), ${plural(C.near.rows, "row")} nearly (of ${num(C.near.of)} looked at): equal in every text, and within ${percent(C.tolerance)} of its spread in every number.${C.conflicting ? ` ${plural(C.conflicting, "of them has", "of them have")} another target.` : ""}`,
    judged, list(C.samples).length > 0 && more("Some of them", sortable([
      { name: "Kind", cell: (r) => word(r.kind) }, { name: "Test row", number: true, cell: (r) => num(r.row), key: (r) => r.row }, { name: "Training row", number: true, cell: (r) => num(r.train_row), key: (r) => r.train_row },
      { name: "Differs in", cell: (r) => Object.entries(r.differs || {}).map(([name, [mine, theirs]]) => `${name}: ${text(mine)}, ${text(theirs)}`).join("; ") || "nothing" }, { name: "The row", wide: true, cell: (r) => rowWords(D, r.row) },
    ], C.samples, { label: "Duplicates" })));
}

function labels(D) {
  const L = D.evaluation.label_errors;
  if (!L) return null;
  if (L.why) return card("Labels were not looked at", sentence(L.why));
  const rows = list(L.rows), regression = D.task === "regression", C = L.contradicted;
  return card(L.suspicious ? `${plural(L.suspicious, "label")} to look at` : "No label looks wrong", `By ${L.method}: ${percent(L.share)} of the test rows. Each may be wrong, or rare, or the model may be.${C ? ` ${plural(C.rows, "row")} ${C.rows === 1 ? "has" : "have"} a class with a probability below ${percent(C.below)}, where about ${num(Math.round(C.expected))} are to be expected.` : ""}`,
    rows.length > 0 && more("The most suspicious", sortable([
      { name: "Test row", number: true, cell: (r) => num(r.row), key: (r) => r.row }, ...(rows.some((r) => "given" in r) ? [{ name: "Given", cell: (r) => text(r.given), key: (r) => r.given }, { name: regression ? "Predicted" : "Likely", cell: (r) => text(r.likely), key: (r) => r.likely }] : []),
      regression ? { name: "Deviations", number: true, cell: (r) => signed(r.deviations, (v) => fixed(v, 1)), key: (r) => Math.abs(r.deviations) } : { name: "Probability given", number: true, cell: (r) => percent(r.probability_given, 1), key: (r) => r.probability_given },
      { name: "The row", wide: true, cell: (r) => rowWords(D, r.row) },
    ], rows, { label: "Suspicious labels", limit: 10 })));
}
const more = (title, body) => h("details", { class: "after" }, h("summary", null, title), body);
const rowWords = (D, row) => h("span", { class: "iv wrap" }, Object.entries((D.doubtful || {})[row] || {}).map(([name, value]) => `${name} ${text(value)}`).join(", "));
