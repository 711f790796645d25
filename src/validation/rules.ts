import type { MessageType, Options } from "../descriptors/model.js";
import { WireReader } from "../wire/reader.js";

/** The number of `(buf.validate.message)`, `(buf.validate.oneof)` and `(buf.validate.field)` in their options. */
const RULES = 1159;

/** Tells which types have rules, their own or those of any type within. Remembers what it has found to have none. */
export class RuleFinder {
  readonly #free = new Set<MessageType>();

  hasRules(type: MessageType): boolean {
    const seen = new Set<MessageType>([type]);
    for (const each of seen) {
      if (this.#free.has(each)) continue;
      if (hasOwnRules(each)) return true;
      for (const { message } of each.fields) if (message !== undefined) seen.add(message);
    }
    for (const each of seen) this.#free.add(each);
    return false;
  }
}

function hasOwnRules({ options, oneofs, fields }: MessageType): boolean {
  return carries(options) || [...oneofs, ...fields].some(member => carries(member.options));
}

/** Rules that cannot be read count too: whoever compiles them says what is wrong. */
function carries({ bytes }: Options): boolean {
  const reader = new WireReader(bytes);
  while (reader.next()) {
    if (reader.number === RULES) return true;
    reader.skip();
  }
  return false;
}
