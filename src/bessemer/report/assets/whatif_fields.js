// Inputs for the columns of a row, as the signature has them: numbers, categories, yes or no, times. Empty is missing.

const LISTED = 30;
let fieldCount = 0;

// facts: a field of the signature; change(value) is told of each new value. Gives {node, set(value)}.
function whatifField(facts, change) {
  const id = `field${++fieldCount}`, make = { boolean: booleanField, timestamp: timeField, string: facts.domain.media === "image" ? imageField : textField }[facts.dtype] || numberField;
  const made = make(facts, change, id), note = h("span", { class: "was" });
  const node = h("div", { class: "field" }, h("label", { for: id, dir: "auto", title: facts.name }, facts.name), ...made.nodes, note);
  return { node, name: facts.name, set: (value, before) => {
    made.set(value);
    const changed = !sameValue(value, before);
    node.classList.toggle("changed", changed);
    note.textContent = changed ? `was ${text(before)}` : "";
  } };
}
const sameValue = (a, b) => (has(a) ? a : null) === (has(b) ? b : null);

function numberField(facts, change, id) {
  const { min, max } = facts.domain, whole = facts.dtype === "integer", bounded = Number.isFinite(min) && Number.isFinite(max) && min < max;
  const read = (value) => (value === "" || !Number.isFinite(Number(value)) ? null : Number(value));
  const typed = h("input", { id, type: "number", step: "any", placeholder: "missing", title: bounded ? `in training ${num(min)} to ${num(max)}` : null, oninput: () => { slide(read(typed.value)); change(read(typed.value)); } });
  const step = whole && max - min <= 1000 ? 1 : (max - min) / 200;
  const slider = bounded && h("input", { type: "range", min, max, step: whole ? Math.max(1, Math.round(step)) : step, "aria-label": facts.name, oninput: () => { typed.value = whole ? slider.value : String(Number(Number(slider.value).toPrecision(12))); change(read(typed.value)); } });
  const slide = (value) => { if (slider) slider.value = has(value) ? value : (min + max) / 2; };
  return { nodes: [typed, slider].filter(Boolean), set: (value) => { if (!sameValue(read(typed.value), value)) typed.value = has(value) ? String(value) : ""; slide(value); } };
}

function choiceField(choices, change, id) {
  const select = h("select", { id, onchange: () => change(choices[select.selectedIndex][0]) }), fill = () => select.replaceChildren(...choices.map(([, name]) => h("option", null, name)));
  fill();
  return { nodes: [select], set: (value) => {
    let at = choices.findIndex(([known]) => sameValue(known, value));
    if (at < 0) { choices.push([value, text(value)]); fill(); at = choices.length - 1; }
    select.selectedIndex = at;
  } };
}
const booleanField = (facts, change, id) => choiceField([[true, "true"], [false, "false"], [null, "(missing)"]], change, id);

// Few categories are a list; of many, or in free text, a value can be typed.
function textField(facts, change, id) {
  const known = list(facts.domain.categories).filter((c) => has(c) && c !== "").map(String);
  if (known.length && known.length <= LISTED && !facts.domain.more) return choiceField([...known.map((c) => [c, c]), [null, "(missing)"], ["\u0001 not seen in training", "(a value never seen)"]], change, id);
  const offered = known.length ? h("datalist", { id: id + "-known" }, known.map((c) => h("option", { value: c }))) : null;
  const typed = h("input", { id, type: "text", list: offered && offered.id, dir: "auto", placeholder: "missing", oninput: () => change(typed.value === "" ? null : typed.value) });
  return { nodes: [typed, offered].filter(Boolean), set: (value) => { const shown = has(value) ? String(value) : ""; if (typed.value !== shown) typed.value = shown; } };
}

// An image is looked at and not changed.
function imageField() {
  const host = h("div");
  return { nodes: [host], set: (value) => host.replaceChildren(isImage(value) ? photo(value) : text(value)) };
}

// UTC, as the model reads it.
function timeField(facts, change, id) {
  const typed = h("input", { id, type: "datetime-local", step: "1", title: "UTC", oninput: () => change(typed.value || null) });
  return { nodes: [typed], set: (value) => { const shown = has(value) ? String(value).slice(0, 19) : ""; if (onnxMicroseconds(typed.value) !== onnxMicroseconds(shown)) typed.value = shown; } };
}
