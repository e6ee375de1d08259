// Runs side by side: the first is the reference, the others are told apart from it where the data allow it.

const C = JSON.parse(document.getElementById("bessemer-data").textContent);
const letter = (i) => String.fromCharCode(65 + i);
const runName = (i) => h("span", { class: "mono", title: C.runs[i].run }, letter(i));
const shownValue = (value) => (!has(value) ? MISSING : typeof value === "object" ? JSON.stringify(value) : typeof value === "number" ? num(value) : String(value));
const figureText = (figure, format) => (figure ? [(format || score)(figure.value), " ", h("span", { class: "iv" }, interval(figure, format))] : MISSING);

// A table with a column a run. rows: [{name, cells: [node...], changed}]
function sideBySide(label, rows, options) {
  const head = h("tr", null, h("th", { scope: "col" }, (options || {}).first || ""), C.runs.map((_, i) => h("th", { scope: "col", class: "side" }, runName(i))));
  const limit = (options || {}).limit || 60, draw = (shown) => shown.map((row) => h("tr", null, h("th", { scope: "row", class: "label", dir: "auto" }, row.name), row.cells.map((cell) => h("td", { class: "side wrap" }, cell))));
  const body = h("tbody", null, draw(rows.slice(0, limit)));
  return expandable(scroller(label, h("table", { class: "sides", "aria-label": label }, h("thead", null, head), body)), rows.length, limit, () => body.replaceChildren(...draw(rows)));
}
const panel = (title, hint, ...body) => h("div", { class: "card" }, title && h("h3", null, title), hint && h("p", { class: "hint" }, hint), body);

function runsSection() {
  const row = (name, cell) => ({ name, cells: C.runs.map(cell) }), main = C.metrics.rows[0];
  return [
    panel(null, null, sideBySide("The runs", [
      row("Run", (run) => h("span", { class: "mono" }, run.run)), row("Started", (run) => run.started.replace("T", " ").replace("+00:00", " UTC")), row("Model", (run) => (run.learner ? word(run.learner) : MISSING)),
      row("Gates", (run) => (run.passed ? "✓ passed" : "✗ not passed")), row("Test rows", (run) => num(run.test_rows)),
      main && { name: word(main.metric), cells: main.runs.map((figure) => figureText(figure)) }, main && { name: "Against A", cells: main.differences.map((gap) => (gap ? verdictOf(gap) : "reference")) },
    ].filter(Boolean))),
  ];
}
const MARKS = { better: "▲ better", worse: "▼ worse", "not told apart": "● not told apart" };
const verdictOf = (gap) => [h("strong", null, MARKS[gap.verdict]), " ", signed(gap.value), " ", h("span", { class: "iv" }, interval(gap))];

function metricsSection() {
  const M = C.metrics, level = percent(M.confidence);
  const hint = (i) => (M.paired[i] ? "Judged on the same test rows: the differences are paired, row by row." : "Judged on other test rows than A: the differences are not paired, and their intervals are wider.");
  const rows = M.rows.map((row) => ({ name: h("span", null, word(row.metric), row.greater_is_better ? "" : h("small", null, " lower is better")), cells: row.runs.map((figure) => figureText(figure)) }));
  const charts = C.runs.slice(1).map((_, k) => {
    const found = M.rows.filter((row) => row.differences[k + 1]).map((row) => {
      const gap = row.differences[k + 1], turn = row.greater_is_better ? 1 : -1, ends = [turn * gap.low, turn * gap.high].sort((a, b) => a - b);
      return { label: word(row.metric), mark: [h("span", { title: gap.verdict, class: "verdictmark" }, MARKS[gap.verdict].slice(0, 1) + " "), word(row.metric)], tip: gap.verdict, value: turn * gap.value, low: has(gap.low) ? ends[0] : null, high: has(gap.high) ? ends[1] : null, color: gap.verdict === "better" ? 0 : gap.verdict === "worse" ? 1 : 2 };
    });
    return scaleFree(found, `${letter(k + 1)} against A`);
  });
  return [panel("Figures", `With ${level} intervals.`, sideBySide("Metrics", rows, { first: "Metric" })), h("div", { class: "grid spaced" }, charts.map((chart, k) => panel(chart.title, `${hint(k + 1)} Turned so that right of zero is better (▲), left worse (▼); ● cannot be told apart.`, chart.node)))];
}
// Metrics have units of their own: those of an error in the target's unit would hide the shares, so each scale has its chart.
function scaleFree(rows, title) {
  const size = (row) => Math.max(...[row.value, row.low, row.high].filter(Number.isFinite).map(Math.abs), 0), small = rows.filter((row) => size(row) <= 1), large = rows.filter((row) => size(row) > 1);
  const chart = (some, name) => some.length > 0 && forest(some, { zero: 0, include: [0], label: `${title}: ${name}`, format: (v) => signed(v) });
  return { title, node: [chart(small, "differences"), chart(large, "differences in units")].filter(Boolean) };
}

function settingsSection() {
  if (!C.settings.length) return panel(null, null, h("p", null, "All settings are the same."));
  return panel(null, null, sideBySide("Settings that differ", C.settings.map((row) => ({ name: h("code", null, row.setting), cells: row.values.map((value) => h("span", { class: "mono", dir: "auto" }, shownValue(value))) })), { first: "Setting" }));
}

function dataSection() {
  const X = C.data, names = [...new Set(X.rows.flatMap((row) => Object.keys(row)))].filter((name) => name !== "classes"), classes = [...new Set(X.rows.flatMap((row) => Object.keys(row.classes || {})))];
  const sources = [...new Set(X.sources.flatMap((own) => own.map((source) => source.name)))];
  const mark = (source) => (source ? [text(source.uri || source.kind), " ", h("small", { class: "mono" }, String(source.fingerprint || "").slice(0, 12))] : MISSING);
  const facts = [
    ...sources.map((name) => ({ name: `source ${name}`, cells: X.sources.map((own) => mark(own.find((source) => source.name === name))) })),
    ...names.map((name) => ({ name: `${name} rows`, cells: X.rows.map((row) => num(row[name])) })),
    ...classes.slice(0, 30).map((name) => ({ name: h("span", { dir: "auto" }, `class ${name}`), cells: X.rows.map((row) => num((row.classes || {})[name])) })),
  ];
  const columns = X.columns.map((column) => ({ name: column.name, cells: column.runs.map((own, i) => (own ? factsOf(own, column.runs[0], i) : "no such column")) }));
  return [panel(X.same ? "The same data" : "Sources and rows", X.same ? "All runs read the same rows." : null, sideBySide("Sources and rows", facts)),
    columns.length > 0 && panel("Columns that differ", X.left_out ? `and ${plural(X.left_out, "more column")}` : null, sideBySide("Columns that differ", columns, { first: "Column" }))];
}
function factsOf(own, first, i) {
  if (i > 0 && first && Object.entries(own).every(([name, value]) => first[name] === value)) return "as A";
  const entries = Object.entries(own), said = ([name, value]) => `${word(name).toLowerCase()} ${name === "missing_share" ? percent(value, 2) : shownValue(value)}`;
  return h("span", { dir: "auto" }, entries.map(said).join(", "));
}

function importanceSection() {
  if (!C.importance.length) return null;
  const names = { permutation: "What is lost without a column", contributions: "How far a column moves the score" };
  return C.importance.map((table) => panel(names[table.by] || word(table.by), "A dot for each run, with its interval.", grouped(table.rows.map((row) => ({ name: row.group, runs: row.runs })), word(table.by))));
}
function slicesSection() {
  if (!C.slices.length) return null;
  const columns = [...new Set(C.slices.map((row) => row.column))];
  return columns.map((column) => panel(column, word(C.slices[0].metric), grouped(C.slices.filter((row) => row.column === column).map((row) => ({ name: row.value, runs: row.runs })), `Slices by ${column}`)));
}
// For each name one line a run, on one scale.
function grouped(rows, label) {
  const flat = rows.flatMap((row) => row.runs.map((figure, i) => figure && { label: `${row.name}, ${letter(i)}`, mark: [i === row.runs.findIndex(Boolean) ? h("strong", { dir: "auto" }, row.name) : "", h("span", { class: "mono" }, ` ${letter(i)}`)], ...figure, color: i % 4 })).filter(Boolean);
  return forest(flat, { limit: 12 * C.runs.length, label, format: same(flat.map((row) => row.value)) });
}

function leaderboardSection() {
  const names = [...new Set(C.leaderboard.flatMap((rows) => rows.map((row) => row.learner)))];
  if (!names.length) return null;
  const cell = (row) => (row ? [row.chosen ? h("strong", null, "✓ ") : "", ...figureText(row)] : MISSING);
  const metric = (C.leaderboard.flat().find((row) => row.metric) || {}).metric;
  return panel(null, metric ? `${word(metric)} on the validation part; ✓ is the model that was chosen.` : null, sideBySide("Leaderboard", names.map((name) => ({ name: word(name), cells: C.leaderboard.map((rows) => cell(rows.find((row) => row.learner === name))) }))));
}
function gatesSection() {
  if (!C.gates.length) return null;
  const cell = (gate) => (gate ? [gate.passed ? "✓ " : "✗ ", h("span", null, gate.why || shownValue(gate.value))] : "not asked");
  return panel(null, null, sideBySide("Gates", C.gates.map((row) => ({ name: row.gate, cells: row.runs.map(cell) })), { first: "Gate" }));
}
function timingsSection() {
  const cell = (stage) => (!stage ? MISSING : stage.status === "cached" ? "cached" : seconds(stage.seconds));
  return panel(null, null, sideBySide("Seconds by stage", [...C.timings.map((row) => ({ name: row.stage, cells: row.runs.map(cell) })), { name: h("strong", null, "total"), cells: C.runs.map((run) => seconds(run.seconds)) }], { first: "Stage" }));
}

const COMPARED = [
  ["overview", "summary", "Summary", null, runsSection],
  ["overview", "settings", "Settings that differ", "What the project files said. The first run, A, is the reference.", settingsSection],
  ["metrics", "metrics", "Metrics", "How well each predicts rows it has never seen.", metricsSection],
  ["metrics", "gates", "Gates", null, gatesSection],
  ["slices", "slices", "Slices", "The main metric where the data are cut.", slicesSection],
  ["why", "importance", "Importance", "Which columns each model leans on.", importanceSection],
  ["data", "data", "Data", "What each learned from.", dataSection],
  ["making", "leaderboard", "Leaderboard", null, leaderboardSection],
  ["making", "timings", "Where the time went", null, timingsSection],
];
openPage([["overview", "Overview"], ["metrics", "Metrics"], ["slices", "Slices"], ["why", "Explanations"], ["data", "Data"], ["making", "Training"]], COMPARED, C);
