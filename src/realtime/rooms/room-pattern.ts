/** Names of rooms by their form: `*` matches any text, `{name}` one that is not empty. */
export interface RoomPattern {
  readonly text: string;
  /** Names of its parts, in order. */
  readonly parts: readonly string[];
  readonly tokens: readonly PatternToken[];
}

type PatternToken =
  | { readonly literal: string }
  | { readonly literal: undefined; readonly part: string | undefined };

const maxWildcards = 8;
const partName = /^[a-z_][a-z0-9_]{0,31}$/;
/** Names of values that a request to a backend has for every event. */
const taken: ReadonlySet<string> = new Set([
  "type",
  "room_id",
  "from",
  "message",
  "event",
  "data",
  "id",
  "session_id",
  "code",
]);

/** @returns the pattern, or its error, to follow the text */
export function parseRoomPattern(text: string): RoomPattern | string {
  const tokens: PatternToken[] = [];
  const parts: string[] = [];
  for (const piece of text.match(/\*|\{[^{}]*\}|[{}]|[^*{}]+/g) ?? []) {
    if (piece === "{" || piece === "}") return 'expected "{" and "}" around the name of a part, as in {user}';
    if (piece !== "*" && !piece.startsWith("{")) {
      tokens.push({ literal: piece });
      continue;
    }
    const part = piece === "*" ? undefined : piece.slice(1, -1);
    if (part !== undefined && !partName.test(part))
      return `expected a name of a part in lower case, as in {user}, found ${piece}`;
    if (part !== undefined && parts.includes(part)) return `the part ${piece} occurs twice`;
    if (part !== undefined && taken.has(part))
      return `the part ${piece} would be mistaken for the "${part}" of a frame; expected another name`;
    if (tokens.at(-1)?.literal === undefined && tokens.length > 0)
      return `expected a text before ${piece}: without it the end of the part before it is ambiguous`;
    tokens.push({ literal: undefined, part });
    if (part !== undefined) parts.push(part);
  }
  if (tokens.length - tokens.filter(({ literal }) => literal !== undefined).length > maxWildcards)
    return `expected at most ${maxWildcards} of * and {…}`;
  return { text, parts, tokens };
}

/**
 * The parts of a name that fits, in the order of the pattern; undefined for one that does not fit. Each takes as little
 * as it can: a name that fits in any way fits so.
 */
export function matchRoom({ tokens }: RoomPattern, name: string): readonly string[] | undefined {
  const found: string[] = [];
  let at = 0;
  for (let index = 0; index < tokens.length; index++) {
    const token = tokens[index] as PatternToken;
    if (token.literal !== undefined) {
      if (!name.startsWith(token.literal, at)) return undefined;
      at += token.literal.length;
      continue;
    }
    const least = token.part === undefined ? at : at + 1;
    const next = tokens[++index]?.literal;
    let end = name.length;
    if (next !== undefined) {
      const isLast = index === tokens.length - 1;
      end = isLast ? name.length - next.length : name.indexOf(next, least);
      if (isLast && !name.endsWith(next)) return undefined;
    }
    if (end < least) return undefined;
    if (token.part !== undefined) found.push(name.slice(at, end));
    at = end + (next?.length ?? 0);
  }
  return at === name.length ? found : undefined;
}

/** Whether every name that fits `narrow` fits `wide`; false where that cannot be decided. */
export function covers(wide: RoomPattern, narrow: RoomPattern): boolean {
  const symbols = narrow.tokens.flatMap(symbolsOf);
  const required = wide.tokens.flatMap(symbolsOf);
  // Whether the first so many required symbols cover the symbols up to each position.
  let reached = new Set([0]);
  for (const symbol of required) {
    const next = new Set<number>();
    for (const index of reached) {
      if (symbol !== any && symbol !== some) {
        if (symbols[index] === symbol) next.add(index + 1);
        continue;
      }
      let filled = symbol === any;
      if (filled) next.add(index);
      for (let end = index; end < symbols.length; ) {
        filled = symbols[end++] !== any || filled;
        if (filled) next.add(end);
      }
    }
    reached = next;
  }
  return reached.has(symbols.length);
}

const any = "any";
const some = "some";

/** Its characters, or the symbols of texts: no character has so many letters. */
function symbolsOf(token: PatternToken): string[] {
  if (token.literal !== undefined) return [...token.literal];
  return [token.part === undefined ? any : some];
}
