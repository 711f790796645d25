import type { Frame } from "./cpu-profile.js";

const areas: readonly (readonly [RegExp, string | ((found: RegExpExecArray) => string)])[] = [
  [/\/protogate-bench\//, "the profiler itself"],
  [/\/(?:dist|src)\/([^/]+)\//, found => `protogate: ${found[1]}`],
  [/node_modules\/(@grpc\/grpc-js|@[^/]+\/[^/]+|[^/]+)\//, found => found[1] ?? ""],
  [/^node:internal\/http2\/|^node:http2/, "node:http2 (to the upstream)"],
  [/^node:_http|^node:http$|^node:internal\/http$/, "node:http (to the client)"],
];

/** What a frame's own time is put down to: its module, else that of the nearest caller which says more than Node's core. */
export function areaOf(frame: Frame): string {
  if (frame.name === "(garbage collector)") return "garbage collection";
  if (frame.name === "(program)") return "native code outside of any function";
  for (let at: Frame | undefined = frame; at !== undefined; at = at.caller) {
    for (const [pattern, area] of areas) {
      const found = pattern.exec(at.url);
      if (found !== null) return typeof area === "string" ? area : area(found);
    }
  }
  return "Node's event loop, streams, timers";
}
