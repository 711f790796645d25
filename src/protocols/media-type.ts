import { gatewayError } from "../status/failure.js";

/**
 * One of `types`, which are in lower case and without parameters.
 * @throws GatewayError UNSUPPORTED_MEDIA_TYPE
 */
export function requireReadType(type: string, types: ReadonlySet<string>): string {
  if (types.has(type)) return type;
  const bare = bareType(type);
  if (types.has(bare)) return bare;
  const list = [...types].join(", ");
  const message = `content-type "${type.slice(0, 64)}" is not supported; expected one of ${list}`;
  throw gatewayError("UNSUPPORTED_MEDIA_TYPE", message, [], { headers: [["accept-post", list]] });
}

/** A media type in lower case, without parameters. */
export function bareType(type: string): string {
  const semicolon = type.indexOf(";");
  return (semicolon < 0 ? type : type.slice(0, semicolon)).trim().toLowerCase();
}
