// One column at a time: its effect on the score, seen in every way that was computed, and what it works together with.

const EFFECTS = {
  ale: ["Accumulated local effect", "What changes when the column changes a little, among rows that have about that value (Apley and Zhu 2020)."],
  partial_dependence: ["Partial dependence", "The mean score if every row had this value (Friedman 2001)."],
  ice: ["Single rows", "One line a row: its score if only this value were different (Goldstein 2015)."],
};

const SURFACES = { ale_2d: "What both columns do together beyond what each does alone: 0 is nothing.", partial_dependence_2d: "The mean score if every row had these two values." };
// What the band of an explainer's curve holds.
const BANDS = { ice: "10th to 90th percentile", ale: "95% interval", partial_dependence: "95% interval" };

// Column -> what there is of it, in the order of importance.
function columnsOf(D) {
  const X = D.explanations || {}, known = new Map(), at = (name) => known.get(name) || known.set(name, { name, effects: [], pairs: [], surfaces: [] }).get(name);
  for (const row of ranking(D).rows) at(row.label).importance = row.value;
  for (const name of list((X.beeswarm || {}).groups)) at(name);
  for (const [name, curve] of Object.entries(X.dependence || {})) if (list(curve.points).length) at(name).dependence = curve;
  for (const [by, found] of foundOf(D, "curves")) for (const [name, curve] of Object.entries(found.content.curves || {})) if (list(curve.points).length) at(name).effects.push({ by, found, curve });
  for (const [by, found] of foundOf(D, "interactions")) for (const pair of list(found.content.pairs)) for (const name of pair.columns) at(name).pairs.push({ by, found, pair });
  for (const [by, found] of foundOf(D, "surfaces")) for (const surface of list(found.content.surfaces)) for (const name of surface.columns) at(name).surfaces.push({ by, found, surface });
  return [...known.values()].filter((column) => column.dependence || column.effects.length || column.pairs.length || column.surfaces.length);
}
function columnLink(D, name) {
  const X = D.explanations || {}, drawn = Object.hasOwn(X.dependence || {}, name) || foundOf(D, "curves").some(([, found]) => Object.hasOwn(found.content.curves || {}, name));
  return drawn ? h("a", { href: `#column=${encodeURIComponent(name)}` }, name) : name;
}

function dependence(D) {
  const columns = columnsOf(D);
  if (!columns.length) return null;
  const strongest = Math.max(...columns.map((column) => column.importance || 0)) || 1;
  const made = picker({ label: "Columns", placeholder: "Find a column", address: "column", show: (entry) => columnView(D, entry.column),
    entries: columns.map((column) => ({ key: column.name, label: column.name, column, note: has(column.importance) ? percent(Math.max(0, column.importance / strongest)) : "" })) });
  OPENERS.column = (name) => { made.open(name); return "dependence"; };
  return made.node;
}
function columnView(D, column) {
  const { name, dependence: curve } = column;
  return [
    h("div", { class: "grid" },
      curve && card("Contribution", `What ${name} adds to ${D.task === "multiclass" && has(curve.class) ? `the score of ${text(curve.class)}` : scoreUnit(D)}. The band holds 80% of the rows: a wide one means that other columns change its effect.`,
        dependenceChart(name, curve), stated(foundBy(D, "contributions"))),
      column.effects.map(({ by, found, curve: effect }) => card(effectTitle(by, effect), (EFFECTS[by] || [])[1], effectChart(name, effect, { unit: found.content.unit || "score", band: BANDS[by] || "low to high" }), stated(found))),
      togetherCard(column)),
    surfaceCard(column),
  ];
}
// One surface at a time: the pair, and the way it was computed, are chosen.
function surfaceCard({ surfaces }) {
  if (!surfaces.length) return null;
  const host = h("div"), name = ({ by, surface }) => `${surface.columns.join(" × ")}, ${within(by)}${has(surface.class) ? `, ${text(surface.class)}` : ""}`;
  const choice = h("select", { class: "filter long", "aria-label": "Pair of columns", onchange: draw }, surfaces.map((one, i) => h("option", { value: i }, name(one))));
  function draw() {
    const { by, found, surface } = surfaces[Number(choice.value)];
    host.replaceChildren(h("p", { class: "hint" }, SURFACES[by] || `In ${found.content.unit || "its own unit"}.`), heatMap(surface, { label: `Score by ${surface.columns.join(" and ")}` }), ...[stated(found)].filter(Boolean));
    redraw(host);
  }
  draw();
  return card("With another column", null, h("div", { class: "bar" }, choice), host);
}
const effectTitle = (by, curve) => ((EFFECTS[by] || [])[0] || word(by)) + (has(curve.class) ? ` (${text(curve.class)})` : "");
function togetherCard({ name, pairs }) {
  if (!pairs.length) return null;
  const by = new Map();
  for (const entry of pairs) by.set(entry.by, [...(by.get(entry.by) || []), entry]);
  return [...by].map(([explainer, entries]) => card("Works together with", `How much of the effect comes from ${name} and another column at once (${word(explainer)}, ${word(entries[0].found.content.unit || "")}).`,
    forest(entries.map(({ pair }) => ({ ...pair, label: pair.columns.find((other) => other !== name) })), { kind: "bar", zero: 0, limit: 8, brief: true, label: `Interactions of ${name}` }), stated(entries[0].found)));
}

const dependenceChart = (group, curve) => effectChart(group, curve, { unit: "contribution", band: "10th to 90th percentile", show: signed });
// points: [[value, mean, low, high, rows]]; lines?: [[row, [score at each point]]].
function effectChart(group, curve, { unit: what, band, show = score }) {
  const missing = curve.points.find((p) => p[0] === null), known = curve.points.map((p, i) => ({ p, i })).filter(({ p }) => p[0] !== null);
  const rest = missing && curve.kind !== "category" && h("p", { class: "hint after" }, `Missing: ${show(missing[1])} (${plural(missing[4], "row")})`);
  if (curve.kind === "category" || known.length < 2) {
    const rows = curve.points.map((p) => ({ label: text(p[0]), value: p[1], low: p[2], high: p[3], note: plural(p[4], "row") })).sort((a, b) => b.value - a.value);
    return [forest(rows, { zero: 0, include: [0], limit: 12, notes: true, brief: true, format: (v) => show(v), label: `${word(what)} by ${group}` }), curve.others > 0 && h("p", { class: "hint after" }, `and ${plural(curve.others, "rarer value")}`)];
  }
  const time = curve.kind === "timestamp", x = (p) => (time ? Date.parse(p[0] + (/Z$/.test(p[0]) ? "" : "Z")) : p[0]), named = (p) => (time ? day(p[0]) : num(p[0]));
  const lines = list(curve.lines).map(([, values]) => ({ kind: "line", faint: true, color: 2, thin: true, points: known.map(({ p, i }) => [x(p), values[i]]).filter((point) => has(point[1])) }));
  const points = known.map(({ p }) => [x(p), p[1]]), banded = known.filter(({ p }) => has(p[2]) && has(p[3]));
  return [xy({ label: `${word(what)} by ${group}`, height: 250, x: { label: group, sparse: time ? 105 : 75, format: time ? (v) => new Date(v).toISOString().slice(0, 10) : null }, y: { label: what },
    layers: [...lines, { kind: "band", points: lines.length ? [] : banded.map(({ p }) => [x(p), p[2], p[3]]) }, { kind: "line", points }, { kind: "dots", points, radius: 2.5 }],
    hover: known.map(({ p }) => ({ x: x(p), title: `${group} = ${named(p)}`, lines: [`mean ${show(p[1])}`, has(p[2]) && `${band} ${show(p[2])} to ${show(p[3])}`, has(p[4]) && plural(p[4], "row")].filter(Boolean) })) }), rest];
}

function interactions(D) {
  const found = foundOf(D, "interactions").filter(([, one]) => list(one.content.pairs).length);
  if (!found.length) return null;
  return h("div", { class: found.length > 1 ? "grid" : null }, found.map(([name, one]) => card(word(name), `The pairs of columns whose effects depend on each other most, in ${one.content.unit || "its own unit"}.`,
    forest(one.content.pairs.map((pair) => ({ ...pair, label: pair.columns.join(" × "), mark: [columnLink(D, pair.columns[0]), " × ", columnLink(D, pair.columns[1])] })), { kind: "bar", zero: 0, limit: 10, label: `Pairs by ${word(name)}` }), stated(one))));
}
