import { gatewayError } from "../../status/failure.js";

/** The content of a message: a text, or JSON with a name for the kind of message. */
export interface Content {
  readonly message?: string | undefined;
  readonly event?: string | undefined;
  /** JSON text. */
  readonly data?: string | undefined;
}

/** The members of its frame, without the braces. */
export function contentMembers({ message, event, data }: Content): string {
  if (message !== undefined) return `"message":${JSON.stringify(message)}`;
  const named = event === undefined ? [] : [`"event":${JSON.stringify(event)}`];
  return [...named, ...(data === undefined ? [] : [`"data":${data}`])].join(",");
}

/** @throws GatewayError BODY_TOO_LARGE */
export function requireSize({ message, data }: Content, limit: number): void {
  const text = message ?? data ?? "";
  if (text.length * 3 > limit && Buffer.byteLength(text) > limit)
    throw gatewayError("BODY_TOO_LARGE", `a message may have ${limit} bytes`);
}
