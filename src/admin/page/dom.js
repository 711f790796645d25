/** Everything that the page shows goes into the document as text: there is no way from a string to markup here. */

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const hidden = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** Text without what is invisible or turns the direction of what stands around it. */
export function clean(text) {
  return String(text ?? "").replace(hidden, "\ufffd");
}

export function byId(id) {
  return document.getElementById(id);
}

export function make(tag, className = "", ...children) {
  const element = document.createElement(tag);
  if (className !== "") element.className = className;
  element.append(...children);
  return element;
}

/** Only what differs is written, so that a selection of text stays. */
export function setText(element, text) {
  const wanted = clean(text);
  if (element.textContent !== wanted) element.textContent = wanted;
}

export function setClass(element, className) {
  if (element.className !== className) element.className = className;
}

/**
 * Makes the children of an element those of a list, in its order. The child of a key stays the same element.
 * @param create makes the child of an item
 * @param update shows an item in its child
 */
export function sync(parent, items, keyOf, create, update) {
  const known = new Map([...parent.children].map(child => [child.dataset.key, child]));
  let before = null;
  for (const item of items) {
    const key = String(keyOf(item));
    let child = known.get(key);
    if (child === undefined) {
      child = create(item);
      child.dataset.key = key;
    }
    known.delete(key);
    const place = before === null ? parent.firstChild : before.nextSibling;
    if (place !== child) parent.insertBefore(child, place);
    update(child, item);
    before = child;
  }
  for (const child of known.values()) child.remove();
}

/**
 * A table. Columns have a `title`, `number` where they hold one, and `cell(element, item)` that fills a cell.
 * @param empty what is said where there are no rows
 */
export function table(parent, columns, empty) {
  const head = make("tr");
  for (const { title, number } of columns) {
    const cell = make("th", number ? "number" : "", title);
    cell.scope = "col";
    head.append(cell);
  }
  const body = make("tbody");
  const whole = make("table", "", make("thead", "", head), body);
  const nothing = make("p", "empty", empty);
  // It scrolls, so that the keyboard must reach it.
  parent.tabIndex = 0;
  parent.setAttribute("role", "region");
  parent.setAttribute("aria-labelledby", `${parent.id}-title`);
  parent.replaceChildren(whole, nothing);
  return (items, keyOf) => {
    whole.hidden = items.length === 0;
    nothing.hidden = items.length > 0;
    const create = () =>
      make("tr", "", ...columns.map(({ number, name }) => make("td", number ? "number" : (name ?? ""))));
    sync(body, items, keyOf, create, (row, item) => {
      for (const [index, { cell }] of columns.entries()) cell(row.children[index], item);
    });
  };
}

const svg = "http://www.w3.org/2000/svg";

/** A line of the last values, from 0 to the highest of them. */
export function sparkline(points) {
  const drawing = document.createElementNS(svg, "svg");
  drawing.setAttribute("viewBox", "0 0 100 28");
  drawing.setAttribute("preserveAspectRatio", "none");
  drawing.setAttribute("class", "spark");
  drawing.setAttribute("aria-hidden", "true");
  const area = drawing.appendChild(document.createElementNS(svg, "path"));
  area.setAttribute("class", "area");
  const line = drawing.appendChild(document.createElementNS(svg, "path"));
  line.setAttribute("class", "line");
  return {
    element: drawing,
    show(values) {
      if (values.length < 2) return;
      const highest = Math.max(...values, 1e-9);
      const step = 100 / (points - 1);
      const start = 100 - (values.length - 1) * step;
      const at = values.map(
        (value, index) => `${(start + index * step).toFixed(2)} ${(26 - (24 * value) / highest).toFixed(2)}`,
      );
      line.setAttribute("d", `M${at.join("L")}`);
      area.setAttribute("d", `M${start.toFixed(2)} 28L${at.join("L")}L100 28Z`);
    },
  };
}
