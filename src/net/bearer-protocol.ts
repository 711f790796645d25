/** Subprotocol that carries a token: `Sec-WebSocket-Protocol: bearer, <token>`, all that a browser can add to an upgrade. */
export const bearer = "bearer";

/** The subprotocols of an upgrade in the order of the header. */
export function offeredProtocols(header: string | undefined): string[] {
  return header === undefined ? [] : header.split(",").map(each => each.trim());
}

/** The token behind `bearer`; undefined where there is none. */
export function bearerToken(header: string | undefined): string | undefined {
  const offered = offeredProtocols(header);
  const at = offered.indexOf(bearer);
  return (at < 0 ? undefined : offered[at + 1]) || undefined;
}
