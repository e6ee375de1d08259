// Tables whose rows are plots on one shared scale, and single rows as dots.

const at = (share) => (100 * clamp(share, -0.02, 1.02)).toFixed(2) + "%";

// A table whose rows are plots on one shared scale.
// rows: {label, value, low, high, from, note, tip, strong, color}; kind: dot | bar | span (a bar from `from` to `value`).
function forest(rows, options) {
  const { kind = "dot", format = score } = options;
  const values = rows.flatMap((r) => [r.value, r.low, r.high, r.from]).filter(Number.isFinite);
  if (kind === "bar") values.push(0);
  values.push(...list(options.include));
  const domain = options.domain || extent(values, 0.05);
  if (kind === "bar" && Math.min(...values) === 0) domain[0] = 0;
  const x = scale(domain, [0, 1]), marks = ticks(domain[0], domain[1], 4), tick = options.tick || short(marks);
  const lines = (row) => [row.tip, has(row.value) && format(row.value) + " " + interval(row, format)].flat().filter(Boolean);
  const plot = (row) => s("svg", { "aria-hidden": "true", ...tipped(row.full || row.label, lines(row)) },
    s("rect", { width: "100%", height: "100%", fill: "transparent" }),
    marks.map((t) => s("line", { class: "g", x1: at(x(t)), x2: at(x(t)), y1: 0, y2: 26 })),
    has(options.zero) && x(options.zero) >= 0 && x(options.zero) <= 1 && s("line", { class: "zero", x1: at(x(options.zero)), x2: at(x(options.zero)), y1: 0, y2: 26 }),
    has(row.value) && shape(row, kind, x));
  const draw = (shown) => shown.map((row) => h("tr", null,
    h("th", { scope: "row", class: "label", title: row.full || row.label, dir: "auto" }, row.mark || row.label),
    h("td", { class: "plot" }, plot(row)),
    !options.bare && h("td", { class: "n" }, h("span", null, row.text || format(row.value)), " ", has(row.low) && !options.brief && h("span", { class: "iv" }, interval(row, format))),
    options.notes && h("td", { class: "note" }, row.note)));
  const axis = h("tr", { class: "axis", "aria-hidden": "true" }, h("td"), h("td", { class: "plot" }, h("div", { class: "ticks" }, marks.map((t) => h("span", { style: `left:${at(x(t))}` }, tick(t))))), !options.bare && h("td"), options.notes && h("td"));
  const body = h("tbody", null, draw(rows.slice(0, options.limit || rows.length)), axis);
  const table = scroller(options.label, h("table", { class: options.bare ? "forest plain bare" : "forest plain", "aria-label": options.label }, body));
  return expandable(table, rows.length, options.limit, () => body.replaceChildren(...draw(rows), axis));
}

function shape(row, kind, x) {
  const color = has(row.color) ? row.color : row.strong === false ? 2 : 0;
  const whisker = (name) => has(row.low) && has(row.high) && s("line", { class: name, x1: at(x(row.low)), x2: at(x(row.high)), y1: 13, y2: 13 });
  if (kind === "dot") return [whisker(`whisk l${color}`), s("circle", { class: `f${color}`, cx: at(x(row.value)), cy: 13, r: 4.5 })];
  if (row.from === row.value) return s("circle", { class: `f${color}`, cx: at(x(row.value)), cy: 13, r: 4.5 });
  const from = clamp(x(has(row.from) ? row.from : 0), 0, 1), to = clamp(x(row.value), 0, 1);
  return [s("rect", { class: `f${color}`, x: at(Math.min(from, to)), width: at(Math.max(Math.abs(to - from), 0.002)), y: 6, height: 14, rx: 2 }), whisker("thin l3")];
}

function expandable(node, total, limit, all) {
  if (!limit || total <= limit) return node;
  const more = h("button", { class: "more", onclick: () => { all(); more.remove(); } }, `Show all ${num(total)}`);
  return h("div", null, node, more);
}

// Single rows as dots, one line a group, coloured from low to high value.
function beeswarm(data) {
  const all = data.contributions.flat(), domain = extent(all, 0.04), x = scale(domain, [0, 1]), marks = ticks(domain[0], domain[1], 5), tick = short(marks);
  const line = (i) => {
    const used = new Map();
    return s("svg", { style: "height:34px", "aria-hidden": "true" }, s("line", { class: "zero", x1: at(x(0)), x2: at(x(0)), y1: 0, y2: 34 }),
      data.contributions[i].map((value, j) => {
        const slot = Math.round(x(value) * 110), n = used.get(slot) || 0;
        used.set(slot, n + 1);
        const lift = clamp(Math.ceil(n / 2) * (n % 2 ? 1 : -1) * 2.1, -14, 14);
        return s("circle", { cx: at(x(value)), cy: 17 + lift, r: 2.3, style: `fill:${ramp(data.ranks[i][j])}` });
      }));
  };
  return h("div", null, h("table", { class: "forest plain", "aria-label": "Contributions of single rows" }, h("tbody", null,
    data.groups.map((group, i) => h("tr", null, h("th", { scope: "row", class: "label", title: group, dir: "auto" }, group), h("td", { class: "plot wide" }, line(i)))),
    h("tr", { class: "axis", "aria-hidden": "true" }, h("td"), h("td", { class: "plot" }, h("div", { class: "ticks" }, marks.map((t) => h("span", { style: `left:${at(x(t))}` }, tick(t)))))))),
    h("div", { class: "legend after" }, h("span", null, "low value", h("span", { class: "ramp" }), "high value"), h("span", null, "grey: category or missing")));
}
