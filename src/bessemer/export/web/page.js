// The page: a form of the model's columns, a field for many rows, and what the model says.

import { load } from "./model.js";
import { parse, value, written } from "./rows.js";

const $ = (id) => document.getElementById(id);
const SHOWN = 500, AT_ONCE = 2000;

function element(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, given] of Object.entries(attributes || {})) if (given !== undefined && given !== false) node.setAttribute(name, given === true ? "" : given);
  node.append(...children);
  return node;
}
const percent = (p) => `${(100 * p).toFixed(1)} %`;
const number = (v) => (Number.isInteger(v) ? String(v) : Number(v.toPrecision(7)).toString());

let model;
const inputs = new Map(); // column -> its element

function hint(column) {
  const { min, max } = column.domain;
  if (min === undefined || min === null) return column.nullable ? "may be empty" : "";
  return `${typeof min === "number" ? number(min) : min} to ${typeof max === "number" ? number(max) : max}${column.nullable ? ", may be empty" : ""}`;
}

function control(column, id) {
  if (column.dtype === "boolean") {
    const options = [["", "missing"], ["1", "yes"], ["0", "no"]];
    return [element("select", { id }, ...options.map(([v, text]) => element("option", { value: v }, text)))];
  }
  if (column.dtype === "timestamp") return [element("input", { id, type: "datetime-local", step: "1" })];
  if (column.tensor !== "string") return [element("input", { id, inputmode: "decimal", autocomplete: "off" })];
  const known = column.domain.categories || [];
  if (!known.length) return [element("input", { id, autocomplete: "off" })];
  return [element("input", { id, list: `${id}-known`, autocomplete: "off" }), element("datalist", { id: `${id}-known` }, ...known.map((text) => element("option", { value: text })))];
}

function drawForm(columns) {
  columns.forEach((column, i) => {
    const id = `column-${i}`, told = hint(column), made = control(column, id);
    if (told) made[0].setAttribute("aria-describedby", `${id}-hint`);
    inputs.set(column, made[0]);
    $("fields").append(element("div", { class: "field" }, element("label", { for: id }, column.name), ...made, ...(told ? [element("small", { id: `${id}-hint` }, told)] : [])));
  });
}

function fill(row) {
  for (const [column, input] of inputs) {
    const given = row[column.name];
    const shown = given === null || given === undefined ? "" : typeof given === "boolean" ? String(Number(given)) : String(given);
    input.value = column.dtype === "timestamp" ? shown.slice(0, 19) : shown;
    input.removeAttribute("aria-invalid");
  }
}

function read() {
  const row = {};
  for (const [column, input] of inputs) {
    try { row[column.name] = value(column, input.value.trim(), 0); input.removeAttribute("aria-invalid"); } catch (error) {
      input.setAttribute("aria-invalid", "true");
      input.focus();
      throw new Error(`'${input.value}' is no ${column.dtype} for ${column.name}.`, { cause: error });
    }
  }
  return row;
}

function drawAnswer({ prediction, probability }) {
  const said = element("div", {}, `${model.facts.target}: `, element("span", { class: "said" }, typeof prediction === "number" && !probability ? number(prediction) : String(prediction)));
  $("answer").replaceChildren(said);
  if (!probability) return;
  const lines = probability.map((p, i) => [p, String(model.facts.classes[i])]).sort(([a], [b]) => b - a).slice(0, 10);
  $("answer").append(element("div", { class: "bars" }, ...lines.flatMap(([p, name]) => [element("span", {}, name), element("meter", { value: p, "aria-label": `probability of ${name}` }), element("span", {}, percent(p))])));
}

const failed = (place, error) => place.replaceChildren(element("span", { class: "fault" }, error.message || String(error)));

async function predictOne(event) {
  event?.preventDefault();
  try { drawAnswer((await model.predict([read()]))[0]); } catch (error) { failed($("answer"), error); }
}

let lines = [], names = [];

function drawTable(rows, answers) {
  const { facts } = model, binary = facts.task === "binary", regression = facts.task === "regression";
  const extra = regression ? [] : binary ? [`probability of ${facts.classes[1]}`] : ["probability"];
  names = ["prediction", ...extra, ...facts.inputs.map((column) => column.name)];
  lines = answers.map(({ prediction, probability }, i) => [
    regression ? number(prediction) : prediction, ...(regression ? [] : [number(binary ? probability[1] : Math.max(...probability))]),
    ...facts.inputs.map((column) => rows[i][column.name]),
  ]);
  const numeric = [regression, ...extra.map(() => true), ...facts.inputs.map((column) => column.tensor !== "string" && column.dtype !== "timestamp")];
  const style = (k) => [numeric[k] ? "number" : "", k === 0 ? "said-column" : ""].filter(Boolean).join(" ") || undefined;
  const head = element("thead", {}, element("tr", {}, ...names.map((name, k) => element("th", { scope: "col", class: style(k) }, name))));
  const body = lines.slice(0, SHOWN).map((line) => element("tr", {}, ...line.map((cell, k) => element("td", { class: style(k) }, cell === null ? "–" : String(cell)))));
  $("table").replaceChildren(element("table", {}, head, element("tbody", {}, ...body)));
  $("table").hidden = $("save").hidden = false;
}

async function predictAll() {
  $("score").disabled = true;
  $("told").textContent = "Working…";
  try {
    const rows = parse($("text").value, model.facts.inputs), answers = [];
    for (let at = 0; at < rows.length; at += AT_ONCE) answers.push(...(await model.predict(rows.slice(at, at + AT_ONCE))));
    drawTable(rows, answers);
    $("told").textContent = `${rows.length} row${rows.length === 1 ? "" : "s"}${rows.length > SHOWN ? `; the first ${SHOWN} are shown, the file has all` : ""}.`;
  } catch (error) {
    $("table").hidden = $("save").hidden = true;
    failed($("told"), error);
  } finally { $("score").disabled = false; }
}

function save() {
  const link = element("a", { href: URL.createObjectURL(new Blob([written(names, lines)], { type: "text/csv" })), download: "predictions.csv" });
  link.click();
  URL.revokeObjectURL(link.href);
}

function showSamples() {
  const columns = model.facts.inputs.map((column) => column.name);
  $("text").value = written(columns, model.facts.samples.map((row) => columns.map((name) => row[name])));
  predictAll();
}

async function openFile() {
  const [file] = $("file").files;
  if (!file) return;
  $("text").value = await file.text();
  $("file").value = "";
  predictAll();
}

async function start() {
  try { model = await load(); } catch (error) { return failed($("lead"), error); }
  const { facts } = model;
  $("name").textContent = `${facts.name} ${facts.version}`;
  $("lead").textContent = `Predicts ${facts.target}. The model runs in this page: no row leaves your computer.`;
  $("foot").textContent = `Made by Bessemer ${facts.bessemer}; runs by onnxruntime-web ${facts.onnxruntime}.`;
  drawForm(facts.inputs);
  $("example").append(element("option", { value: "" }, "none"), ...facts.samples.map((_, i) => element("option", { value: String(i) }, `row ${i + 1}`)));
  $("example").addEventListener("change", () => { fill(facts.samples[$("example").value] || {}); $("answer").replaceChildren(); });
  $("form").addEventListener("submit", predictOne);
  $("form").addEventListener("reset", () => { $("answer").replaceChildren(); $("example").value = ""; inputs.forEach((input) => input.removeAttribute("aria-invalid")); });
  $("score").addEventListener("click", predictAll);
  $("samples").addEventListener("click", showSamples);
  $("samples").hidden = !facts.samples.length;
  $("save").addEventListener("click", save);
  $("file").addEventListener("change", openFile);
  if (facts.samples.length) { $("example").value = "0"; fill(facts.samples[0]); }
  $("predict").disabled = $("score").disabled = false;
  document.documentElement.dataset.ready = "true";
}

start();
