import type { Diagnostic } from "../config/diagnostic.js";
import type { MessageType, Model, Options } from "../descriptors/model.js";
import { inTurns, type Pace } from "../net/pace.js";
import { WireReader } from "../wire/reader.js";
import type { Validate } from "./validator.js";

/** The rules of a model's messages, ready to be enforced. */
export interface Validators {
  /** By message type. A type without rules, its own or of any type within, has no entry. */
  readonly byType: ReadonlyMap<MessageType, Validate>;
  /** Rules that cannot be compiled are errors, those that fail on sample messages warnings. */
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Compiles the `buf.validate` rules of `types` and of every type within them, each once. The library that enforces
 * them is loaded only where there are any.
 */
export async function compileValidators(
  model: Model,
  types: Iterable<MessageType>,
  pace: Pace,
): Promise<Validators> {
  // Looking for rules links all types that are reached, so that it is only done where there can be any.
  const none = { byType: new Map<MessageType, Validate>(), diagnostics: [] };
  let files = 0;
  for (const file of model.files.values()) {
    if (file.package !== "buf.validate" && file.mayHaveOption(RULES)) files++;
    if (pace.spent(1)) await pace.nextTurn();
  }
  if (files === 0) return none;
  const finder = new RuleFinder();
  const ruled: MessageType[] = [];
  for (const type of new Set(types)) {
    if (finder.hasRules(type)) ruled.push(type);
    if (pace.spent(searchUnits)) await pace.nextTurn();
  }
  if (ruled.length === 0) return none;
  const { enforceRules } = await import("./protovalidate.js");
  return inTurns(pace, enforceRules(model, ruled));
}

/** Units for searching one message type for rules. */
const searchUnits = 10;

/** The number of `(buf.validate.message)`, `(buf.validate.oneof)` and `(buf.validate.field)` in their options. */
const RULES = 1159;

/** Finds which types have rules, their own or those of any type within. Remembers the types without rules. */
class RuleFinder {
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

/** Rules that cannot be read count too: compiling them reports the problem. */
function carries({ bytes }: Options): boolean {
  const reader = new WireReader(bytes);
  while (reader.next()) {
    if (reader.number === RULES) return true;
    reader.skip();
  }
  return false;
}
