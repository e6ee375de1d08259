// How the model does under attack: a curve for each attack, what was required, some rows before and after.

function robustness(D) {
  const R = D.robustness, entries = Object.entries((R && R.attacks) || {});
  if (!entries.length) return null;
  const left = entries.filter(([, found]) => found.refused);
  return [required(R), ...entries.filter(([, found]) => !found.refused).map(([name, found]) => attacked(D, R, name, found)),
    left.length > 0 && card("Left out", null, h("ul", null, left.map(([name, found]) => h("li", null, `${word(name)}: ${found.refused}.`))))].filter(Boolean);
}

function required(R) {
  const gates = list(R.gates);
  if (!gates.length) return null;
  return card(R.passed ? "Every gate is kept" : "Not every gate is kept", null, sortable([
    { name: "Attack", cell: (g) => word(g.gate) }, { name: "Required", cell: (g) => g.required }, { name: "", cell: (g) => (g.passed ? "passed" : "failed") }, { name: "Why", wide: true, cell: (g) => g.why },
  ], gates, { label: "Gates of attacks" }));
}

function attacked(D, R, name, found) {
  const points = list(found.curve), drawn = points.filter((p) => has(p.budget)), share = points.every((p) => p.value >= 0 && p.value <= 1);
  const format = share ? (v) => percent(v, 1) : score, notes = list(found.notes), rest = [...new Set(points.flatMap((p) => Object.keys(p.more || {})))];
  const table = sortable([
    ...(drawn.length ? [{ name: "Budget", number: true, cell: (p) => (has(p.budget) ? num(p.budget) : MISSING), key: (p) => p.budget }] : []),
    { name: sentence(found.measure).slice(0, -1), number: true, cell: (p) => `${format(p.value)} ${interval(p, format)}`, key: (p) => p.value },
    ...rest.map((key) => ({ name: word(key), number: true, cell: (p) => (has((p.more || {})[key]) ? num(p.more[key]) : MISSING), key: (p) => (p.more || {})[key] })),
  ], points, { label: `${word(name)}: figures` });
  return card(`${word(name)}: ${found.measure}`, `${plural(found.rows, found.kind === "privacy" ? "row" : "test row")}, ${percent(R.confidence)} intervals.${found.unit ? ` Budget: ${found.unit}.` : ""}`,
    drawn.length > 1 && attackCurve(name, found, drawn, format, share), table, notes.length > 0 && h("ul", null, notes.map((note) => h("li", null, sentence(note)))), shownRows(list(found.samples)));
}

function attackCurve(name, found, points, format, share) {
  return xy({ label: `${word(name)}, ${found.measure}`, x: { label: found.unit || "budget" }, y: { domain: share ? [0, 1] : null, label: found.measure, format: share ? (v) => percent(v) : null },
    layers: [{ kind: "band", points: points.map((p) => [p.budget, p.low, p.high]) }, { kind: "line", points: points.map((p) => [p.budget, p.value]) }, { kind: "dots", points: points.map((p) => [p.budget, p.value]) }],
    hover: points.map((p) => ({ x: p.budget, title: `${format(p.value)} ${interval(p, format)}`, lines: [`at ${num(p.budget)}`] })) });
}

function shownRows(samples) {
  const pictures = samples.filter((one) => list(one.before).length && list(one.shape).length === 3), columns = samples.filter((one) => one.columns);
  return [pictures.length > 0 && more("Some that fell, before and after", h("div", { class: "grid" }, pictures.map((one) => h("figure", null, picture(one, one.before), picture(one, one.after), h("figcaption", null, `${text(one.true)} became ${text(one.answer)}, moved by ${num(one.budget)}`))))),
    columns.length > 0 && more("Some that fell", sortable([
      { name: "Was", cell: (one) => text(one.true) }, { name: "Became", cell: (one) => text(one.answer) },
      { name: "By", wide: true, cell: (one) => Object.entries(one.columns).map(([column, [from, to]]) => `${column}: ${num(from)} to ${num(to)}`).join(", ") },
    ], columns, { label: "Rows that fell" }))];
}
