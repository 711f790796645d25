const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/**
 * The members of a JSON object as they were written: the source text of each value by its name. Numbers keep every
 * digit this way, which `JSON.parse` would round to doubles. Of a name that comes twice the last counts, as with
 * `JSON.parse`.
 * @param text an object that `JSON.parse` accepts; of any other text the members mean nothing
 */
export function jsonMembers(text: string): Map<string, string> {
  const members = new Map<string, string>();
  let at = text.indexOf("{") + 1;
  for (;;) {
    const open = text.indexOf('"', at);
    if (open < 0) return members;
    const close = stringEnd(text, open);
    const colon = text.indexOf(":", close);
    if (colon < 0) return members;
    const end = valueEnd(text, colon + 1);
    members.set(JSON.parse(text.slice(open, close)) as string, text.slice(colon + 1, end).trim());
    if (text.charCodeAt(end) !== COMMA) return members;
    at = end + 1;
  }
}

/** Where the string that opens at `open` is over. */
function stringEnd(text: string, open: number): number {
  let at = open + 1;
  while (at < text.length && text.charCodeAt(at) !== QUOTE) at += text.charCodeAt(at) === BACKSLASH ? 2 : 1;
  return at + 1;
}

/** The end of the value at `start`: the comma or the brace after it. */
function valueEnd(text: string, start: number): number {
  let depth = 0;
  let at = start;
  while (at < text.length) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        at = stringEnd(text, at);
        continue;
      case OPEN_LIST:
      case OPEN_OBJECT:
        depth++;
        break;
      case CLOSE_LIST:
      case CLOSE_OBJECT:
        if (depth === 0) return at;
        depth--;
        break;
      case COMMA:
        if (depth === 0) return at;
        break;
    }
    at++;
  }
  return at;
}
