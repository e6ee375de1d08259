// The model as a whole: a small tree that imitates it, and rows that stand for many.

function surrogate(D) {
  const found = foundOf(D, "surrogate").filter(([, one]) => list(one.content.nodes).length);
  if (!found.length) return null;
  return found.map(([name, one]) => {
    const nodes = one.content.nodes, scores = nodes.map((node) => node.score).filter(has), [low, high] = extent(scores);
    return card(name === "surrogate" ? "A small tree that imitates the model" : word(name), `It explains ${percent(Math.max(0, one.content.fidelity))} of the differences between the model's scores on rows it was not made from: that much of the model it shows, and no more.`,
      h("ul", { class: "tree", "aria-label": "Surrogate tree" }, branch(nodes, 0, null, { low, high })), stated(one));
  });
}
const SIGNS = { "<=": "≤", ">=": "≥" }, OTHERWISE = { "<=": ">", "<": "≥", ">": "≤", ">=": "<", "=": "≠", in: "not in" };
function branch(nodes, i, said, colours) {
  const node = nodes[i];
  if (!node) return null;
  const inner = has(node.column), share = (node.score - colours.low) / (colours.high - colours.low || 1);
  const line = h("span", { class: "node" }, said && h("span", { class: "said" }, said), h("i", { class: "dot", style: `background:${ramp(share)}`, "aria-hidden": "true" }), h("strong", null, score(node.score)), h("span", { class: "iv" }, ` ${percent(node.share)} of the rows`));
  if (!inner) return h("li", null, line);
  const test = (not) => [h("strong", null, h("bdi", null, node.column)), ` ${(not ? OTHERWISE : SIGNS)[node.operator] || (not ? `not ${node.operator}` : node.operator)} `, h("bdi", null, Array.isArray(node.value) ? node.value.map(text).join(", ") : text(node.value)), node.missing === (not ? "no" : "yes") && " or missing", ": "];
  return h("li", null, line, h("ul", null, branch(nodes, node.yes, test(false), colours), branch(nodes, node.no, test(true), colours)));
}

function prototypes(D) {
  const found = foundOf(D, "prototypes").filter(([, one]) => list(one.content.prototypes).length);
  if (!found.length) return null;
  const columns = ranking(D).rows.map((row) => row.label), order = (row) => { const names = Object.keys(row); return [...columns.filter((name) => names.includes(name)), ...names.filter((name) => !columns.includes(name))]; };
  const table = (label, rows, head, cell) => rows.length > 0 && h("div", null, h("h4", null, label), scroller(label, h("table", { "aria-label": label },
    h("thead", null, h("tr", null, h("th", { scope: "col" }, "Prediction"), head && h("th", { scope: "col", class: "n" }, head), order(rows[0].row).slice(0, 8).map((name) => h("th", { scope: "col", title: name }, cut(name, 22))))),
    h("tbody", null, rows.map((one) => h("tr", null, h("td", null, text(one.prediction)), head && h("td", { class: "n" }, cell(one)), order(rows[0].row).slice(0, 8).map((name) => h("td", { dir: "auto" }, cut(text(one.row[name]), 40)))))))));
  return found.map(([name, one]) => card(name === "prototypes" ? "Rows that stand for many" : word(name), "Prototypes are typical of many rows; criticisms are rows that the prototypes do not speak for.",
    table("Prototypes", one.content.prototypes, "Stand for", (row) => percent(row.share)), table("Criticisms", list(one.content.criticisms), null), stated(one)));
}
