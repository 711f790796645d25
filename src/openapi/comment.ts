/** Characters of one description; a longer comment is cut. */
const maxComment = 16 * 1024;

/** A comment of a `.proto` file as a description: without internal parts (AIP-192) and control characters. */
export function describeComment(comment: string): string {
  if (comment === "") return "";
  const text = comment
    .slice(0, maxComment)
    .replace(/\(--[\s\S]*?(--\)|$)/g, "")
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    .replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g, "")
    .replace(/[\ud800-\udfff]/gu, "\ufffd");
  return text.trim();
}

/** The first sentence of a description, on one line; empty where it is too long to be a summary. */
export function summaryOf(description: string): string {
  const [paragraph = ""] = description.split(/\n[ \t]*\n/, 1);
  const line = paragraph.replace(/\s+/g, " ").trim();
  const end = /[.!?](?=\s)/.exec(line);
  const sentence = end === null ? line : line.slice(0, end.index + 1);
  return sentence.length <= 120 ? sentence.replace(/\.$/, "") : "";
}

/** `GetArticle` as `Get article`. */
export function wordsOf(name: string): string {
  const words = name
    .replace(/_/g, " ")
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .split(" ");
  return words
    .map((word, index) => (index === 0 || /^[A-Z0-9]+$/.test(word) ? word : word.toLowerCase()))
    .join(" ");
}
