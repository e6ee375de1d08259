// What sets two groups of test rows apart: a weak slice and the rest, or the rows that one of two models gets right.

function apart(D) {
  const found = list(D.evaluation.comparisons).filter((one) => list(one.columns).length || list(one.contributions).length);
  if (!found.length) return null;
  const host = h("div"), name = (one) => `${one.a.text} (${plural(one.a.rows, "row")}) and ${one.b.text} (${num(one.b.rows)})`;
  const choice = h("select", { class: "filter long", "aria-label": "Groups of rows to compare", onchange: draw }, found.map((one, i) => h("option", { value: i }, name(one))));
  function draw() { host.replaceChildren(...comparison(D, found[Number(choice.value)])); redraw(host); }
  draw();
  return [h("div", { class: "bar" }, choice), host];
}
function comparison(D, one) {
  const columns = list(one.columns), moved = list(one.contributions), view = h("div");
  const choice = h("select", { class: "filter", "aria-label": "Column", onchange: draw }, columns.map((column, i) => h("option", { value: i }, column.column)));
  function draw() {
    const column = columns[Number(choice.value)];
    view.replaceChildren(forest(column.levels.flatMap((level, i) => [{ label: level, value: column.a[i], color: 0, full: `${level}, ${one.a.text}` }, { label: "", full: `${level}, ${one.b.text}`, value: column.b[i], color: 1 }]),
      { kind: "bar", zero: 0, format: (v) => percent(v), tick: (v) => percent(v), limit: 24, label: `${column.column} in both groups` }));
  }
  if (columns.length) { choice.value = Math.max(0, columns.findIndex((column) => !column.defines)); draw(); }
  const distances = (rows, key, says) => forest(rows.map((row) => ({ label: row[key], mark: columnLink(D, row[key]), value: row.distance, color: row.defines ? 2 : 0, tip: says(row), note: `p ${pValue(row.p_adjusted)}` })), { kind: "bar", zero: 0, limit: 8, notes: true, label: "Distances" });
  return [h("div", { class: "grid" },
    columns.length > 0 && card("How different their values are", "Jensen-Shannon distance, 0 to 1; grey columns define the groups.", distances(columns, "column", (row) => (row.defines ? "defines the groups" : ""))),
    moved.length > 0 && card("How different the reasons are", "Distance of what each column adds to the score.", distances(moved, "group", (row) => `mean ${signed(row.mean_a)} and ${signed(row.mean_b)}`))),
  columns.length > 0 && h("div", { class: "spaced" }, card("A column in both", null, h("div", { class: "bar" }, choice), view, legend([[0, one.a.text], [1, one.b.text]])))].filter(Boolean);
}
