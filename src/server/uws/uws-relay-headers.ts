import { connectionHeaders, connectionOptions } from "../../config/own-header.js";
import { GatewayError, gatewayFailure } from "../../status/failure.js";

/** U+FFFD in UTF-8: what the addon makes of bytes that are none, which are lost. */
const replacement = "\xef\xbf\xbd";

/** What of the fields is for this connection alone, by the client's word. */
function namedOptions(fields: readonly string[]): ReadonlySet<string> {
  const lines: string[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    if (fields[index] === "connection") lines.push(fields[index + 1] ?? "");
  }
  const named = connectionOptions(lines.join());
  // Both say where the body ends.
  named.delete("content-length");
  named.delete("host");
  return named;
}

/**
 * Each name of a request's headers once, with all of its values, without what belongs to its connection.
 * @param fields names in lower case and values in turn, one byte a character
 * @throws GatewayError INVALID_HEADER for a value whose bytes are not known
 */
export function relayedHeaders(fields: readonly string[]): Record<string, string | string[]> {
  const all = new Map<string, string | string[]>();
  const named = namedOptions(fields);
  for (let index = 0; index < fields.length; index += 2) {
    const name = fields[index] ?? "";
    const value = fields[index + 1] ?? "";
    if (connectionHeaders.has(name) || name === "date" || named.has(name)) continue;
    if (value.includes(replacement)) {
      const message = `header "${name}" must be ASCII or UTF-8 to be passed on by this HTTP engine`;
      throw new GatewayError(gatewayFailure("INVALID_HEADER", message));
    }
    const values = all.get(name);
    if (values === undefined) all.set(name, value);
    else if (typeof values === "string") all.set(name, [values, value]);
    else values.push(value);
  }
  return Object.fromEntries(all);
}
