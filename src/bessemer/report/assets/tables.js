// A table that sorts by a click on a column's head. columns: {name, cell(row), key(row), number}.
function sortable(columns, rows, options) {
  const limit = options.limit || rows.length;
  let order = options.order ?? null, down = options.down ?? true, all = false, shown = rows;
  const body = h("tbody");
  const key = (row, i) => { const value = columns[i].key ? columns[i].key(row) : columns[i].cell(row); return has(value) ? value : ""; };
  const heads = columns.map((column, i) => h("th", { class: column.number ? "n" : null, scope: "col" },
    column.name && h("button", { onclick: () => { down = order === i ? !down : Boolean(column.number); order = i; draw(); } }, column.name)));
  function draw() {
    heads.forEach((head, i) => (i === order ? head.setAttribute("aria-sort", down ? "descending" : "ascending") : head.removeAttribute("aria-sort")));
    const sorted = order === null ? shown : [...shown].sort((a, b) => {
      const u = key(a, order), v = key(b, order);
      if (u === "" || v === "") return u === v ? 0 : u === "" ? 1 : -1; // what is missing stands last either way
      const sign = typeof u === "number" && typeof v === "number" ? u - v : String(u).localeCompare(String(v), "en");
      return down ? -sign : sign;
    });
    body.replaceChildren(...(all ? sorted : sorted.slice(0, limit)).map((row) => {
      const line = h("tr", null, columns.map((column) => h("td", { class: [column.number && "n", column.wide && "wide", column.label && "label", column.some && "some"].filter(Boolean).join(" ") || null }, column.cell(row))));
      if (options.detail) options.detail(line, row, columns.length);
      return line;
    }));
  }
  draw();
  const table = scroller(options.label, h("table", { "aria-label": options.label }, h("thead", null, h("tr", null, heads)), body));
  const whole = expandable(table, rows.length, limit, () => { all = true; draw(); });
  whole.filter = (keep) => { shown = rows.filter(keep); draw(); };
  return whole;
}
