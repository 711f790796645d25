/** Cuts the text of a stream into its messages. `push` takes text as it comes and returns what is complete. */

/** Most characters of one message; what is longer is given up. */
const longest = 4 * 1024 * 1024;

export function splitterOf(contentType) {
  const type = contentType.split(";")[0].trim().toLowerCase();
  if (type === "text/event-stream") return new EventSplitter();
  if (type === "application/x-ndjson" || type === "application/jsonl") return new LineSplitter();
  return new ArraySplitter();
}

class LineSplitter {
  #rest = "";

  push(text) {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop();
    if (this.#rest.length > longest) throw new Error("a line is too long to be shown");
    return lines.filter(line => line.trim() !== "").map(data => ({ data }));
  }

  end() {
    return this.#rest.trim() === "" ? [] : [{ data: this.#rest }];
  }
}

/** Server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html */
class EventSplitter {
  #lines = new LineBuffer();
  #event = {};

  push(text) {
    const events = [];
    for (const line of this.#lines.push(text)) {
      if (line === "") {
        if (this.#event.data !== undefined) events.push(this.#event);
        this.#event = {};
      } else if (!line.startsWith(":")) this.#take(line);
    }
    return events;
  }

  #take(line) {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data")
      this.#event.data = this.#event.data === undefined ? value : `${this.#event.data}\n${value}`;
    else if (name === "event" || name === "id") this.#event[name] = value;
  }

  end() {
    return [];
  }
}

class LineBuffer {
  #rest = "";

  push(text) {
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    if (this.#rest.length > longest) throw new Error("a line is too long to be shown");
    return lines;
  }
}

/** The elements of a JSON array; JSON that is no array is one message. */
class ArraySplitter {
  #text = "";
  #at = 0;
  #depth = 0;
  #start = 0;
  #inString = false;
  #array = false;

  push(text) {
    this.#text += text;
    const found = [];
    for (; this.#at < this.#text.length; this.#at++) {
      const char = this.#text[this.#at];
      if (this.#inString) {
        if (char === "\\") this.#at += 1;
        else if (char === '"') this.#inString = false;
      } else if (char === '"') this.#inString = true;
      else if (char === "{" || char === "[") {
        this.#depth += 1;
        if (this.#depth === 1 && char === "[" && this.#start === 0) {
          this.#array = true;
          this.#start = this.#at + 1;
        }
      } else if (char === "}" || char === "]") {
        this.#depth -= 1;
        if (this.#array && this.#depth === 0) this.#take(found);
      } else if (char === "," && this.#array && this.#depth === 1) this.#take(found);
    }
    if (this.#text.length > longest) throw new Error("a message is too long to be shown");
    return found;
  }

  #take(found) {
    const data = this.#text.slice(this.#start, this.#at).trim();
    if (data !== "") found.push({ data });
    this.#text = this.#text.slice(this.#at + 1);
    this.#at = -1;
    this.#start = 0;
    if (this.#depth === 0) this.#array = false;
  }

  end() {
    const data = this.#text.trim();
    return data === "" ? [] : [{ data }];
  }
}
