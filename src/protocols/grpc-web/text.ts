import { gatewayError } from "../../status/failure.js";

const block = /^[A-Za-z0-9+/]*={0,2}$/;

/** Decodes base64 in the pieces in which it comes. Each part may be padded, as clients encode their messages one by one. */
export class Base64Reader {
  /** Characters that make no group of four yet. */
  #rest = "";

  /** @throws GatewayError MALFORMED_ENVELOPE */
  push(chunk: Buffer): Buffer {
    const text = this.#rest + chunk.toString("latin1");
    const whole = text.length - (text.length % 4);
    this.#rest = text.slice(whole);
    const parts: Buffer[] = [];
    for (let from = 0; from < whole; ) {
      const padding = text.indexOf("=", from);
      const to = padding < 0 || padding >= whole ? whole : padding - (padding % 4) + 4;
      const part = text.slice(from, to);
      if (!block.test(part)) throw malformed("is not base64");
      parts.push(Buffer.from(part, "base64"));
      from = to;
    }
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  }

  /** @throws GatewayError MALFORMED_ENVELOPE where the text ends within a group */
  end(): void {
    if (this.#rest !== "") throw malformed("ends within a group of four characters of base64");
  }
}

function malformed(what: string): Error {
  return gatewayError("MALFORMED_ENVELOPE", `the body ${what}`);
}
