/** What differs from run to run, and what stands for it when answers are compared. */
const varying: readonly (readonly [RegExp, string])[] = [
  [/"epoch":"[0-9a-f]+"/g, '"epoch":"…"'],
  [/"session":"[^"]+"/g, '"session":"…"'],
  [/"sent_at":\d+(\.\d+)?/g, '"sent_at":…'],
  [/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, "(time)"],
  [/\beyJ[\w.-]+/g, "(token)"],
  [/sha256:[0-9a-f]{64}/g, "(hash)"],
  [/(key, for the caller: +)\S+/g, "$1(key)"],
];

/** The text with the same words wherever two runs may differ. */
export function steady(text: string): string {
  return varying.reduce((known, [pattern, stand]) => known.replace(pattern, stand), text);
}
