/**
 * Everything that the page shows is made here. Text of others (comments, names, responses) gets into the document as text
 * alone: there is no way from a string to markup in this page.
 */

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** Text without what is invisible or turns the direction of what stands around it; lines stay. */
export function clean(text) {
  return String(text ?? "")
    .replace(/\r\n?/g, "\n")
    .replace(controls, "\ufffd");
}

/** Text on one line, cut at `most` characters. */
export function oneLine(text, most = 300) {
  const line = clean(text).replace(/\s+/g, " ").trim();
  return line.length > most ? `${line.slice(0, most - 1)}…` : line;
}

/**
 * An element. Of `attributes`, functions are listeners (`onclick`), `true` is an attribute without value, `false` and
 * undefined are left out. Children are nodes, texts, or lists of them; null and undefined are left out.
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : clean(value));
  }
  element.append(
    ...children
      .flat(Infinity)
      .filter(child => child !== undefined && child !== null && child !== false)
      .map(child => (child instanceof Node ? child : clean(child))),
  );
  return element;
}

export function button(label, onclick, attributes = {}) {
  return el("button", { type: "button", onclick, ...attributes }, label);
}

/** The HTTP method of an operation, in its colour. */
export function badge(method) {
  const known = ["GET", "POST", "PUT", "PATCH", "DELETE"].includes(method) ? method.toLowerCase() : "other";
  return el("span", { class: `badge ${known}` }, method === "*" ? "ANY" : oneLine(method, 12));
}

/** A path in which variables stand out. */
export function pathText(template) {
  const parts = clean(template).split(/(\{[^}]*\})/);
  return el(
    "span",
    { class: "path" },
    parts.map(part => (part.startsWith("{") ? el("span", { class: "variable" }, part) : breakable(part))),
  );
}

/** Lets a long path or name break behind slashes and dots. */
export function breakable(text) {
  return text.split(/(?<=[/.])/).flatMap((part, index) => (index === 0 ? [part] : [el("wbr"), part]));
}

/** A comment: paragraphs, lists and `code`, which is as much Markdown as comments of protos agree on. */
export function prose(text) {
  const blocks = clean(text)
    .trim()
    .split(/\n[ \t]*\n/)
    .slice(0, 200);
  return blocks
    .filter(block => block.trim() !== "")
    .map(block => {
      const lines = block.split("\n").map(line => line.trimEnd());
      if (lines.every(line => /^\s*[-*] |^\s{2,}\S/.test(line))) return listOf(lines);
      if (lines.every(line => /^( {4}|\t)/.test(line)))
        return el("pre", {}, lines.map(line => line.trim()).join("\n"));
      return el("p", {}, spans(lines.map(line => line.trim()).join(" ")));
    });
}

function listOf(lines) {
  const items = [];
  for (const line of lines) {
    const item = /^\s*[-*] (.*)$/.exec(line);
    if (item !== null || items.length === 0) items.push(item === null ? line.trim() : item[1]);
    else items[items.length - 1] += ` ${line.trim()}`;
  }
  return el(
    "ul",
    {},
    items.map(item => el("li", {}, spans(item))),
  );
}

/** Text with its `code`. */
export function spans(text) {
  return clean(text)
    .split(/(`[^`\n]+`)/)
    .map(part => (/^`[^`]+`$/.test(part) ? el("code", {}, part.slice(1, -1)) : part));
}

/** A block of text that can be copied. */
export function copyable(text, label) {
  const code = el("pre", { tabindex: "0", "aria-label": label }, text);
  const copy = button(
    "Copy",
    async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
        copy.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code);
        copy.textContent = "Selected";
      }
    },
    { class: "small copy", "aria-label": `Copy ${label}` },
  );
  return el("div", { class: "copyable" }, code, copy);
}

let lastId = 0;

/** A label and its field. */
export function field(label, input, { hint, required } = {}) {
  lastId += 1;
  input.id = `field-${lastId}`;
  const help =
    hint === undefined || hint === ""
      ? undefined
      : el("span", { class: "hint", id: `hint-${lastId}` }, spans(hint));
  if (help !== undefined) input.setAttribute("aria-describedby", help.id);
  if (required) input.setAttribute("aria-required", "true");
  return el(
    "div",
    { class: "field" },
    el(
      "label",
      { for: input.id },
      label,
      required && el("span", { class: "required", "aria-hidden": "true" }, " *"),
    ),
    input,
    help,
  );
}

/** Says it to who listens, without moving the focus. */
export function announce(text) {
  document.getElementById("status").textContent = clean(text);
}

export function bytesText(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1024 * 1024 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}

/** JSON text, indented; as it is where it is no JSON. 64-bit numbers are not touched. */
export function prettyJson(text) {
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  // Numbers beyond 2^53 would change in JSON.parse: the text itself is indented.
  let depth = 0;
  let out = "";
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '"') {
      const end = endOfString(text, at);
      out += text.slice(at, end);
      at = end - 1;
    } else if (char === "{" || char === "[") {
      const empty = /^[{[]\s*[}\]]/.exec(text.slice(at, at + 64));
      if (empty !== null) {
        out += char + (char === "{" ? "}" : "]");
        at += empty[0].length - 1;
      } else {
        depth += 1;
        out += `${char}\n${"  ".repeat(depth)}`;
      }
    } else if (char === "}" || char === "]") {
      depth -= 1;
      out += `\n${"  ".repeat(depth)}${char}`;
    } else if (char === ",") out += `,\n${"  ".repeat(depth)}`;
    else if (char === ":") out += ": ";
    else if (!/\s/.test(char)) out += char;
  }
  return out;
}

function endOfString(text, start) {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}
