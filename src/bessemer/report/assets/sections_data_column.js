// One column in detail: its distribution in each part of the split and by target, what the target does along it, its facts.

function columnDetail(line, column, width, D) {
  const button = line.querySelector(".expander");
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!open));
    if (open) line.nextSibling.remove();
    else line.after(h("tr", { class: "detail" }, h("td", { colspan: width }, h("div", { class: "grid wide" }, columnPictures(column, D), columnFacts(column, D)))));
  });
}

function columnPictures(c, D) {
  const F = c.found;
  if (!F) return null;
  if (F.kind === "category" || F.kind === "boolean") return figure("Values", categoryTable(c, D), "full");
  if (F.kind === "identifier") return identifierPictures(F);
  if (F.kind === "image") return list(F.images).length > 0 && figure("Some of them", h("ul", { class: "photos" }, F.images.map(([image, value]) => h("li", null, photo(image, `${D.target}: ${text(value)}`), h("bdi", null, text(value))))), "full");
  const bins = binsOf(F), names = D.data.parts.map(([name]) => name), shown = F.kind === "text" ? "Length by split" : "By split";
  return [
    figure(F.kind === "time" ? `Rows by ${F.time.unit}` : shown, F.kind === "time" ? overTime(c, bins, names) : distributions(c, bins, F.parts, names, PART_COLORS)),
    !F.target && figure(F.kind === "text" ? "Length by target" : `By ${D.target}`, distributions(c, bins, F.groups, groupNames(D), D.data.target.groups.map((_, i) => GROUP_COLORS[i % GROUP_COLORS.length]), true)),
    !F.target && alongFigure(c, bins, D),
    F.kind === "text" && textPictures(c, D),
  ];
}
const figure = (title, body, more) => body && h("figure", { class: more || null }, h("figcaption", null, title), body);
const PART_COLORS = [2, 1, 0], GROUP_COLORS = [2, 0, 1, 3, 4, 5, 6];

// Bins as {x: [left, right], name}; times stand at whole numbers.
function binsOf(F) {
  if (F.kind === "time") return F.time.starts.slice(0, list(F.parts[0]).length - 1).map((start, i) => ({ x: [i, i + 1], name: unitName(start, F.time.unit) }));
  const E = F.edges, last = E.length - 2;
  const name = (i) => (last === 0 ? num(E[0]) : i === 0 ? `up to ${num(E[1])}` : i === last ? `above ${num(E[last])}` : `${num(E[i])} to ${num(E[i + 1])}`);
  return E.slice(0, -1).map((left, i) => ({ x: left === E[i + 1] ? [left - 0.5, left + 0.5] : [left, E[i + 1]], name: E[i + 1] - left === 1 && left % 1 !== 0 ? num(left + 0.5) : name(i) }));
}
const unitName = (start, unit) => ({ second: start.slice(0, 19), minute: start.slice(0, 16), hour: start.slice(0, 16), day: start.slice(0, 10), week: "week of " + start.slice(0, 10), month: start.slice(0, 7), quarter: `quarter from ${start.slice(0, 7)}` }[unit] || start.slice(0, 4)).replace("T", " ");
const axisOf = (c, bins) => (c.found.kind === "time" ? { domain: [0, bins.length], sparse: 105, format: (v) => { const bin = bins[Math.min(bins.length - 1, Math.round(v))]; return bin ? bin.name.replace(/^(week of|quarter from) /, "") : ""; } } : { label: c.found.kind === "text" ? "characters" : c.name });

// The share of each row of counts in each bin, as outlines over the first.
function distributions(c, bins, tables, names, colors, outlines) {
  const shares = tables.map((counts) => part(counts.slice(0, -1))), steps = (values) => bins.flatMap((bin, i) => [[bin.x[0], values[i]], [bin.x[1], values[i]]]);
  const filled = !outlines, layer = (values, i) => (i === 0 && filled ? { kind: "bars", points: bins.map((bin, j) => [...bin.x, values[j]]), color: colors[0] } : { kind: "line", points: steps(values), color: colors[i] });
  const known = tables.map((counts, i) => [shares[i], i]).filter(([values]) => values.some((v) => v > 0));
  if (!known.length) return null;
  return [xy({ label: `Distribution of ${c.name}`, height: 210, x: axisOf(c, bins), y: { format: (v) => percent(v), domain: [0, 1.06 * Math.max(...shares.flat())] }, layers: known.map(([values, i]) => layer(values, i)),
    hover: bins.map((bin, j) => ({ x: (bin.x[0] + bin.x[1]) / 2, title: bin.name, lines: known.map(([values, i]) => `${names[i]}: ${percent(values[j], 1)}`) })) }),
  legend(known.map(([, i]) => [colors[i], names[i]]))];
}

// Rows over time, the parts one upon another; what has no row shows as a hole.
function overTime(c, bins, names) {
  const tables = c.found.parts, layers = tables.map((_, i) => ({ kind: "bars", color: PART_COLORS[i], points: bins.map((bin, j) => [...bin.x, tables.slice(i).reduce((all, counts) => all + counts[j], 0)]) }));
  return [xy({ label: `Rows of ${c.name} over time`, height: 210, x: axisOf(c, bins), y: {}, layers,
    hover: bins.map((bin, j) => ({ x: j + 0.5, title: bin.name, lines: names.map((name, i) => `${name}: ${plural(tables[i][j], "row")}`) })) }),
  legend(names.map((name, i) => [PART_COLORS[i], name])), c.found.time.gaps.length > 0 && h("p", { class: "hint after" }, word(c.found.time.gaps_text) + ".")];
}

// The target along the column: the share of the positive class, or the mean of a number.
function alongFigure(c, bins, D) {
  const points = alongColumn(c.found, D).slice(0, bins.length).map((p, i) => p && { ...p, x: (bins[i].x[0] + bins[i].x[1]) / 2, name: bins[i].name }).filter(Boolean);
  if (points.length < 2) return null;
  const rate = D.task !== "regression", format = rate ? (v) => percent(v) : num;
  return figure(rate ? `Share of ${D.target} = ${text(D.positive)}` : `Mean ${D.target}`, xy({ label: `${D.target} by ${c.name}`, height: 210, x: axisOf(c, bins), y: rate ? { format } : {},
    layers: [rate && { kind: "band", points: points.map((p) => [p.x, p.low, p.high]) }, { kind: "line", points: points.map((p) => [p.x, p.value]) }, { kind: "dots", points: points.map((p) => [p.x, p.value]), radius: 2.5 }].filter(Boolean),
    hover: points.map((p) => ({ x: p.x, title: p.name, lines: [format(p.value) + (rate ? ` [${percent(p.low)}, ${percent(p.high)}]` : ""), plural(p.rows, "row")] })) }));
}
// For each bin {value, low, high, rows}, null where there is no row; nothing with more than two classes.
function alongColumn(F, D) {
  if (D.task === "multiclass") return [];
  if (D.task === "regression") { const rows = sums(F.parts); return list(F.means).map((value, i) => (has(value) && rows[i] ? { value, rows: rows[i] } : null)); }
  return F.groups[1].map((hits, i) => { const rows = hits + F.groups[0][i]; return rows ? { value: hits / rows, ...wilson(hits, rows), rows } : null; });
}
function wilson(hits, rows) {
  const z = 1.96, share = hits / rows, middle = (share + (z * z) / (2 * rows)) / (1 + (z * z) / rows), half = (z / (1 + (z * z) / rows)) * Math.sqrt((share * (1 - share)) / rows + (z * z) / (4 * rows * rows));
  return { low: Math.max(0, middle - half), high: Math.min(1, middle + half) };
}

function categoryTable(c, D) {
  const F = c.found, names = F.kind === "boolean" ? ["false", "true"] : [...F.values.map(text), "all others"], rows = sums(F.parts), parts = F.parts.map(part), along = F.target ? [] : alongColumn(F, D);
  const groups = D.task === "multiclass" && !F.target ? F.groups : [];
  const kept = [...names, "(missing)"].map((name, i) => ({ name, i })).filter(({ i }) => rows[i] > 0);
  const told = (i) => (along[i] ? (D.task === "regression" ? num(along[i].value) : [percent(along[i].value), h("span", { class: "iv" }, ` [${percent(along[i].low)}, ${percent(along[i].high)}]`)]) : MISSING);
  const inside = (i) => { const all = groups.reduce((sum, counts) => sum + counts[i], 0); return groups.map((counts) => (all ? percent(counts[i] / all) : MISSING)); };
  return shareTable("Value", D.data.parts.map(([name]) => name), kept.map(({ name, i }) => ({ name, cells: parts.map((shares) => shares[i]), more: [num(rows[i]), ...(along.length ? [told(i)] : []), ...inside(i)] })),
    { colors: PART_COLORS, more: ["rows", ...(along.length ? [D.task === "regression" ? `mean ${D.target}` : `${D.target} = ${text(D.positive)}`] : []), ...(groups.length ? groupNames(D) : [])] });
}

// Texts and identifiers ------------------------------------------------------------------------------------
function textPictures(c, D) {
  const T = c.found.text, words = list(T.words), rate = D.task === "binary", note = (w) => (D.task === "multiclass" || c.name === D.target ? "" : rate ? percent(w[2]) : num(w[2]));
  return [
    words.length > 0 && figure("Words", [forest(words.map((w) => ({ label: w[0], value: w[1] / T.read, color: 2, text: percent(w[1] / T.read), note: note(w) })), { kind: "bar", limit: 10, notes: D.task !== "multiclass", tick: (v) => percent(v), format: (v) => percent(v), label: "Words" }),
      h("p", { class: "hint after" }, `The share of ${num(T.read)} texts that have the word${D.task === "multiclass" ? "" : rate ? `; at the right the share of them with ${D.target} = ${text(D.positive)}` : `; at the right their mean ${D.target}`}.`)]),
    someTexts(T),
  ];
}
const someTexts = (T) => list(T.texts).length > 0 && figure("Some of them", h("ul", { class: "texts" }, T.texts.map((said) => h("li", { dir: "auto" }, said))));
function identifierPictures(F) {
  const shapes = list(F.text.shapes);
  return [shapes.length > 0 && figure("Shapes", [forest(shapes.map(([name, n]) => ({ label: name, value: n / F.text.read, color: 2 })), { kind: "bar", format: (v) => percent(v), tick: (v) => percent(v), label: "Shapes" }), h("p", { class: "hint after" }, "Letters as A or a, digits as 9, runs as one.")]), someTexts(F.text)];
}

// The facts as pairs ---------------------------------------------------------------------------------------
function columnFacts(c, D) {
  const F = c.found, rows = [["Values", num(c.count)], ["Missing", `${num(c.missing)} (${percent(c.missing_share, 1)})`], ["Distinct", num(c.distinct)]];
  if (F && c.missing > 0) rows.push(["Missing by split", D.data.parts.map(([name, n], i) => `${name} ${percent(n ? F.parts[i].at(-1) / n : 0, 1)}`).join(", ")]);
  if (c.infinite) rows.push(["Infinite", num(c.infinite)]);
  if (has(c.min)) rows.push(["Range", typeof c.min === "string" ? `${day(c.min)} to ${day(c.max)}` : `${num(c.min)} to ${num(c.max)}`]);
  for (const [q, value] of Object.entries(c.quantiles || {}).sort((a, b) => a[0] - b[0])) rows.push([q === "0.5" ? "Median" : `${num(100 * q)}th percentile`, typeof value === "string" ? day(value) : num(value)]);
  if (c.length) rows.push(["Length", `${num(c.length.min)} to ${num(c.length.max)}, mean ${num(c.length.mean)}`]);
  return h("figure", null, h("figcaption", null, "Facts"), h("dl", { class: "kv" }, [...rows, ...(F ? furtherFacts(F, D) : [])].map(([k, v]) => [h("dt", null, k), h("dd", null, v)])));
}
function furtherFacts(F, D) {
  const rows = [], A = F.association, share = (side) => D.data.parts.map(([name, n], i) => `${name} ${percent(n ? F.beyond[i][side] / n : 0, 1)}`).join(", ");
  if (A) rows.push(["With target", `${fixed(A.value, 3)} ${interval(A, (v) => fixed(v, 2))}`]);
  if (has(F.told) && F.told >= 0.005) rows.push(["Doubt taken", `${percent(F.told)} of the doubt about ${D.target}`]);
  for (const [name, d] of D.data.parts.map(([name]) => [name, (F.drift || {})[name]]).filter(([, d]) => d)) rows.push([`Drift in ${name}`, `${fixed(d.distance, 3)}, by chance about ${fixed(d.chance, 3)}${has(d.p) ? `, p ${d.p < 0.001 ? "< 0.001" : "= " + fixed(d.p, 3)}` : D.splits.method === "time" ? ", as the split is by time" : ""}`]);
  if (F.beyond) rows.push([`Below ${num(F.fences[0])}`, share(0)], [`Above ${num(F.fences[1])}`, share(1)]);
  if (list(F.low).length) rows.push(["Lowest", F.low.map(num).join(", ")], ["Highest", F.high.map(num).join(", ")]);
  return rows;
}
