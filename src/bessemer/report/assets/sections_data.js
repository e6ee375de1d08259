// The data: how many rows, what to look at first, every column, what broke the contract.

function data(D) {
  const F = D.data, Q = F.quarantine, L = D.labelled;
  return [
    h("dl", { class: "facts" },
      fact("Rows", num(F.rows)), fact("Columns", num(list(F.columns).length + F.left_out)),
      fact("Contract", F.contract ? plural(F.contract.rules, "rule") : MISSING, F.contract && (F.contract.inferred ? "inferred from this data" : "from the project")),
      fact("Set aside", Q ? plural(Q.rows, "row") : MISSING, Q && (Q.rows ? "broke the contract" : "every row keeps the contract")),
      L && L.unlabelled > 0 && fact("Without a target", plural(L.unlabelled, "row")),
      fact("Split", D.splits.method ? word(D.splits.method) : MISSING, list(F.parts).map(([part, n]) => `${part} ${num(n)}`).join(", "))),
    dataNotes(F), targetCard(D),
  ];
}

const NOTES = { proxy: "Too good", drift: "Changed", same: "Twice", constant: "Constant", missing: "Missing", identifier: "Identifier", gaps: "Gaps" };
function dataNotes(F) {
  const notes = list(F.notes);
  if (!notes.length) return null;
  const line = (note) => h("li", null, h("span", { class: note.kind === "proxy" ? "badge bad" : "badge quiet" }, NOTES[note.kind]), h("span", null, dataLink(note.column), " ", note.text));
  const host = h("ul", { class: "notes" }, notes.slice(0, 8).map(line));
  return card("Worth a look", null, expandable(host, notes.length, 8, () => host.replaceChildren(...notes.map(line))),
    F.notes_left_out > 0 && h("p", { class: "hint after" }, `and ${num(F.notes_left_out)} more of these kinds; the columns below say which`));
}
const dataLink = (name) => h("a", { href: "#data-column=" + encodeURIComponent(name), dir: "auto" }, name);

// A class as its words: the groups of rows by target.
const groupNames = (D) => D.data.target.groups.map((name) => (typeof D.classes[0] === "boolean" ? name.toLowerCase() : name));
const part = (counts) => { const all = counts.reduce((a, b) => a + b, 0); return counts.map((n) => (all ? n / all : 0)); };
const sums = (table) => table[0].map((_, i) => table.reduce((all, row) => all + row[i], 0));

function targetCard(D) {
  const F = D.data, names = groupNames(D);
  if (!names.length || D.task === "regression") return null;
  const parts = F.target.counts.map(part), whole = part(sums(F.target.counts));
  return card(`Target: ${D.target}`, "The share of each class, in all rows and in each part of the split.", shareTable("Class", ["all", ...F.parts.map(([name]) => name)],
    names.map((name, i) => ({ name, cells: [whole, ...parts].map((shares) => shares[i]) })), { colors: [2, 2, 1, 0] }));
}

// A table of shares, each with a bar behind it. rows: {name, cells: [share], more: [text]}.
function shareTable(first, heads, rows, options) {
  const { colors = [], more = [] } = options || {}, top = Math.max(1e-9, ...rows.flatMap((row) => row.cells));
  const bar = (share, i) => h("td", { class: "n share" }, h("i", { class: `c${colors[i] ?? 2}`, style: `width:${((100 * share) / top).toFixed(1)}%` }), h("span", null, percent(share)));
  return scroller(first, h("table", { class: "shares" },
    h("thead", null, h("tr", null, h("th", { scope: "col" }, first), heads.concat(more).map((name) => h("th", { scope: "col", class: "n", dir: "auto" }, name)))),
    h("tbody", null, rows.map((row) => h("tr", null, h("th", { scope: "row", class: "label", title: row.name, dir: "auto" }, row.name), row.cells.map(bar), list(row.more).map((said) => h("td", { class: "n" }, said)))))));
}

// Every column ---------------------------------------------------------------------------------------------
const DATA_TYPES = { BOOLEAN: "boolean", BIGINT: "integer", DOUBLE: "number", VARCHAR: "text", TIMESTAMP: "time" };
const kindOf = (c) => (c.found ? c.found.kind : DATA_TYPES[c.dtype] || String(c.dtype || "").toLowerCase());
const drifted = (c) => { const all = Object.values((c.found && c.found.drift) || {}).filter((d) => has(d.p)); return all.length ? Math.max(...all.map((d) => d.distance)) : null; };
const farOut = (c) => { const B = c.found && c.found.beyond; return B && c.count ? B.flat().reduce((a, b) => a + b, 0) / c.count : null; };

function dataColumns(D) {
  const columns = list(D.data.columns);
  if (!columns.length) return null;
  const kinds = [...new Set(columns.map(kindOf))].sort();
  const filter = h("input", { class: "filter", type: "search", placeholder: "Search columns", "aria-label": "Search columns", oninput: keep });
  const kind = h("select", { class: "filter", "aria-label": "Kind of column", onchange: keep }, h("option", { value: "" }, "every kind"), kinds.map((name) => h("option", { value: name }, name)));
  const lines = new Map();
  const table = sortable([
    { name: "Column", label: true, cell: (c) => [h("button", { class: "expander", "aria-expanded": "false", title: c.name, dir: "auto" }, c.name), c.name === D.target && h("span", { class: "iv" }, " target"), c.input === false && c.name !== D.target && h("span", { class: "iv" }, " not used")], key: (c) => c.name },
    { name: "Kind", cell: kindOf },
    { name: "Missing", number: true, cell: (c) => percent(c.missing_share), key: (c) => c.missing_share },
    { name: "Distinct", number: true, cell: (c) => num(c.distinct), key: (c) => c.distinct },
    { name: "Typical", wide: true, cell: typical, key: (c) => (has(c.mean) ? c.mean : "") },
    { name: "", cell: columnSpark, key: () => "" },
    { name: "With target", number: true, cell: (c) => (c.found && c.found.association ? fixed(c.found.association.value, 2) : ""), key: (c) => c.found && c.found.association && Math.abs(c.found.association.value) },
    { name: "Drift", number: true, cell: (c) => (has(drifted(c)) ? fixed(drifted(c), 2) : ""), key: drifted },
    { name: "Far out", number: true, cell: (c) => (has(farOut(c)) ? percent(farOut(c)) : ""), key: farOut },
  ], columns, { label: "Columns", limit: 60, detail: (line, c, width) => { lines.set(c.name, line); columnDetail(line, c, width, D); } });
  function keep() { table.filter((c) => c.name.toLowerCase().includes(filter.value.toLowerCase()) && (!kind.value || kindOf(c) === kind.value)); }
  OPENERS["data-column"] = (name) => {
    if (!table.isConnected || !columns.some((c) => c.name === name)) return "data-columns";
    const seen = () => lines.has(name) && lines.get(name).isConnected;
    if (!seen()) { filter.value = kind.value = ""; keep(); }
    if (!seen()) { filter.value = name; keep(); }
    const line = lines.get(name), button = line && line.querySelector(".expander");
    if (button && button.getAttribute("aria-expanded") === "false") button.click();
    if (line) setTimeout(() => { redraw(line.nextSibling || line); line.scrollIntoView({ block: "start" }); button.focus({ preventScroll: true }); });
    return "data-columns";
  };
  return [
    h("div", { class: "card" }, h("div", { class: "bar" }, filter, kind), table,
      D.data.left_out > 0 && h("p", { class: "hint after" }, `and ${plural(D.data.left_out, "column")} more, in the run's statistics.json`)),
    h("p", { class: "hint after" }, `With target: Spearman's correlation, correlation ratio or Cramér's V. Drift: the greater Jensen-Shannon distance of valid and test from train. Far out: beyond three interquartile ranges.${sampleWords(D)}`),
  ];
}
const sampleWords = (D) => (D.data.sample && !D.data.sample.whole ? ` Counts are of all rows; bins, words and associations come from ${num(D.data.sample.rows)} rows spread evenly over them.` : "");

function typical(c) {
  if (has(c.mean)) return `${num(c.mean)} ± ${num(c.std)}`;
  const values = list(c.found && c.found.values), top = list(c.top)[0];
  if (values.length) return h("span", { dir: "auto" }, text(values[0]), h("span", { class: "iv" }, ` in ${percent(sums(c.found.parts)[0] / (c.count || 1))}`));
  if (top) return h("span", { dir: "auto" }, text(top[0]), h("span", { class: "iv" }, ` in ${percent(top[1] / (c.count || 1))}`));
  if (c.found && list(c.found.images).length) return h("span", { class: "photos brief" }, c.found.images.slice(0, 6).map(([image, value]) => photo(image, text(value))));
  if (c.length && has(c.length.mean)) return h("span", { class: "iv" }, `${num(c.length.mean)} characters on average`);
  if (c.found && c.found.kind === "boolean" && c.count) return h("span", null, "true", h("span", { class: "iv" }, ` in ${percent(sums(c.found.parts)[1] / c.count)}`));
  return has(c.min) ? `${day(c.min)} to ${day(c.max)}` : MISSING;
}
function columnSpark(c) {
  if (!c.found) return c.histogram && list(c.histogram.counts).length ? spark(c.histogram.counts) : null;
  const counts = sums(c.found.parts).slice(0, -1);
  return c.found.kind === "identifier" || c.found.kind === "image" || !counts.some(Boolean) ? null : spark(counts);
}

// What broke the contract ----------------------------------------------------------------------------------
function dataBroken(D) {
  const broken = list(D.data.violations);
  if (!broken.length) return null;
  const values = (r) => h("span", { class: "values" }, list(r.values).map(([value, n]) => h("span", { class: "value", dir: "auto" }, text(value), n > 1 && h("small", null, ` ×${num(n)}`))));
  return card("By rule", "A row can break several. Beside each rule are values that broke it, the commonest first.", sortable([
    { name: "Column", label: true, cell: (r) => dataLink(r.column), key: (r) => r.column }, { name: "Rule", cell: (r) => r.rule },
    { name: "Rows", number: true, cell: (r) => num(r.rows), key: (r) => r.rows },
    D.data.samples > 0 && { name: "Values", wide: true, cell: values, key: () => "" },
  ].filter(Boolean), broken, { label: "Rows set aside", limit: 20 }));
}
