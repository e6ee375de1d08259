// Where the model is worse than elsewhere: parts that were searched for, and parts that were asked for.

function weakSlices(D) {
  const W = D.evaluation.weak_slices;
  if (!W) return null;
  const found = list(W.found), sure = found.filter((part) => part.confirmed), loss = within(W.loss || "loss");
  const left = W.left_out || {}, skipped = list(left.columns);
  const parts = [has(W.searched) && `${num(W.searched)} parts of the test rows were looked at, over ${plural(list(W.columns).length, "column")}.`, W.method && `Method: ${W.method}.`,
    skipped.length > 0 && `Left out: ${cut(skipped.join(", "), 200)}.`, left.rows > 0 && `${plural(left.rows, "row")} were not looked at.`, W.why && `${sentence(W.why)}`];
  return card(sure.length ? `${plural(sure.length, "part")} where it is worse` : "No part is known to be worse",
    sure.length ? `Found on one half of the test rows, confirmed on the other: the ${loss} of a row is higher there than elsewhere.` : found.length ? "These look worse, but so few rows can be chance." : "",
    found.length > 0 && sortable([
      { name: "Where", wide: true, cell: (r) => h("span", { dir: "auto" }, r.text), key: (r) => r.text },
      { name: "Rows", number: true, cell: (r) => [num(r.rows), h("span", { class: "iv" }, ` ${percent(r.share)}`)], key: (r) => r.rows },
      { name: word(W.loss), number: true, cell: (r) => score(r.loss), key: (r) => r.loss },
      { name: "Elsewhere", number: true, cell: (r) => score(r.loss_elsewhere), key: (r) => r.loss_elsewhere },
      { name: "Difference", number: true, cell: (r) => [signed(has(r.difference) ? r.difference : r.loss - r.loss_elsewhere), " ", h("span", { class: "iv" }, interval(r, signed))], key: (r) => r.difference },
      W.metric && W.metric !== W.loss && { name: word(W.metric), number: true, cell: (r) => [score(r.metric), h("span", { class: "iv" }, ` elsewhere ${score(r.metric_elsewhere)}`)], key: (r) => r.metric },
      { name: "p", number: true, cell: (r) => pValue(r.p_adjusted), key: (r) => r.p_adjusted },
      { name: "How sure", some: true, cell: (r) => (r.confirmed ? "confirmed" : has(r.rows_needed) ? (r.rows_needed > 0 ? `${num(r.rows_needed)} more rows would tell` : "not sure") : "not worse on the other half"), key: (r) => (r.confirmed ? 0 : r.rows_needed || 1) },
    ].filter(Boolean), found, { label: "Weak slices", limit: 20 }),
    h("p", { class: "stated" }, parts.filter(Boolean).map((part) => h("span", null, part))));
}

function slices(D) {
  const E = D.evaluation, found = Object.entries(E.slices || {}).filter(([, rows]) => list(rows).length);
  if (!found.length) return null;
  const whole = E.metrics[E.metric] || {};
  const more = E.slices_left_out > 0 && h("p", { class: "hint" }, `The worst and the largest values of each column; ${num(E.slices_left_out)} more are in the run's evaluation.json.`);
  return [more, found.map(([column, rows]) => {
    const shown = rows.map((r) => ({ label: text(r.value), full: `${column} = ${text(r.value)}`, ...((r.metrics || {})[E.metric] || {}), note: plural(r.rows, "row"), rows: r.rows, mark: text(r.value), text: r.metrics && r.metrics[E.metric] && has(r.metrics[E.metric].value) ? null : "too few rows" }));
    return slice(column, shown, whole, E);
  })];
}
function slice(column, rows, whole, E) {
  const host = h("div"), orders = { Rows: (r) => -r.rows, Worst: (r) => (has(r.value) ? (whole.greater_is_better === false ? -r.value : r.value) : Infinity), Name: (r) => r.label };
  const buttons = Object.entries(orders).map(([name, key]) => h("button", { class: "pill", onclick: () => show(name, key) }, name));
  function show(name, key) {
    buttons.forEach((b) => b.setAttribute("aria-pressed", String(b.textContent === name)));
    const sorted = [...rows].sort((a, b) => { const u = key(a), v = key(b); return typeof u === "number" ? u - v || 0 : u.localeCompare(v, "en", { numeric: true }); });
    host.replaceChildren(forest(sorted, { zero: whole.value, include: [whole.value], limit: 12, notes: true, label: `${word(E.metric)} by ${column}` }));
  }
  show("Rows", orders.Rows);
  return card(column, `${word(E.metric)} by value; the dashed line is the whole test set (${score(whole.value)}).`, h("div", { class: "bar" }, buttons), host);
}
