// A surface over two columns as a heat map, read with the pointer or the arrow keys, and the colours of a scale from low to high.

const ramp = (share) => (!has(share) ? "var(--steel)" : share < 0.5 ? `color-mix(in oklab, var(--steel-wash) ${Math.round(200 * share)}%, var(--counter))` : `color-mix(in oklab, var(--accent) ${Math.round(200 * share - 100)}%, var(--steel-wash))`);

// surface: {columns: [a, b], x: values of a, y: values of b, z: [[score for each y] for each x], rows?: [[rows in the cell]]}
function heatMap(surface, { label, format = score }) {
  const { columns: [a, b], x, y, z, rows } = surface, [low, high] = extent(z.flat().filter(has));
  const cell = (i, j) => ({ title: `${a} = ${text(x[i])}, ${b} = ${text(y[j])}`, lines: [format(z[i][j]), rows && plural(rows[i][j], "row")].filter(Boolean) });
  const chart = responsive((width) => {
    const names = y.map(text), left = clamp(8 + 6.6 * Math.max(...names.map((name) => Math.min(name.length, 16))), 30, width * 0.32), box = { left, right: width - 6, top: 6, bottom: 262 };
    const w = (box.right - box.left) / x.length, k = (box.bottom - box.top) / y.length, every = Math.ceil(x.length / Math.max(1, Math.floor((box.right - box.left) / 62)));
    const place = (i, j) => ({ x: box.left + i * w, y: box.bottom - (j + 1) * k });
    const ring = s("rect", { class: "ring", width: Math.max(2, w), height: Math.max(2, k), visibility: "hidden" });
    const root = s("svg", { viewBox: `0 0 ${width} 306`, height: 306, role: "img", tabindex: 0, "aria-label": `${label}. Arrow keys read the values.` },
      z.flatMap((line, i) => line.map((value, j) => s("rect", { ...place(i, j), width: w + 0.4, height: k + 0.4, style: `fill:${ramp(has(value) ? (value - low) / (high - low || 1) : null)}`, ...tipped(cell(i, j).title, cell(i, j).lines) }))),
      x.map((value, i) => i % every === 0 && s("text", { x: place(i, 0).x + w / 2, y: 280, "text-anchor": "middle" }, cut(text(value), 12))),
      names.map((name, j) => (j % Math.ceil(names.length / 14) === 0) && s("text", { x: box.left - 6, y: place(0, j).y + k / 2 + 4, "text-anchor": "end" }, cut(name, 16))),
      s("text", { x: (box.left + box.right) / 2, y: 301, "text-anchor": "middle" }, a), ring);
    read(root, x.length, y.length, (i, j) => { const at = place(i, j); ring.setAttribute("x", at.x); ring.setAttribute("y", at.y); ring.setAttribute("visibility", "visible"); say([cell(i, j).title, ...cell(i, j).lines].join(", ")); tipAt(root, at.x / width, at.y / 306, cell(i, j)); }, () => { ring.setAttribute("visibility", "hidden"); hideTip(); });
    return root;
  });
  return h("div", null, h("p", { class: "hint" }, "upwards: ", b), chart, h("div", { class: "legend" }, h("span", null, format(low), h("span", { class: "ramp" }), format(high))));
}
const cut = (said, most) => (said.length > most ? said.slice(0, most - 1) + "…" : said);

// Arrow keys go from cell to cell of a grid.
function read(root, wide, tall, enter, leave) {
  let i = -1, j = 0;
  root.addEventListener("keydown", (event) => {
    const step = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!step) return;
    event.preventDefault();
    i = clamp(i < 0 ? 0 : i + step[0], 0, wide - 1);
    j = clamp(j + step[1], 0, tall - 1);
    enter(i, j);
  });
  root.addEventListener("blur", leave);
}
function tipAt(root, x, y, { title, lines }) {
  const frame = root.getBoundingClientRect();
  showTip(frame.left + x * frame.width, frame.top + y * frame.height, title, lines);
}
