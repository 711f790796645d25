import { badge, clean, el, oneLine } from "./dom.js";

const groupHeight = 38;
const rowHeight = 56;
/** Rows made above and below what is seen. */
const spare = 6;

/**
 * The list of services and their operations. Only the rows that are seen exist, so that it does not matter how many there
 * are; for assistive technology it is a tree, whose active item the focused element names.
 */
export class Tree {
  /** @param open called with an operation that is chosen */
  constructor({ open }) {
    this.open = open;
    this.rows = [];
    this.tops = [0];
    this.active = -1;
    this.current = undefined;
    this.expanded = new Set();
    this.made = new Map();
    this.space = el("div", { class: "tree-space", role: "none" });
    this.element = el(
      "div",
      {
        class: "tree",
        id: "operations",
        role: "tree",
        tabindex: "0",
        "aria-label": "Operations",
        onscroll: () => this.#draw(),
        onkeydown: event => this.key(event, true),
        onfocus: () => this.#focus(),
      },
      this.space,
    );
    new ResizeObserver(() => this.#draw()).observe(this.element);
    this.element.addEventListener("click", event => this.#click(event));
    this.owners = [this.element];
  }

  /** The search field shows the same active row. */
  ownedBy(input) {
    this.owners.push(input);
  }

  /** @param groups `{ service, operations }` each */
  show(groups, { allOpen }) {
    this.groups = groups;
    this.allOpen = allOpen;
    this.active = -1;
    this.#layOut();
    this.element.scrollTop = 0;
    this.#draw();
  }

  /** Marks the operation that is open, and makes it visible. */
  mark(operation) {
    this.current = operation;
    if (
      operation !== undefined &&
      !this.allOpen &&
      this.groups?.some(({ service }) => service === operation.service)
    ) {
      this.expanded.add(operation.service);
      this.#layOut();
    }
    const index = this.rows.findIndex(row => row.operation !== undefined && row.operation === operation);
    if (index >= 0) {
      this.active = index;
      this.#reveal(index);
    }
    this.#redraw();
  }

  #layOut() {
    this.rows = [];
    for (const { service, operations } of this.groups) {
      const open = this.allOpen || this.expanded.has(service);
      this.rows.push({ service, count: operations.length, open });
      if (open)
        operations.forEach((operation, index) => {
          this.rows.push({ operation, index, count: operations.length });
        });
    }
    this.tops = new Float64Array(this.rows.length + 1);
    this.rows.forEach((row, index) => {
      this.tops[index + 1] = this.tops[index] + (row.service === undefined ? rowHeight : groupHeight);
    });
    this.space.style.height = `${this.tops[this.rows.length]}px`;
    this.#clear();
  }

  #clear() {
    this.space.replaceChildren();
    this.made.clear();
  }

  /** Rows that are there stay the same elements: one may be under a finger. */
  #redraw() {
    this.#draw();
    for (const [index, element] of this.made) this.#state(index, element);
  }

  #state(index, element) {
    const { operation } = this.rows[index];
    element.classList.toggle("active", index === this.active);
    element.setAttribute("aria-selected", String(operation !== undefined && operation === this.current));
  }

  #draw() {
    const { scrollTop, clientHeight } = this.element;
    const first = Math.max(0, this.#at(scrollTop) - spare);
    const last = Math.min(this.rows.length - 1, this.#at(scrollTop + clientHeight) + spare);
    for (const [index, element] of this.made) {
      if ((index >= first && index <= last) || index === this.active) continue;
      element.remove();
      this.made.delete(index);
    }
    for (let index = first; index <= last; index++) this.#make(index);
    if (this.active >= 0 && this.active < this.rows.length) this.#make(this.active);
    for (const owner of this.owners) {
      if (this.active >= 0) owner.setAttribute("aria-activedescendant", `row-${this.active}`);
      else owner.removeAttribute("aria-activedescendant");
    }
  }

  /** The row at a height. */
  #at(top) {
    let low = 0;
    let high = this.rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.tops[middle + 1] <= top) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #make(index) {
    if (this.made.has(index)) return;
    const row = this.rows[index];
    const element = row.service === undefined ? this.#operation(row) : this.#group(row);
    element.id = `row-${index}`;
    element.dataset.index = String(index);
    element.style.transform = `translateY(${this.tops[index]}px)`;
    this.#state(index, element);
    this.made.set(index, element);
    // In the order of the list, whatever was scrolled first.
    const after = [...this.space.children].find(other => Number(other.dataset.index) > index);
    this.space.insertBefore(element, after ?? null);
  }

  #group({ service, count, open }) {
    const at = service.name.lastIndexOf(".");
    return el(
      "div",
      {
        class: "group",
        role: "treeitem",
        "aria-level": "1",
        "aria-expanded": String(open),
        title: service.name,
      },
      el("span", { class: "arrow", "aria-hidden": "true" }),
      el(
        "span",
        { class: "group-name" },
        el("span", { class: "package" }, oneLine(service.name.slice(0, at + 1), 200)),
        oneLine(service.name.slice(at + 1), 200),
      ),
      el("span", { class: "count" }, String(count)),
    );
  }

  #operation({ operation, index, count }) {
    const { method, name, template, deprecated, kind } = operation;
    return el(
      "div",
      {
        class: `operation${deprecated ? " old" : ""}`,
        role: "treeitem",
        "aria-level": "2",
        "aria-posinset": String(index + 1),
        "aria-setsize": String(count),
        title: `${method} ${template}`,
      },
      el(
        "span",
        { class: "operation-name" },
        badge(method),
        el("span", { class: "name" }, oneLine(name, 120)),
        kind && el("span", { class: "stream", "aria-label": "streams" }, "⇶"),
      ),
      el("span", { class: "operation-path" }, clean(template)),
    );
  }

  #click(event) {
    const index = Number(event.target.closest("[data-index]")?.dataset.index ?? -1);
    if (index < 0) return;
    this.active = index;
    this.#choose();
  }

  #choose() {
    const row = this.rows[this.active];
    if (row === undefined) return;
    if (row.operation !== undefined) this.open(row.operation);
    else this.#toggle(row.service, !row.open);
  }

  #toggle(service, open) {
    if (this.allOpen) return;
    if (open) this.expanded.add(service);
    else this.expanded.delete(service);
    this.#layOut();
    this.active = this.rows.findIndex(row => row.service === service);
    this.#draw();
  }

  /** @param own whether the tree itself has the focus; left and right belong to the text otherwise */
  key(event, own) {
    const row = this.rows[this.active];
    const page = Math.max(1, Math.floor(this.element.clientHeight / rowHeight) - 1);
    switch (event.key) {
      case "ArrowDown":
        this.#move(this.active + 1);
        break;
      case "ArrowUp":
        this.#move(this.active < 0 ? this.rows.length - 1 : this.active - 1);
        break;
      case "PageDown":
        this.#move(this.active + page);
        break;
      case "PageUp":
        this.#move(this.active - page);
        break;
      case "Home":
        if (!own) return;
        this.#move(0);
        break;
      case "End":
        if (!own) return;
        this.#move(this.rows.length - 1);
        break;
      case "ArrowRight":
        if (!own || row?.service === undefined) return;
        if (row.open) this.#move(this.active + 1);
        else this.#toggle(row.service, true);
        break;
      case "ArrowLeft":
        if (!own || row === undefined) return;
        if (row.service !== undefined) this.#toggle(row.service, false);
        else
          this.#move(
            this.rows.findLastIndex((each, index) => index < this.active && each.service !== undefined),
          );
        break;
      case "Enter":
        if (this.active < 0) this.#move(this.rows.findIndex(each => each.operation !== undefined));
        this.#choose();
        break;
      case " ":
        if (!own) return;
        this.#choose();
        break;
      default:
        return;
    }
    event.preventDefault();
  }

  #focus() {
    // A click chooses a row by itself.
    if (!this.element.matches(":focus-visible")) return;
    if (this.active < 0 && this.rows.length > 0) this.#move(0);
  }

  #move(index) {
    if (this.rows.length === 0) return;
    this.active = Math.min(Math.max(index, 0), this.rows.length - 1);
    this.#reveal(this.active);
    this.#redraw();
  }

  #reveal(index) {
    const { clientHeight } = this.element;
    const top = this.tops[index];
    const bottom = this.tops[index + 1];
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    else if (bottom > this.element.scrollTop + clientHeight) this.element.scrollTop = bottom - clientHeight;
  }
}
