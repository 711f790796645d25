import { type GatewayError, gatewayError } from "../status/failure.js";
import { announcesBody } from "./inbound-request.js";

/**
 * Whether a request is an opening handshake (RFC 6455 section 4.2.1).
 * @param header the value of a request header by lower-case name, several lines joined by `, `
 * @throws GatewayError UPGRADE_REQUIRED for a request for something else or another version, MALFORMED_REQUEST for one
 *   that is broken
 */
export function requireHandshake(header: (name: string) => string | undefined): void {
  if (!lists(header("upgrade"), "websocket") || !lists(header("connection"), "upgrade"))
    throw upgradeRequired("this is the path of a WebSocket", ["upgrade", "websocket"]);
  if (header("sec-websocket-version") !== "13")
    throw upgradeRequired("expected sec-websocket-version: 13", ["sec-websocket-version", "13"]);
  if (!key.test(header("sec-websocket-key") ?? ""))
    throw gatewayError("MALFORMED_REQUEST", "expected one sec-websocket-key of 16 bytes in base64");
  // Several lines are joined, and which of them is meant is not known.
  if (header("host")?.includes(",") !== false)
    throw gatewayError("MALFORMED_REQUEST", "expected one host header");
  // Its bytes would be read as frames.
  if (announcesBody(header("content-length"), header("transfer-encoding")))
    throw gatewayError("MALFORMED_REQUEST", "a request for a WebSocket has no body");
}

const key = /^[A-Za-z0-9+/]{22}==$/;

function lists(value: string | undefined, token: string): boolean {
  if (value === undefined) return false;
  const lower = value.toLowerCase();
  return lower === token || lower.split(",").some(each => each.trim() === token);
}

function upgradeRequired(message: string, header: readonly [name: string, value: string]): GatewayError {
  return gatewayError("UPGRADE_REQUIRED", message, [], { headers: [header] });
}
