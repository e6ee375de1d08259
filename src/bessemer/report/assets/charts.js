// Charts: an x-y frame with layers (lines, bands, bars, dots) that is read with the pointer or the arrow keys.

function ticks(low, high, count) {
  const raw = (high - low) / Math.max(1, count);
  if (!(raw > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * ([1, 2, 2.5, 5, 10].find((m) => m * power >= raw * 0.999));
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(Number((i * step).toPrecision(12)));
  return found;
}
// The decimals by which neighbours that are a step apart differ where thousands, millions... are left out.
const compactDigits = (v, step) => Math.ceil(Math.log10(1000 ** Math.min(4, Math.floor(Math.log10(Math.abs(v)) / 3)) / step) - 1e-9);
function short(values) {
  const step = values.length > 1 ? Math.abs(values[1] - values[0]) : 1;
  const digits = clamp(-Math.floor(Math.log10(step) + 1e-9), 0, 6);
  return (v) => (Math.abs(v) >= 1e4 ? v.toLocaleString("en-US", { notation: "compact", maximumFractionDigits: clamp(compactDigits(v, step), 1, 9) }) : fixed(v, Number.isInteger(Number((step * 10 ** digits).toPrecision(6))) ? digits : digits + 1));
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
    const xt = (x.ticks || ticks)(xd[0], xd[1], Math.max(2, Math.floor((box.right - box.left) / (x.sparse || 75)))), xf = x.format || short(xt);
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
  if (layer.kind !== "diagonal" && !points.length) return null;
  if (layer.kind === "diagonal") {
    const low = Math.max(xd[0], yd[0]), high = Math.min(xd[1], yd[1]);
    return s("line", { class: "zero", x1: sx(low), y1: sy(low), x2: sx(high), y2: sy(high) });
  }
  if (layer.kind === "line") return s("path", { class: `line l${color}${layer.dash ? " dash" : ""}${layer.faint ? " faint" : ""}${layer.thin ? " thin" : ""}`, d: path(points, sx, sy) });
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
    say([stops[next].title, ...stops[next].lines].join(", "));
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
