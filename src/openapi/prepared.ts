import { createHash } from "node:crypto";
import type { LocalRequest, LocalResponse } from "../bindings/built-in-route.js";
import { chooseCoding } from "../compression/accept-encoding.js";
import { compress } from "../net/gzip.js";

/** A body that is made once and sent to many. */
export interface Prepared {
  readonly etag: string;
  readonly contentType: string;
  readonly plain: Buffer;
  readonly gzipped: Buffer;
}

export async function prepare(contentType: string, plain: Buffer): Promise<Prepared> {
  const etag = createHash("sha256").update(plain).digest("base64url").slice(0, 22);
  return { etag, contentType, plain, gzipped: await compress(plain) };
}

/** The body, compressed where the client takes that, or 304 where it has it. */
export function respond(
  request: LocalRequest,
  { etag, contentType, plain, gzipped }: Prepared,
): LocalResponse {
  const { coding } = chooseCoding(request.header("accept-encoding"), ["gzip"]);
  const tag = coding === undefined ? `"${etag}"` : `"${etag}-${coding}"`;
  const headers: [string, string][] = [
    ["etag", tag],
    ["cache-control", "no-cache"],
    ["vary", "accept, accept-encoding"],
  ];
  const known = request.header("if-none-match") ?? "";
  if (known.includes(`"${etag}"`) || known.includes(`"${etag}-gzip"`) || known.trim() === "*")
    return { status: 304, headers, body: "" };
  headers.push(["content-type", contentType]);
  if (coding === undefined) return { status: 200, headers, body: plain };
  headers.push(["content-encoding", coding]);
  return { status: 200, headers, body: gzipped };
}
