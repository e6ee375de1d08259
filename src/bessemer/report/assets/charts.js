// Charts: an x-y frame with layers (lines, bands, bars, dots), small histograms, and tables whose rows are plots.

function ticks(low, high, count) {
  const raw = (high - low) / Math.max(1, count);
  if (!(raw > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 2.5, 5, 10].find((m) => m * power >= raw * 0.999));
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(Number((i * step).toPrecision(12)));
  return found;
}
function short(values) {
  const step = values.length > 1 ? Math.abs(values[1] - values[0]) : 1;
  const digits = clamp(-Math.floor(Math.log10(step) + 1e-9), 0, 6);
  return (v) => (Math.abs(v) >= 1e4 ? v.toLocaleString("en-US", { notation: "compact", maximumFractionDigits: 1 }) : fixed(v, Number.isInteger(Number((step * 10 ** digits).toPrecision(6))) ? digits : digits + 1));
}
function extent(values, pad) {
  const known = values.filter(Number.isFinite);
  if (!known.length) return [0, 1];
  let low = Math.min(...known), high = Math.max(...known);
  if (low === high) { const around = Math.abs(low) * 0.05 || 0.5; low -= around; high += around; }
  const more = (high - low) * (pad || 0);
  return [low - more, high + more];
}
const scale = ([a, b], [c, d]) => (v) => c + ((v - a) / (b - a || 1)) * (d - c);

// A frame with axes. layers: {kind: line|band|bars|dots|whiskers|diagonal, points, color, name, dash}.
// line [x, y]; band [x, low, high]; bars [left, right, y]; dots [x, y]; whiskers [x, low, high].
function xy(options) {
  const { x, y, layers } = options;
  const label = options.label;
  return responsive((width) => {
    const height = options.height || Math.round(clamp(width * 0.62, 190, 300));
    const xd = x.domain || extent(layers.flatMap((l) => list(l.points).flatMap((p) => (l.kind === "bars" ? [p[0], p[1]] : [p[0]]))));
    const yd = y.domain || extent(layers.flatMap((l) => list(l.points).flatMap((p) => (l.kind === "bars" ? [0, p[2]] : p.slice(1)))), 0.06);
    if (!y.domain && layers.every((l) => l.kind === "bars")) yd[0] = 0;
    const yt = ticks(yd[0], yd[1], 5), yf = y.format || short(yt);
    const left = 14 + Math.max(...yt.map((t) => yf(t).length)) * 6.6 + (y.label ? 16 : 0);
    const box = { left, right: width - 12, top: 10, bottom: height - (x.label ? 42 : 24) };
    const xt = ticks(xd[0], xd[1], Math.max(2, Math.floor((box.right - box.left) / (x.sparse || 75)))), xf = x.format || short(xt);
    const sx = scale(xd, [box.left, box.right]), sy = scale(yd, [box.bottom, box.top]);
    const root = s("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": label },
      yt.map((t) => [s("line", { class: "g", x1: box.left, x2: box.right, y1: sy(t), y2: sy(t) }), s("text", { x: box.left - 7, y: sy(t) + 4, "text-anchor": "end" }, yf(t))]),
      xt.map((t) => s("text", { x: sx(t), y: box.bottom + 17, "text-anchor": "middle" }, xf(t))),
      s("line", { class: "ax", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }),
      x.label && s("text", { x: (box.left + box.right) / 2, y: height - 5, "text-anchor": "middle" }, x.label),
      y.label && s("text", { transform: `translate(11 ${(box.top + box.bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, y.label),
      yd[0] < 0 && yd[1] > 0 && s("line", { class: "zero", x1: box.left, x2: box.right, y1: sy(0), y2: sy(0) }),
      layers.map((layer) => marks(layer, sx, sy, xd, yd)));
    if (options.hover) crosshair(root, options.hover, sx, box, width, options);
    return root;
  });
}

function marks(layer, sx, sy, xd, yd) {
  const color = layer.color || 0, points = list(layer.points);
  if (layer.kind === "diagonal") {
    const low = Math.max(xd[0], yd[0]), high = Math.min(xd[1], yd[1]);
    return s("line", { class: "zero", x1: sx(low), y1: sy(low), x2: sx(high), y2: sy(high) });
  }
  if (layer.kind === "line") return s("path", { class: `line l${color}${layer.dash ? " dash" : ""}`, d: path(points, sx, sy) });
  if (layer.kind === "band") {
    const there = points.map((p) => [p[0], p[2]]), back = points.map((p) => [p[0], p[1]]).reverse();
    return s("path", { class: `band f${color}`, d: path(there.concat(back), sx, sy) + "Z" });
  }
  if (layer.kind === "whiskers") return points.map((p) => s("line", { class: `thin l${color}`, x1: sx(p[0]), x2: sx(p[0]), y1: sy(p[1]), y2: sy(p[2]) }));
  if (layer.kind === "dots") return points.map((p) => s("circle", { class: `f${color}${layer.faint ? " faint" : ""}`, cx: sx(p[0]), cy: sy(p[1]), r: layer.radius || 3.5 }));
  return points.map((p) => s("rect", { class: `f${color}${layer.faint ? " faint" : ""}`, x: sx(p[0]) + 0.5, width: Math.max(0.5, sx(p[1]) - sx(p[0]) - 1),
    y: sy(Math.max(0, p[2])), height: Math.abs(sy(0) - sy(p[2])) }));
}
const path = (points, sx, sy) => points.map((p, i) => `${i ? "L" : "M"}${sx(p[0]).toFixed(1)} ${sy(p[1]).toFixed(1)}`).join("");

// The nearest of `stops` [{x, title, lines}] follows the pointer, or the arrow keys.
function crosshair(root, stops, sx, box, width, options) {
  if (!stops.length) return;
  const guide = s("line", { class: "guide", y1: box.top, y2: box.bottom, visibility: "hidden" });
  let at = -1;
  const place = (index, clientX, clientY) => {
    at = clamp(index, 0, stops.length - 1);
    const stop = stops[at], x = sx(stop.x);
    guide.setAttribute("x1", x); guide.setAttribute("x2", x); guide.setAttribute("visibility", "visible");
    showTip(clientX, clientY, stop.title, stop.lines);
  };
  const leave = () => { guide.setAttribute("visibility", "hidden"); hideTip(); };
  root.append(guide, s("rect", { x: box.left, y: box.top, width: Math.max(1, box.right - box.left), height: box.bottom - box.top, fill: "transparent",
    onpointermove: (event) => {
      const frame = root.getBoundingClientRect(), x = ((event.clientX - frame.left) / frame.width) * width;
      let best = 0;
      stops.forEach((stop, i) => { if (Math.abs(sx(stop.x) - x) < Math.abs(sx(stops[best].x) - x)) best = i; });
      place(best, event.clientX, event.clientY);
    },
    onpointerleave: leave }));
  root.setAttribute("tabindex", "0");
  root.setAttribute("aria-label", options.label + ". Arrow keys read the values.");
  root.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const frame = root.getBoundingClientRect(), next = clamp(at + step, 0, stops.length - 1);
    place(next, frame.left + (sx(stops[next].x) / width) * frame.width, frame.top + 30);
  });
  root.addEventListener("blur", leave);
}

const legend = (entries) => h("div", { class: "legend" }, entries.map(([color, name]) => h("span", null, h("i", { class: "b" + color }), name)));

// A small histogram that fills its box; bars [left, right, count] in equal or unequal widths.
function spark(counts, big) {
  const top = Math.max(1, ...counts), n = Math.max(1, counts.length);
  return s("svg", { class: big ? "" : "spark", viewBox: `0 0 ${n} 1`, preserveAspectRatio: "none", "aria-hidden": "true" },
    counts.map((count, i) => s("rect", { class: "f2", x: i + 0.06, width: 0.88, y: 1 - count / top, height: count / top })));
}
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
    h("td", { class: "label", title: row.full || row.label }, row.mark || row.label),
    h("td", { class: "plot" }, plot(row)),
    !options.bare && h("td", { class: "n" }, h("span", null, row.text || format(row.value)), " ", has(row.low) && !options.brief && h("span", { class: "iv" }, interval(row, format))),
    options.notes && h("td", { class: "note" }, row.note)));
  const axis = h("tr", { class: "axis" }, h("td"), h("td", { class: "plot" }, h("div", { class: "ticks" }, marks.map((t) => h("span", { style: `left:${at(x(t))}` }, tick(t))))), !options.bare && h("td"), options.notes && h("td"));
  const body = h("tbody", null, draw(rows.slice(0, options.limit || rows.length)), axis);
  const table = h("div", { class: "scroll" }, h("table", { class: options.bare ? "forest plain bare" : "forest plain", "aria-label": options.label }, body));
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
  const color = (rank) => !has(rank) ? "var(--steel)" : rank < 0.5 ? `color-mix(in oklab, var(--steel-wash) ${Math.round(200 * rank)}%, var(--counter))` : `color-mix(in oklab, var(--accent) ${Math.round(200 * rank - 100)}%, var(--steel-wash))`;
  const line = (i) => {
    const used = new Map();
    return s("svg", { style: "height:34px", "aria-hidden": "true" }, s("line", { class: "zero", x1: at(x(0)), x2: at(x(0)), y1: 0, y2: 34 }),
      data.contributions[i].map((value, j) => {
        const slot = Math.round(x(value) * 110), n = used.get(slot) || 0;
        used.set(slot, n + 1);
        const lift = clamp(Math.ceil(n / 2) * (n % 2 ? 1 : -1) * 2.1, -14, 14);
        return s("circle", { cx: at(x(value)), cy: 17 + lift, r: 2.3, style: `fill:${color(data.ranks[i][j])}` });
      }));
  };
  return h("div", null, h("table", { class: "forest plain", "aria-label": "Contributions of single rows" }, h("tbody", null,
    data.groups.map((group, i) => h("tr", null, h("td", { class: "label", title: group }, group), h("td", { class: "plot wide" }, line(i)))),
    h("tr", { class: "axis" }, h("td"), h("td", { class: "plot" }, h("div", { class: "ticks" }, marks.map((t) => h("span", { style: `left:${at(x(t))}` }, tick(t)))))))),
    h("div", { class: "legend after" }, h("span", null, "low value", h("span", { class: "ramp" }), "high value"), h("span", null, "grey: category or missing")));
}

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
  const table = h("div", { class: "scroll" }, h("table", { "aria-label": options.label }, h("thead", null, h("tr", null, heads)), body));
  const whole = expandable(table, rows.length, limit, () => { all = true; draw(); });
  whole.filter = (keep) => { shown = rows.filter(keep); draw(); };
  return whole;
}
