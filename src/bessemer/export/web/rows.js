// Rows from text and back: CSV as RFC 4180 has it, JSON, an object a line.

export function parse(text, columns) {
  const plain = text.replace(/^\ufeff/, "").trim();
  if (!plain) throw new Error("There are no rows yet.");
  const rows = /^[[{]/.test(plain) ? json(plain) : csv(plain);
  if (!rows.length) throw new Error("There is a line of names and no row.");
  const names = new Set(rows.flatMap(Object.keys));
  if (!columns.some((column) => names.has(column.name))) throw new Error(`None of the columns is one of the model's: ${columns.map((c) => c.name).slice(0, 5).join(", ")}...`);
  return rows.map((row, i) => Object.fromEntries(columns.map((column) => [column.name, value(column, row[column.name], i)])));
}

function json(text) {
  const made = text.startsWith("[") ? JSON.parse(text) : whole(text) ?? text.split(/\r?\n/).filter((line) => line.trim()).map((line) => JSON.parse(line));
  if (!Array.isArray(made) || !made.every((row) => row && typeof row === "object" && !Array.isArray(row))) throw new Error("JSON rows are objects: [{\"column\": value}, ...]");
  return made;
}

// One object over several lines.
function whole(text) {
  try { return [JSON.parse(text)]; } catch { return null; }
}

function csv(text) {
  const [names, ...lines] = cells(text);
  return lines.filter((line) => line.length > 1 || line[0] !== "").map((line) => Object.fromEntries(names.map((name, i) => [name.trim(), line[i]])));
}

function cells(text) {
  const comma = separator(text), lines = [[]];
  let cell = "", quoted = false;
  const end = () => { lines[lines.length - 1].push(cell); cell = ""; };
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quoted) {
      if (c !== '"') cell += c;
      else if (text[i + 1] === '"') { cell += c; i++; } else quoted = false;
    } else if (c === '"' && cell === "") quoted = true;
    else if (c === comma) end();
    else if (c === "\n") { end(); lines.push([]); } else if (c !== "\r") cell += c;
  }
  end();
  return lines;
}

// Of the first line: what stands there most.
function separator(text) {
  const first = text.split("\n", 1)[0].replace(/"[^"]*"/g, ""), count = (c) => first.split(c).length;
  return [",", ";", "\t"].reduce((best, c) => (count(c) > count(best) ? c : best));
}

const TRUTHS = { true: 1, t: 1, yes: 1, 1: 1, false: 0, f: 0, no: 0, 0: 0 };

// What the model takes of a cell; '' and null are missing.
export function value(column, given, row) {
  if (given === undefined || given === null || given === "") return null;
  if (column.tensor === "string") return String(given);
  if (column.dtype === "timestamp") return given;
  const number = column.dtype === "boolean" ? TRUTHS[String(given).toLowerCase()] : Number(given);
  if (number === undefined || Number.isNaN(number)) throw new Error(`Row ${row + 1}: '${given}' is no ${column.dtype} for ${column.name}.`);
  return number;
}

const quoted = (cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);

export function written(names, lines) {
  return [names, ...lines].map((line) => line.map((cell) => quoted(cell === null || cell === undefined ? "" : String(cell))).join(",")).join("\r\n") + "\r\n";
}
