"use strict";
// Elements, numbers and words. Text always goes in as text nodes: nothing from the data is ever parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== false) node.append(child);
  }
  return node;
}
const h = (tag, attributes, ...children) => build(document.createElement(tag), attributes, children);
const s = (tag, attributes, ...children) => build(document.createElementNS(SVG, tag), attributes, children);
const has = (value) => value !== null && value !== undefined;
const list = (value) => (Array.isArray(value) ? value : []);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

// Numbers ------------------------------------------------------------------------------------------------
const MISSING = "–";
const fixed = (value, digits) =>
  value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits }).replace(/^-(?=[0.]*$)/, "").replace(/^-/, "−");

function num(value) {
  if (!has(value)) return MISSING;
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1e12 || size < 1e-5) return value.toExponential(1).replace(/-/g, "−");
  if (Number.isInteger(value) || size >= 1000) return fixed(value, 0);
  return fixed(value, size >= 100 ? 1 : size >= 10 ? 2 : size >= 0.1 ? 3 : size >= 0.01 ? 4 : size >= 0.001 ? 5 : 6);
}
// Values that stand in one column or sentence share their decimals: those that give the widest two digits or more.
function decimals(values) {
  const widest = Math.max(0, ...values.filter(Number.isFinite).map(Math.abs));
  return widest === 0 ? 0 : widest >= 1000 ? 0 : widest >= 100 ? 1 : clamp(1 - Math.floor(Math.log10(widest)), 2, 6);
}
const same = (values) => { const d = decimals(values); return (v) => (has(v) ? fixed(v, d) : MISSING); };
const score = (value) => (has(value) ? (Math.abs(value) < 10 ? fixed(value, 3) : num(value)) : MISSING);
function signed(value, format) {
  const shown = (format || score)(value);
  return value > 0 && /[1-9]/.test(shown) ? "+" + shown : shown;
}
const percent = (share, digits) =>
  !has(share) ? MISSING : share > 0 && share < 0.001 ? "<0.1%" : fixed(100 * share, has(digits) ? digits : share >= 0.1 || share === 0 ? 0 : 1) + "%";
const plural = (count, one, many) => num(count) + " " + (count === 1 ? one : many || one + "s");
const seconds = (value) => (value < 0.095 ? fixed(1000 * value, 0) + " ms" : value < 60 ? fixed(value, 1) + " s" : Math.floor(value / 60) + " min " + fixed(value % 60, 0) + " s");
const interval = (row, format) => (has(row.low) && has(row.high) ? `[${(format || score)(row.low)}, ${(format || score)(row.high)}]` : "");
const pValue = (p) => (!has(p) ? MISSING : p < 0.001 ? "<0.001" : fixed(p, 3));
// Images are the base64 of PNG and JPEG files: they are shown as what they are, and in sentences as a word.
const isImage = (value) => typeof value === "string" && /^(data:image\/(png|jpeg);base64,)?(iVBORw0KGgo|\/9j\/)/.test(value);
const photo = (value, name) => h("img", { class: "photo", alt: name || "", src: value.startsWith("data:") ? value : `data:image/${value.startsWith("/9j/") ? "jpeg" : "png"};base64,${value}` });
const text = (value) => (isImage(value) ? "(image)" : !has(value) || value === "" ? "(missing)" : typeof value === "number" ? num(value) : String(value));
const day = (value) => String(value).replace("T", " ").replace(/ 00:00:00$/, "");

const words = (names) => (names.length < 2 ? names.join("") : names.slice(0, -1).join(", ") + " and " + names[names.length - 1]);
const sentence = (said) => (said ? said.charAt(0).toUpperCase() + said.slice(1) + "." : "");

// Words --------------------------------------------------------------------------------------------------
const WORDS = {
  roc_auc: "ROC AUC", average_precision: "Average precision", log_loss: "Log loss", brier: "Brier score", accuracy: "Accuracy",
  balanced_accuracy: "Balanced accuracy", precision: "Precision", recall: "Recall", f1: "F1", macro_f1: "Macro F1", f1_macro: "Macro F1", mcc: "Matthews correlation",
  ece: "Calibration error", rmse: "RMSE", mae: "Mean absolute error", median_ae: "Median absolute error", r2: "R²", mape: "MAPE", smape: "sMAPE",
  explained_variance: "Explained variance", macro_auc: "Macro ROC AUC", roc_auc_ovr: "ROC AUC (one against rest)", beats: "Beats",
  pgd: "PGD", apgd: "Auto-PGD", zoo: "ZOO", hop_skip_jump: "HopSkipJump", capgd: "CAPGD", moeva: "MOEVA",
  ale: "Accumulated local effects", ale_2d: "Second-order accumulated local effects", partial_dependence_2d: "Partial dependence of two", ice: "Single rows", lime: "LIME", shap_interactions: "SHAP interactions",
  xgboost: "XGBoost", catboost: "CatBoost", ebm: "EBM", mlp: "MLP", lightgbm: "LightGBM", linear: "Linear", constant: "Constant", binary: "Binary classification", multiclass: "Multiclass classification", regression: "Regression",
};
function word(name) {
  if (Object.hasOwn(WORDS, name)) return WORDS[name];
  const plain = String(name).replace(/_/g, " ");
  return plain.charAt(0).toUpperCase() + plain.slice(1);
}

// A metric's or an explainer's name within a sentence: "log loss", but "ROC AUC".
const within = (name) => { const said = word(name); return /^[A-Z][a-z]/.test(said) && !/^(LightGBM|XGBoost|CatBoost|Matthews)/.test(said) ? said.charAt(0).toLowerCase() + said.slice(1) : said; };

// What a screen reader is told, and scrolling ---------------------------------------------------------------
const say = (said) => { document.getElementById("said").textContent = said; };
// A region that scrolls sideways can be scrolled with the keyboard too.
const roomy = new ResizeObserver((entries) => { for (const { target } of entries) if (target.scrollWidth > target.clientWidth + 1) target.setAttribute("tabindex", "0"); else target.removeAttribute("tabindex"); });
function scroller(label, ...children) {
  const node = h("div", { class: "scroll", role: "group", "aria-label": label }, children);
  roomy.observe(node);
  return node;
}

// The tip ------------------------------------------------------------------------------------------------
const tip = document.getElementById("tip");
function showTip(x, y, title, lines) {
  tip.replaceChildren(h("b", null, title), ...lines.map((line) => h("div", null, line)));
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  tip.style.left = clamp(x + 14, 8, Math.max(8, innerWidth - box.width - 8)) + "px";
  tip.style.top = clamp(y - box.height - 12, 8, innerHeight - box.height - 8) + "px";
}
function hideTip() { tip.hidden = true; }
const tipped = (title, lines) => ({
  onpointermove: (event) => showTip(event.clientX, event.clientY, title, lines),
  onpointerleave: hideTip,
});

// Redraw what depends on the width whenever the width changes.
const watcher = new ResizeObserver((entries) => requestAnimationFrame(() => { for (const entry of entries) entry.target.redraw(); }));
function responsive(draw) {
  const host = h("div", { class: "chart" });
  let drawn = 0;
  host.redraw = () => {
    const width = Math.round(host.clientWidth);
    if (width < 40 || width === drawn) return;
    drawn = width;
    host.replaceChildren(draw(width));
  };
  watcher.observe(host);
  return host;
}
