import { GatewayError, gatewayFailure } from "../status/failure.js";

/**
 * Path and query as the backend sees them: the segments of the prefix replaced, everything else byte for byte, so that
 * policies and the backend judge the same path.
 * @param target path and query as they came
 * @param prefix without `/` at its end
 * @param rewrite what stands in place of the prefix
 * @throws GatewayError MALFORMED_PATH for what a backend may read as another path: control characters, dot segments, a
 *   backslash or a fragment
 */
export function backendTarget(target: string, prefix: string, rewrite: string): string {
  const mark = target.indexOf("?");
  const path = mark < 0 ? target : target.slice(0, mark);
  if (controls.test(path)) throw malformed("the path has an encoded control character");
  if (ambiguous.test(path)) throw malformed("the path has a dot segment, a backslash or a fragment");
  // The prefix may have come percent-encoded: it is counted in segments.
  let rest = 0;
  for (let left = prefix.split("/").length - 1; left > 0 && rest >= 0; left--)
    rest = path.indexOf("/", rest + 1);
  const base = rewrite.endsWith("/") ? rewrite.slice(0, -1) : rewrite;
  const mapped = rest < 0 ? rewrite : `${base}${path.slice(rest)}`;
  return `${mapped === "" ? "/" : mapped}${mark < 0 ? "" : target.slice(mark)}`;
}

const controls = /%(?:[01][0-9a-f]|7f)/i;
const ambiguous = /[\\#]|\/(?:\.|%2e){1,2}(?:\/|$)/i;

function malformed(message: string): GatewayError {
  return new GatewayError(gatewayFailure("MALFORMED_PATH", message));
}
