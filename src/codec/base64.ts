/**
 * Bytes from base64 in the standard (RFC 4648 §4) or the URL-safe alphabet (§5), with all padding or none.
 * Undefined where the text is anything else.
 */
export function decodeBase64(text: string): Buffer | undefined {
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const symbols = text.length - padding;
  if (symbols % 4 === 1 || (padding > 0 && text.length % 4 !== 0)) return undefined;
  const bytes = Buffer.from(text, "base64");
  // Node passes over characters outside the alphabets, which leaves fewer bytes than the symbols make.
  return bytes.length === Math.floor((symbols * 3) / 4) ? bytes : undefined;
}
