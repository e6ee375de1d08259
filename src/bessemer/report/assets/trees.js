// The trees of the model, one at a time, with the path that the chosen row takes.

function treesView(D) {
  const W = D.whatif;
  if (!W || (!W.forests && !(W.packed && hasForests(W.explain)))) return null;
  const host = h("div", { class: "grove", "data-trees": "opening" });
  openForests(D).then((forests) => { host.replaceChildren(...groveBody(D, forests)); host.dataset.trees = "ready"; })
    .catch((error) => { host.dataset.trees = "failed"; host.replaceChildren(h("p", { class: "callout" }, `The trees could not be opened in this browser: ${error.message}.`)); });
  return host;
}
const hasForests = (facts) => Boolean(facts) && (facts.kind === "trees" ? has(facts.forest) : facts.kind === "pairs" ? hasForests(facts.inner) : facts.kind === "ensemble" && facts.members.some(([, member]) => hasForests(member)));

// Those of the graph, or the first trees alone where the page has no graph.
async function openForests(D) {
  if (D.whatif.packed) return (await pageModel(D)).graph.trees;
  return (await onnxUnpack(D.whatif.forests)).forests.map(onnxTreesOpen);
}

function groveBody(D, forests) {
  const W = D.whatif, trees = forests.flatMap((forest, f) => Array.from(forest.root, (root, i) => ({ forest, f, root, number: i + 1 })));
  const total = forests.reduce((sum, forest) => sum + (forest.count || forest.root.length), 0), card = h("div", { class: "card" }), count = h("span", { class: "hint" });
  let seen = list((W.rows[0] || {}).features).length ? forests.map(() => W.rows[0].features) : null, at = 0;
  const number = h("input", { class: "filter", type: "number", min: 1, max: trees.length, value: 1, "aria-label": "Tree", oninput: () => show(Number(number.value) - 1) });
  const step = (by) => () => show(at + by), button = (name, by) => h("button", { class: "pill", onclick: step(by) }, name);
  function show(wanted) {
    if (!Number.isInteger(wanted) || wanted < 0 || wanted >= trees.length) return;
    at = wanted;
    if (Number(number.value) !== at + 1) number.value = at + 1;
    const { forest, f, root } = trees[at];
    count.textContent = `of ${num(total)}${total > trees.length ? `, of which this page has ${num(trees.length)}` : ""}`;
    card.replaceChildren(treeOutline(D, forest, root, seen && seen[f], list((W.added || [])[f])));
  }
  document.addEventListener("row-changed", ({ detail }) => { seen = detail.forests.map((x) => x.data); show(at); });
  document.addEventListener("row-chosen", ({ detail }) => {
    const row = !W.packed && W.rows.find((one) => has(one.example) && D.explanations.examples[one.example] === detail);
    if (row) { seen = forests.map(() => row.features); show(at); }
  });
  if (W.packed) pageModel(D).then((model) => { if (!seen && W.rows.length) { seen = model.answer(D, W.rows[0].values).forests.map((x) => x.data); show(at); } });
  show(0);
  return [h("div", { class: "bar" }, button("Previous", -1), h("label", null, "Tree ", number), count, button("Next", 1)), card];
}

// An outline after the tree pattern of ARIA: arrow keys move, open and close; the row's path is open and marked.
// Without the graph a row has the model's own features alone: no path where a forest asks more.
function treeOutline(D, forest, root, x, added) {
  const end = treeEnd(forest, root), covers = coversOf(forest, root, end), largest = largestLeaf(forest, root, end), path = new Set();
  if (x && x.length >= D.features.length + added.length) for (let node = root; ; node = onnxGoesLeft(forest, node, numberOf(x[forest.feature[node]])) ? forest.left[node] : forest.right[node]) { path.add(node); if (forest.left[node] < 0) break; }
  const outline = h("ul", { class: "outline", role: "tree", "aria-label": "The tree", onkeydown: outlineKeys });
  outline.append(treeNode({ D, forest, root, added, covers, largest, path }, root, "", 0));
  outline.querySelector("[role=treeitem]").tabIndex = 0;
  return outline;
}
const addedName = ({ D, added }, feature) => added[feature - D.features.length] || `feature ${feature + 1}`;
const numberOf = (value) => (has(value) ? value : NaN);
function treeEnd(forest, root) {
  const at = Array.prototype.indexOf.call(forest.root, root);
  return at + 1 < forest.root.length ? forest.root[at + 1] : forest.left.length;
}
function largestLeaf(forest, root, end) {
  let found = 0;
  for (let node = root; node < end; node++) if (forest.left[node] < 0) for (let k = 0; k < forest.width; k++) found = Math.max(found, Math.abs(forest.value[(-1 - forest.left[node]) * forest.width + k]));
  return found;
}

// A node is drawn with what is below it when it is first opened.
function treeNode(T, node, side, depth) {
  const { forest, path } = T, leaf = forest.left[node] < 0, share = T.covers[node - T.root] / T.covers[0], taken = path.has(node);
  const item = h("li", { role: "treeitem", tabindex: -1, class: taken ? "taken" : null, "data-node": node, "aria-current": taken ? "true" : null });
  const line = h("div", { class: "line", onclick: () => { focusItem(item); if (!leaf) open(!isOpen(item)); } }, side && h("span", { class: "side" }, side),
    leaf ? leafFace(T, -1 - forest.left[node]) : h("span", { class: "test" }, conditionOf(T, node)),
    h("span", { class: "cover", title: "share of the training rows" }, percent(share)));
  item.append(line);
  const group = !leaf && h("ul", { role: "group" });
  const open = (wanted) => {
    item.setAttribute("aria-expanded", String(wanted));
    const sides = isIndicator(T, node) ? ["no", "yes"] : ["yes", "no"];
    if (wanted && !group.childNodes.length) group.append(treeNode(T, forest.left[node], sides[0], depth + 1), treeNode(T, forest.right[node], sides[1], depth + 1));
    group.hidden = !wanted;
  };
  if (!leaf) { item.append(group); item.open = open; open(taken || depth < 2); }
  return item;
}

// A feature that is 0 or 1 is asked for as what it means: 'city = Bern?', and 0 is no.
const isIndicator = ({ D, forest }, node) => { const feature = D.features[forest.feature[node]], t = forest.threshold[node]; return Boolean(feature) && feature.kind === "indicator" && t > 0 && t < 1; };
function conditionOf(T, node) {
  const { D, forest } = T, feature = D.features[forest.feature[node]], name = feature ? feature.name : addedName(T, forest.feature[node]), missing = forest.missing_left[node] ? "yes" : "no";
  const whole = isIndicator(T, node), limit = whole ? "" : ` ≤ ${numberShown(forest.threshold[node])}`;
  return h("span", { title: feature ? feature.meaning : null }, h("strong", { dir: "auto" }, name), `${limit}?`, !whole && h("small", null, ` missing: ${missing}`));
}
const numberShown = (value) => (Math.abs(value) < 1e-5 && value !== 0 ? value.toExponential(2) : String(Number(value.toPrecision(Math.abs(value) >= 1e5 ? 10 : 6))).replace("-", "−"));

function leafFace({ D, forest, largest }, leaf) {
  const values = Array.from({ length: forest.width }, (_, k) => forest.value[leaf * forest.width + k]), most = values.reduce((best, v, k) => (Math.abs(v) > Math.abs(values[best]) ? k : best), 0);
  const value = values[most], of = forest.targets > 1 && value !== 0 ? ` for ${text(D.classes[forest.width > 1 ? most : forest.target[leaf]])}` : "";
  const bar = h("span", { class: value < 0 ? "leafbar down" : "leafbar", style: `width:${Math.max(2, Math.round((70 * Math.abs(value)) / (largest || 1)))}px`, "aria-hidden": "true" });
  return h("span", { class: "leaf" }, bar, h("strong", null, signed(value, numberShown)), of);
}

const isOpen = (item) => item.getAttribute("aria-expanded") === "true";
function focusItem(item) {
  const tree = item.closest("[role=tree]");
  tree.querySelectorAll("[tabindex='0']").forEach((other) => { other.tabIndex = -1; });
  item.tabIndex = 0;
  item.focus();
}
function outlineKeys(event) {
  const items = [...event.currentTarget.querySelectorAll("[role=treeitem]")].filter((one) => !one.parentElement.closest("[hidden]")), item = document.activeElement, at = items.indexOf(item);
  const parent = item.parentElement.closest("[role=treeitem]"), can = item.hasAttribute("aria-expanded");
  const moves = {
    ArrowDown: () => items[at + 1], ArrowUp: () => items[at - 1], Home: () => items[0], End: () => items[items.length - 1],
    ArrowRight: () => { if (!can) return null; if (isOpen(item)) return items[at + 1]; item.open(true); return item; },
    ArrowLeft: () => { if (can && isOpen(item)) { item.open(false); return item; } return parent; },
    Enter: () => { if (can) item.open(!isOpen(item)); return item; },
  };
  if (at < 0 || !Object.hasOwn(moves, event.key)) return;
  event.preventDefault();
  const next = moves[event.key]();
  if (next) focusItem(next);
}
