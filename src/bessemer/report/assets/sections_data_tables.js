// Columns against each other: what goes together, what is missing together, what changed between the parts.

const MEASURES = { "true,true": "Spearman", "true,false": "correlation ratio", "false,true": "correlation ratio", "false,false": "Cramér's V" };
function dataAssociations(D) {
  const A = D.data.associations;
  if (!A || A.columns.length < 2) return null;
  const withTarget = A.columns.slice(1).filter((name) => A.target[name]);
  const rows = withTarget.map((name) => ({ label: name, mark: dataLink(name), ...A.target[name], color: 0 }));
  return [
    rows.length > 0 && card(`With ${D.target}`, `The closest first, with 95% intervals. ${plural(A.rows, "row")} spread evenly over the data.`, forest(rows, { zero: 0, include: [0], limit: 12, format: (v) => fixed(v, 2), label: `Association with ${D.target}` })),
    A.columns.length > 2 && card("With each other", `Two numbers: Spearman's correlation, from −1 to 1. A number and a category: the correlation ratio of its ranks. Two categories: Cramér's V. The last two are from 0 to 1 and corrected for the number of values. A number and a column of two values: 2 AUC − 1, which is 1 where the number tells the value.${A.left_out > 0 ? ` The ${A.columns.length - 1} columns that have most to do with the target; ${num(A.left_out)} more are left out.` : ""}`, associationMap(A, D)),
  ];
}
function associationMap(A, D) {
  const n = A.columns.length, longest = Math.min(18, Math.max(...A.columns.map((name) => name.length))), margin = 14 + 6.4 * longest;
  const cell = (i, j) => ({ title: `${A.columns[i]} and ${A.columns[j]}`, lines: i === j ? ["the same column"] : [`${has(A.matrix[i][j]) ? fixed(A.matrix[i][j], 2) : "unknown"} (${MEASURES[[A.numbers[i], A.numbers[j]]]})`] });
  const chart = responsive((room) => {
    const aside = 3.4 * longest, k = clamp((room - margin - aside) / n, 15, 34), width = margin + n * k + aside, top = 6 + 5.4 * longest, height = top + n * k + 4;
    const ring = s("rect", { class: "ring", width: k, height: k, visibility: "hidden" }), fill = (i, j) => (i === j ? "var(--grid)" : ramp(has(A.matrix[i][j]) ? (A.matrix[i][j] + 1) / 2 : null));
    const place = (i, j) => { ring.setAttribute("x", margin + j * k); ring.setAttribute("y", top + i * k); ring.setAttribute("visibility", "visible"); return cell(i, j); };
    const root = s("svg", { viewBox: `0 0 ${width} ${height}`, style: `width:${width}px;height:${height}px`, role: "img", tabindex: 0, "aria-label": `Associations of ${n} columns. Arrow keys read the values.` },
      A.columns.map((name, i) => [s("text", { x: margin - 7, y: top + (i + 0.5) * k + 4, "text-anchor": "end", class: i ? null : "strong" }, cut(name, 18)), s("text", { transform: `translate(${margin + (i + 0.5) * k + 3} ${top - 6}) rotate(-55)`, class: i ? null : "strong" }, cut(name, 18))]),
      A.columns.flatMap((_, i) => A.columns.map((_, j) => s("rect", { x: margin + j * k, y: top + i * k, width: k - 1, height: k - 1, rx: 2, style: `fill:${fill(i, j)}` }))),
      k >= 28 && A.columns.flatMap((_, i) => A.columns.map((_, j) => i !== j && has(A.matrix[i][j]) && Math.abs(A.matrix[i][j]) >= 0.005 && s("text", { class: Math.abs(A.matrix[i][j]) > 0.6 ? "on" : "in", x: margin + (j + 0.5) * k, y: top + (i + 0.5) * k + 4, "text-anchor": "middle" }, fixed(A.matrix[i][j], 2).replace(/^(−?)0/, "$1")))), ring);
    const spot = (event) => { const frame = root.getBoundingClientRect(), j = Math.floor((((event.clientX - frame.left) / frame.width) * width - margin) / k), i = Math.floor((((event.clientY - frame.top) / frame.height) * height - top) / k); return i >= 0 && j >= 0 && i < n && j < n ? [i, j] : null; };
    const leave = () => { ring.setAttribute("visibility", "hidden"); hideTip(); };
    root.addEventListener("pointermove", (event) => { const at = spot(event); if (!at) return leave(); const { title, lines } = place(...at); showTip(event.clientX, event.clientY, title, lines); });
    root.addEventListener("pointerleave", leave);
    read(root, n, n, (j, up) => { const i = n - 1 - up, found = place(i, j); say([found.title, ...found.lines].join(", ")); tipAt(root, (margin + (j + 0.5) * k) / width, (top + i * k) / height, found); }, leave);
    return root;
  });
  return h("div", null, scroller(`Associations with ${D.target} and of the columns`, chart), h("div", { class: "legend" }, h("span", null, "−1", h("span", { class: "ramp" }), "1")));
}

// Missing --------------------------------------------------------------------------------------------------
function dataMissing(D) {
  const M = D.data.missing, columns = list(D.data.columns).filter((c) => c.found && c.missing > 0).sort((a, b) => b.missing - a.missing);
  if (!columns.length) return null;
  return [
    card("By column and split", null, expandableShares(columns.map((c) => ({ name: c.name, cells: c.found.parts.map((counts, i) => { const n = D.data.parts[i][1]; return n ? counts.at(-1) / n : 0; }), more: missingTarget(c, D) })), D)),
    M && M.patterns.length > 1 && card("Together", `Which columns are missing in the same rows, of ${plural(M.rows, "row")}${M.left_out > 0 ? ` and the ${M.columns.length} columns that are missing most` : ""}.`, patternTable(M)),
  ];
}
// What the target does where the column is missing, and where it is not.
function missingTarget(c, D) {
  if (D.task === "multiclass" || c.found.target) return [MISSING, MISSING];
  const along = alongColumn(c.found, D), lost = along.at(-1), known = along.slice(0, -1).filter(Boolean), rows = known.reduce((sum, p) => sum + p.rows, 0);
  const format = D.task === "regression" ? num : (v) => percent(v, 1);
  return [lost ? format(lost.value) : MISSING, rows ? format(known.reduce((sum, p) => sum + p.value * p.rows, 0) / rows) : MISSING];
}
function expandableShares(rows, D) {
  const said = D.task === "regression" ? `mean ${D.target}` : `${D.target} = ${text(D.positive)}`, more = D.task === "multiclass" ? [] : [`${said} where missing`, "where known"];
  const draw = (shown) => shareTable("Column", D.data.parts.map(([name]) => name), shown.map((row) => ({ ...row, more: row.more.slice(0, more.length) })), { colors: PART_COLORS, more });
  const host = h("div", null, draw(rows.slice(0, 15)));
  return expandable(host, rows.length, 15, () => host.replaceChildren(draw(rows)));
}
function patternTable(M) {
  const used = M.columns.map((name, i) => ({ name, i })).filter(({ i }) => M.patterns.some(([places]) => places.includes(i)));
  const said = (places) => (places.length ? `missing: ${places.map((i) => M.columns[i]).join(", ")}` : "nothing missing");
  return [scroller("Patterns of missing values", h("table", { class: "patterns" },
    h("thead", null, h("tr", null, used.map(({ name }) => h("th", { scope: "col", title: name }, h("span", { dir: "auto" }, cut(name, 18)))), h("th", { class: "n", scope: "col" }, "Rows"))),
    h("tbody", null, M.patterns.map(([places, rows]) => h("tr", null, used.map(({ i }) => h("td", { "aria-label": places.includes(i) ? "missing" : "known" }, h("i", { class: places.includes(i) ? "hole" : "there", "aria-hidden": "true" }))),
      h("td", { class: "n", title: said(places) }, `${num(rows)} `, h("span", { class: "iv" }, percent(rows / M.rows, 1)))))))),
  h("div", { class: "legend patterns" }, h("span", null, h("i", { class: "hole" }), "missing"), h("span", null, h("i", { class: "there" }), "known"), M.others > 0 && h("span", null, `${plural(M.others, "row")} in rarer patterns`))];
}

// Drift ----------------------------------------------------------------------------------------------------
function dataDrift(D) {
  const rows = list(D.data.columns).flatMap((c) => Object.entries((c.found && c.found.drift) || {}).map(([name, d]) => ({ column: c.name, kind: kindOf(c), part: name, ...d }))).filter((r) => has(r.p) || D.splits.method !== "time");
  if (!rows.length) return null;
  const sure = (r) => has(r.p) && r.p < 0.01;
  rows.sort((a, b) => b.distance - a.distance);
  return card("Valid and test against train", "Jensen-Shannon distance: 0 is the same, 1 has nothing in common. The chi-square test's p is corrected over all columns and parts (Benjamini and Hochberg): with very many rows small changes are sure too, so look at the distance.", sortable([
    { name: "Column", label: true, cell: (r) => dataLink(r.column), key: (r) => r.column }, { name: "Kind", cell: (r) => r.kind }, { name: "Part", cell: (r) => r.part },
    { name: "Distance", number: true, cell: (r) => (r.distance >= 0.1 && sure(r) ? h("strong", null, fixed(r.distance, 3)) : fixed(r.distance, 3)), key: (r) => r.distance },
    { name: "By chance", number: true, cell: (r) => fixed(r.chance, 3), key: (r) => r.chance },
    { name: "p", number: true, cell: (r) => (!has(r.p) ? MISSING : r.p < 0.001 ? "< 0.001" : fixed(r.p, 3)), key: (r) => r.p },
    { name: "", wide: true, cell: (r) => (sure(r) ? (r.distance >= 0.1 ? "changed" : "sure, but small") : "") },
  ], rows, { label: "Drift", limit: 15 }));
}
