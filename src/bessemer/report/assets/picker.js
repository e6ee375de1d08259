// A list to choose one entry of: searched by typing, moved through with the arrow keys, and what is chosen is shown beside it.
// entries: {key, label, note, group, search}; show(entry) gives what stands beside the list; address: the word before = in the page's address.

const SHOWN_AT_ONCE = 400;
let pickers = 0;

function picker({ label, entries, show, placeholder, address }) {
  const id = `picker${++pickers}`, view = h("div", { class: "picked" }), count = h("p", { class: "hint", role: "status" });
  let chosen = null, shown = [];
  const box = h("div", { class: "list", role: "listbox", tabindex: 0, "aria-label": label, onkeydown: keys });
  const search = h("input", { class: "filter", type: "search", placeholder, "aria-label": placeholder, "aria-controls": id, oninput: fill,
    onkeydown: (event) => { if (event.key === "ArrowDown" && shown.length) { event.preventDefault(); box.focus(); } } });
  box.id = id;

  function fill() {
    const wanted = search.value.trim().toLowerCase().split(/\s+/), fits = entries.filter((entry) => wanted.every((part) => `${entry.label} ${entry.note || ""} ${entry.search || ""}`.toLowerCase().includes(part)));
    shown = fits.slice(0, SHOWN_AT_ONCE);
    box.replaceChildren(...grouped(shown));
    count.textContent = fits.length === entries.length ? "" : fits.length ? `${num(fits.length)} of ${num(entries.length)}` : "nothing found";
    count.hidden = !count.textContent;
    mark();
  }
  function grouped(wanted) {
    const nodes = [];
    for (const entry of wanted) {
      const option = h("div", { role: "option", id: `${id}-${entries.indexOf(entry)}`, "aria-selected": "false", onclick: () => choose(entry, true) },
        h("span", { title: entry.label, dir: "auto" }, entry.label), entry.note && h("small", null, entry.note));
      const last = nodes[nodes.length - 1];
      if (!entry.group) nodes.push(option);
      else if (last && last.dataset.group === entry.group) last.append(option);
      else nodes.push(h("div", { role: "group", "aria-label": entry.group, "data-group": entry.group }, h("div", { class: "group", "aria-hidden": "true" }, entry.group), option));
    }
    return nodes;
  }
  function mark() {
    box.querySelectorAll("[aria-selected=true]").forEach((option) => option.setAttribute("aria-selected", "false"));
    const option = chosen && box.querySelector(`#${id}-${entries.indexOf(chosen)}`);
    if (!option) return box.removeAttribute("aria-activedescendant");
    option.setAttribute("aria-selected", "true");
    box.setAttribute("aria-activedescendant", option.id);
    if (option.offsetTop < box.scrollTop || option.offsetTop + option.offsetHeight > box.scrollTop + box.clientHeight) box.scrollTop = option.offsetTop - box.clientHeight / 3;
  }
  function choose(entry, byHand) {
    chosen = entry;
    mark();
    hideTip();
    view.replaceChildren(...[show(entry)].flat(Infinity).filter(Boolean));
    redraw(view);
    if (byHand && address) history.replaceState(null, "", `#${address}=${encodeURIComponent(entry.key)}`);
  }
  function keys(event) {
    const at = shown.indexOf(chosen), next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: shown.length - 1, PageDown: at + 10, PageUp: at - 10 }[event.key];
    if (next === undefined || !shown.length) return;
    event.preventDefault();
    choose(shown[clamp(next, 0, shown.length - 1)], true);
  }
  fill();
  if (entries.length) choose(entries[0], false);
  const node = h("div", { class: "picker" }, h("div", { class: "choices" }, entries.length > 5 && search, count, box), view);
  return { node, open: (key) => { const entry = entries.find((one) => String(one.key) === key); if (entry) { search.value = ""; fill(); choose(entry, false); } } };
}
