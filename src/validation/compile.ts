import type { Diagnostic } from "../config/diagnostic.js";
import type { MessageType, Model } from "../descriptors/model.js";
import type { Pace } from "../net/pace.js";
import { RuleFinder } from "./rules.js";
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
  const finder = new RuleFinder();
  const ruled: MessageType[] = [];
  for (const type of new Set(types)) {
    if (finder.hasRules(type)) ruled.push(type);
    if (pace.spent(searchUnits)) await pace.nextTurn();
  }
  if (ruled.length === 0) return { byType: new Map(), diagnostics: [] };
  const { enforceRules } = await import("./protovalidate.js");
  return enforceRules(model, ruled);
}

/** What searching one message type for rules costs. */
const searchUnits = 10;
