import { choice, mapping, text } from "../../config/schema.js";
import { Type } from "../../config/type-builder.js";

/** `telemetry.tracing`. */
export const TracingSchema = mapping(
  {
    otlp: text("webUrl", {
      description:
        "The OpenTelemetry collector, such as http://127.0.0.1:4318: spans go to /v1/traces below it by OTLP/HTTP.",
    }),
    sample: Type.Number({
      minimum: 0,
      maximum: 1,
      default: 0.01,
      description: "The share of traces that begin here and are recorded, from 0 to 1.",
    }),
    parents: choice(["follow", "sample"], {
      description:
        "Whether the caller's traceparent decides if a trace is recorded (`follow`), or `sample` does as for other traces.",
      default: "follow",
    }),
    max_parents: Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      default: 100,
      description:
        "How many traces of callers a process records in a second; the traceparent of others is passed on unchanged.",
    }),
    service: text("nonempty", {
      description: "`service.name` of the gateway in traces.",
      default: "protogate",
    }),
    headers: Type.Optional(
      Type.Record(
        Type.String({ pattern: "^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$" }),
        text("secret", { description: "The value of the header." }),
        { description: "Headers for the collector, such as an API key.", maxProperties: 20 },
      ),
    ),
  },
  "Traces by OpenTelemetry. Left out, nothing is recorded and a caller's traceparent passes as it is.",
);
