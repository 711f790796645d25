import type { HttpConfig } from "../config/schema.js";
import type { HeaderList } from "../server/exchange.js";

/** What a reply carries for the safety of browsers, by whether its connection is encrypted. */
export type SecurityHeaders = (encrypted: boolean) => HeaderList;

const defaults = { "x-content-type-options": "nosniff" } as const;

/** Only over TLS may it be sent (RFC 6797 §7.2). */
const transportSecurity = "strict-transport-security";

/** The defaults and what is configured over them; an empty value leaves a header out. */
export function securityHeaders(configured: HttpConfig["security_headers"]): SecurityHeaders {
  const values = new Map<string, string>(Object.entries(defaults));
  for (const [name, value] of Object.entries(configured)) values.set(name.toLowerCase(), value);
  const encrypted = [...values].filter(([, value]) => value !== "");
  const plain = encrypted.filter(([name]) => name !== transportSecurity);
  return secure => (secure ? encrypted : plain);
}
