// What went in and how it was made: training, data, features, provenance, time.

function training(D) {
  const H = D.history || {}, board = list(H.leaderboard), curves = Object.entries(H.curves || {}).filter(([, points]) => list(points).length > 1);
  if (!board.length && !curves.length) return null;
  const params = Object.entries(D.model.params || {}), A = H.automl, needed = measured().needed || {};
  const skipped = [...list(A && A.skipped), ...list(H.compared).filter((r) => r.why)];
  return [
    h("div", { class: "grid" },
      lossCharts(curves).map(([title, lines]) => card(title, null, lossChart(title, lines, D.model.iterations))),
      board.length > 0 && card("Leaderboard", A ? automlWords(A) : "Each learner on the validation rows.", sortable(leaderboardColumns(board, A), board, { label: "Leaderboard", limit: 20 })),
      skipped.length > 0 && card("Left out", "What the budget had no time for, or could not be tried.", sortable([
        { name: "Learner", cell: (r) => word(r.learner), key: (r) => r.learner },
        { name: "Needed", number: true, cell: (r) => (has(needed[r.learner]) ? `${num(needed[r.learner])} s` : ""), key: (r) => needed[r.learner] },
        { name: "Why", wide: true, cell: (r) => r.why },
      ], skipped, { label: "Left out", limit: 10 })),
    ),
    params.length > 0 && h("div", { style: "margin-top:16px" }, card("Parameters", null, h("dl", { class: "pairs" }, params.map(([k, v]) => h("div", null, h("dt", null, k), h("dd", null, has(v) && typeof v === "object" ? JSON.stringify(v) : String(v))))))),
  ];
}
function leaderboardColumns(board, A) {
  const fits = measured().fits || {}, of = (r) => fits[r.learner] || {}, timed = board.some((r) => fits[r.learner]);
  return [
    { name: "Learner", cell: (r) => [r.chosen ? h("strong", null, word(r.learner)) : word(r.learner), r.chosen ? " ✓" : ""], key: (r) => r.learner },
    { name: word(board[0].metric || "value"), number: true, cell: (r) => score(r.value), key: (r) => r.value },
    { name: "95 %", number: true, cell: (r) => (has(r.low) ? `${score(r.low)} to ${score(r.high)}` : "") },
    A && { name: "Weight", number: true, cell: (r) => (r.weight ? percent(r.weight) : ""), key: (r) => r.weight },
    timed && { name: "Fit", number: true, cell: (r) => `${num(of(r).fit_seconds)} s`, key: (r) => of(r).fit_seconds },
    timed && { name: "A row", number: true, cell: (r) => `${num(of(r).predict_microseconds)} µs`, key: (r) => of(r).predict_microseconds },
    { name: "Size", number: true, cell: (r) => (has(r.bytes) ? `${num(r.bytes / 1e6)} MB` : ""), key: (r) => r.bytes },
    { name: "Note", wide: true, cell: (r) => r.note || "" },
  ].filter(Boolean);
}
// What differs from run to run stands beside the page's own data, and only in the copy in the build folder.
const measured = () => (JSON.parse(document.getElementById("bessemer-timings").textContent) || {}).training || {};
function automlWords(A) {
  const used = measured().used, kind = A.folds > 1 ? plural(A.folds, "fold") : "one validation part", small = A.distilled;
  const lost = small ? ` The distilled model has ${num(small.student)} on the first fold, the ensemble ${num(small.ensemble)}.` : "";
  return `Out of fold: ${kind} of ${num(A.rows)} training rows. Budget: ${num(A.budget)} s${has(used) ? `, fitted for ${num(used)} s` : ""}.${lost}`;
}
// Curves of one metric (train, valid) share a chart: names end or start with the part.
function lossCharts(curves) {
  const charts = new Map(), part = /(^|[._/ ])(train|valid)(?=[._/ ]|$)/;
  for (const [name, points] of curves) {
    const found = name.match(part), title = name.replace(part, ".").split(/[./ ]+/).map((w) => word(w.replace(/^_/, ""))).filter(Boolean).join(": ");
    charts.set(title, [...(charts.get(title) || []), [found ? found[2] : "value", points]]);
  }
  return [...charts];
}
function lossChart(title, lines, best) {
  const longest = lines.map((line) => line[1]).sort((a, b) => b.length - a.length)[0];
  const near = (points, step) => points.reduce((best, p) => (Math.abs(p[0] - step) < Math.abs(best[0] - step) ? p : best));
  const color = (i) => (lines.length === 1 ? 0 : [2, 0, 1, 3][i % 4]);
  return [xy({ label: title, height: 230, x: { label: "iteration" }, y: {},
    layers: lines.map(([, points], i) => ({ kind: "line", points, color: color(i) })),
    hover: longest.map(([step]) => ({ x: step, title: `iteration ${num(step)}${step === best ? " (kept)" : ""}`, lines: lines.map(([name, points]) => `${name} ${num(near(points, step)[1])}`) })) }),
  lines.length > 1 && legend(lines.map(([name], i) => [color(i), name]))];
}

const TYPES = { BOOLEAN: "boolean", BIGINT: "integer", DOUBLE: "number", VARCHAR: "text", TIMESTAMP: "time" };
function data(D) {
  const columns = list(D.data.columns), Q = D.data.quarantine, L = D.labelled;
  const filter = h("input", { class: "filter", type: "search", placeholder: "Filter columns", "aria-label": "Filter columns", oninput: () => table.filter((c) => c.name.toLowerCase().includes(filter.value.toLowerCase())) });
  const table = sortable([
    { name: "Column", label: true, cell: (c) => h("button", { class: "expander", "aria-expanded": "false", title: c.name }, c.name), key: (c) => c.name },
    { name: "Type", cell: (c) => TYPES[c.dtype] || String(c.dtype).toLowerCase() },
    { name: "Missing", number: true, cell: (c) => percent(c.missing_share), key: (c) => c.missing_share },
    { name: "Distinct", number: true, cell: (c) => num(c.distinct), key: (c) => c.distinct },
    { name: "Typical", wide: true, cell: typical, key: (c) => (has(c.mean) ? c.mean : String((list(c.top)[0] || [""])[0])) },
    { name: "", cell: (c) => columnSpark(c), key: () => "" },
  ], columns, { label: "Columns", limit: 60, detail: columnDetail });
  const broken = Object.entries((Q && Q.by_rule) || {}).sort((a, b) => b[1] - a[1]);
  return [
    h("dl", { class: "facts", style: "margin-bottom:16px" },
      fact("Rows", num(D.data.rows)), fact("Columns", num(columns.length + D.data.left_out)),
      fact("Contract", D.data.contract ? plural(D.data.contract.rules, "rule") : MISSING, D.data.contract && (D.data.contract.inferred ? "inferred from this data" : "from the project")),
      fact("Set aside", Q ? plural(Q.rows, "row") : MISSING, Q && (Q.rows ? "broke the contract" : "every row keeps the contract")),
      L && L.unlabelled > 0 && fact("Without a target", plural(L.unlabelled, "row")),
      fact("Split", D.splits.method ? word(D.splits.method) : MISSING, Object.entries(D.splits.rows || {}).map(([part, n]) => `${part} ${num(n)}`).join(", "))),
    targetCard(D),
    broken.length > 0 && card("Rows set aside", "By the rule they broke; a row can break several.", sortable([
      { name: "Rule", wide: true, cell: (r) => r[0] }, { name: "Rows", number: true, cell: (r) => num(r[1]), key: (r) => r[1] }], broken, { label: "Quarantine", limit: 20 })),
    columns.length > 0 && h("div", { class: "card" }, h("div", { class: "bar" }, h("h3", null, "Columns"), h("span", { class: "push" }, filter)), table,
      D.data.left_out > 0 && h("p", { class: "hint after" }, `and ${plural(D.data.left_out, "column")} more, in the run's statistics.json`)),
  ];
}
function targetCard(D) {
  const counts = Object.entries((D.labelled && D.labelled.counts) || {});
  if (counts.length < 2 || D.task === "regression") return null;
  const all = counts.reduce((sum, [, n]) => sum + n, 0) || 1;
  return card(`Target: ${D.target}`, null, forest(counts.map(([name, n]) => ({ label: typeof D.classes[0] === "boolean" ? name.toLowerCase() : text(name), value: n / all, text: `${num(n)} (${percent(n / all)})`, color: 2 })), { kind: "bar", limit: 20, tick: (v) => percent(v), format: (v) => percent(v), label: "Classes" }));
}
function typical(c) {
  if (has(c.mean)) return `${num(c.mean)} ± ${num(c.std)}`;
  const top = list(c.top)[0];
  if (top) return h("span", null, text(top[0]), h("span", { class: "iv" }, ` in ${percent(top[1] / (c.count || 1))}`));
  return has(c.min) ? `${day(c.min)} to ${day(c.max)}` : MISSING;
}
function columnSpark(c) {
  const counts = c.histogram && list(c.histogram.counts).length ? c.histogram.counts : list(c.top).slice(0, 12).map((t) => t[1]);
  return counts.length ? spark(counts) : null;
}
function columnDetail(line, column, width) {
  const button = line.querySelector(".expander");
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!open));
    if (open) line.nextSibling.remove();
    else line.after(h("tr", { class: "detail" }, h("td", { colspan: width }, h("div", { class: "grid" }, columnPicture(column), columnFacts(column)))));
  });
}
function columnPicture(c) {
  const H = c.histogram;
  if (H && list(H.counts).length && H.edges.every((e) => typeof e === "number")) {
    const bars = H.counts.map((n, i) => [H.edges[i], H.edges[i + 1], n]);
    return h("div", null, xy({ label: `Histogram of ${c.name}`, height: 200, x: { label: c.name }, y: {}, layers: [{ kind: "bars", points: bars, color: 2 }],
      hover: bars.map(([a, b, n]) => ({ x: (a + b) / 2, title: plural(n, "row"), lines: [`${num(a)} to ${num(b)}`] })) }));
  }
  const top = list(c.top);
  if (!top.length) return null;
  return h("div", null, forest(top.map(([value, n]) => ({ label: text(value), value: n, text: `${num(n)} (${percent(n / (c.count || 1), 1)})`, color: 2 })), { kind: "bar", limit: 10, label: `Values of ${c.name}` }));
}
function columnFacts(c) {
  const rows = [["Values", num(c.count)], ["Missing", `${num(c.missing)} (${percent(c.missing_share, 1)})`], ["Distinct", num(c.distinct)]];
  if (c.infinite) rows.push(["Infinite", num(c.infinite)]);
  if (has(c.min)) rows.push(["Range", typeof c.min === "string" ? `${day(c.min)} to ${day(c.max)}` : `${num(c.min)} to ${num(c.max)}`]);
  for (const [q, value] of Object.entries(c.quantiles || {}).sort((a, b) => a[0] - b[0])) rows.push([q === "0.5" ? "Median" : `${num(100 * q)}th percentile`, typeof value === "string" ? day(value) : num(value)]);
  if (c.length) rows.push(["Length", `${num(c.length.min)} to ${num(c.length.max)}, mean ${num(c.length.mean)}`]);
  return h("dl", { class: "kv" }, rows.map(([k, v]) => [h("dt", null, k), h("dd", null, v)]));
}

function features(D) {
  if (!D.features.length) return null;
  return card("Features", null, sortable([
    { name: "Feature", label: true, cell: (f) => h("span", { title: f.name }, f.name), key: (f) => f.name },
    { name: "Made from", label: true, cell: (f) => h("span", { title: f.group }, f.group), key: (f) => f.group },
    { name: "Kind", cell: (f) => String(f.kind || "").replace(/_/g, " "), key: (f) => f.kind },
    { name: "Meaning", wide: true, cell: (f) => f.meaning || "" },
  ], D.features, { label: "Features", limit: 40 }), D.features_left_out > 0 && h("p", { class: "hint after" }, `and ${plural(D.features_left_out, "feature")} more, in the run's features.json`));
}

function provenance(D) {
  const P = D.provenance;
  return h("div", { class: "grid" },
    card("Run", null, h("dl", { class: "kv" }, [["Project", D.name], ["Version", D.version], ["Seed", String(P.seed)], ["Bessemer", P.bessemer]].filter((r) => has(r[1]) && r[1] !== "").map(([k, v]) => [h("dt", null, k), h("dd", { class: "mono" }, v)]))),
    card("Artifacts", "The content this page was made from, by SHA-256.", h("dl", { class: "kv" }, P.artifacts.map(([kind, digest]) => [h("dt", null, kind), h("dd", { class: "mono", title: digest }, digest.slice(0, 16))]))));
}

function timings() {
  const found = JSON.parse(document.getElementById("bessemer-timings").textContent);
  if (!found) return null;
  const stages = list(Array.isArray(found) ? found : found.stages);
  if (!stages.length) return null;
  const total = has(found.total) ? found.total : stages.reduce((sum, stage) => sum + (stage.seconds || 0), 0);
  return card(`${seconds(total)} in all`, null, forest(stages.map((stage) => ({ label: stage.stage, value: stage.seconds || 0, color: stage.status === "cached" ? 2 : 0, text: seconds(stage.seconds || 0), tip: stage.why, note: stage.status === "cached" ? "from the cache" : stage.why || stage.status })),
    { kind: "bar", notes: true, tick: (v) => seconds(v), format: seconds, label: "Seconds by stage" }));
}
