import { gatewayError } from "../../status/failure.js";

/** The parameters of a GET (https://connectrpc.com/docs/protocol#unary-get-request). */
export interface GetParameters {
  readonly connect: string | undefined;
  readonly encoding: string | undefined;
  readonly compression: string | undefined;
  /** Undefined where it is missing. */
  readonly message: Buffer | undefined;
}

/**
 * Parameters of other names are passed over.
 * @param query raw, without `?`
 * @throws GatewayError MALFORMED_QUERY
 */
export function readGetParameters(query: string): GetParameters {
  const found = new Map<string, Buffer>();
  for (const part of query.split("&")) {
    const equals = part.indexOf("=");
    const name = equals < 0 ? part : part.slice(0, equals);
    if (!names.has(name)) continue;
    if (found.has(name)) throw gatewayError("MALFORMED_QUERY", `the parameter "${name}" is given twice`);
    found.set(name, percentDecoded(equals < 0 ? "" : part.slice(equals + 1), name));
  }
  const text = (name: string): string | undefined => found.get(name)?.toString("latin1");
  const message = found.get("message");
  return {
    connect: text("connect"),
    encoding: text("encoding"),
    compression: text("compression"),
    message: message !== undefined && text("base64") === "1" ? base64Decoded(message) : message,
  };
}

const names: ReadonlySet<string> = new Set(["connect", "encoding", "base64", "compression", "message"]);

/** To bytes, which need not be UTF-8; `+` is a space. */
function percentDecoded(text: string, name: string): Buffer {
  const bytes = Buffer.allocUnsafe(text.length);
  let length = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x25) {
      const hex = text.slice(at + 1, at + 3);
      if (!/^[0-9A-Fa-f]{2}$/.test(hex))
        throw gatewayError("MALFORMED_QUERY", `the parameter "${name}" has invalid percent-encoding`);
      bytes[length++] = Number.parseInt(hex, 16);
      at += 2;
    } else {
      bytes[length++] = code === 0x2b ? 0x20 : code;
    }
  }
  return bytes.subarray(0, length);
}

/** Both alphabets, with or without padding. */
function base64Decoded(bytes: Buffer): Buffer {
  const text = bytes.toString("latin1");
  // Unescaped, the `+` of the other alphabet has become a space.
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(text.replaceAll(" ", "+")))
    throw gatewayError("MALFORMED_QUERY", 'the parameter "message" is not base64');
  return Buffer.from(text.replaceAll(" ", "+"), "base64");
}
