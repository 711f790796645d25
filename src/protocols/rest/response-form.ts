import type { StreamForm } from "../../bindings/stream-config.js";
import { gatewayError } from "../../status/failure.js";

const mediaTypes: ReadonlyMap<string, "json" | "ndjson" | "sse"> = new Map([
  ["application/json", "json"],
  ["application/x-ndjson", "ndjson"],
  ["application/ndjson", "ndjson"],
  ["application/jsonl", "ndjson"],
  ["application/stream+json", "ndjson"],
  ["text/event-stream", "sse"],
]);

/** Ranges of one Accept header that are looked at. */
const maxRanges = 32;

/**
 * The form that Accept requests (RFC 9110 §12.5.1): of those it names the one with the greatest weight, the
 * first of several. JSON without further words is `array`, or `grpc-gateway` where that is the default.
 * @param accept the header; undefined or empty: the default
 * @throws GatewayError NOT_ACCEPTABLE
 */
export function acceptedForm(accept: string | undefined, otherwise: StreamForm): StreamForm {
  if (accept === undefined || accept.trim() === "") return otherwise;
  let best: StreamForm | undefined;
  let bestWeight = 0;
  for (const range of accept.toLowerCase().split(",", maxRanges)) {
    const [type = "", ...parameters] = range.split(";").map(part => part.trim());
    const form = formOf(type, otherwise);
    const weight = weightOf(parameters);
    if (form === undefined || weight <= bestWeight) continue;
    best = form;
    bestWeight = weight;
  }
  if (best === undefined)
    throw gatewayError(
      "NOT_ACCEPTABLE",
      "expected accept to allow application/json, application/x-ndjson or text/event-stream",
    );
  return best;
}

function formOf(type: string, otherwise: StreamForm): StreamForm | undefined {
  const json = otherwise === "grpc-gateway" ? "grpc-gateway" : "array";
  if (type === "*/*") return otherwise;
  if (type === "application/*") return otherwise === "sse" ? json : otherwise;
  if (type === "text/*") return "sse";
  const named = mediaTypes.get(type);
  return named === "json" ? json : named;
}

/** The `q` of a range, 0 to 1; 1 where there is none, 0 where it is malformed. */
function weightOf(parameters: readonly string[]): number {
  const parameter = parameters.find(each => each.startsWith("q="));
  if (parameter === undefined) return 1;
  return /^q=(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(parameter) ? Number(parameter.slice(2)) : 0;
}
