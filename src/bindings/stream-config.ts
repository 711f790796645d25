import type { ResponsePlan } from "../codec/wire-to-json/response.js";
import type { Loaded } from "../config/schema.js";
import { choice, duration, mapping, section, text } from "../config/schema.js";
import { Type } from "../config/type-builder.js";

/** The form of a server stream in a body: `array` is one JSON array, `grpc-gateway` lines of `{"result":…}`. */
const streamForms = ["array", "ndjson", "sse", "grpc-gateway"] as const;
export type StreamForm = (typeof streamForms)[number];

const stream = {
  description:
    'The form of a server stream for a client whose Accept header allows several. `array`: one JSON array; `ndjson`: a line for each; `sse`: server-sent events; `grpc-gateway`: lines of {"result":…}.',
};

const id = {
  description:
    "Field of the response message that becomes the `id` of an event, by its proto name; a string, a number or an enum.",
};
const event = { description: "Field of the response message that becomes the `event` of an event." };
const lastEventId = {
  description:
    "Field of the request message that Last-Event-ID sets, by its proto name; it replaces a query parameter of that name.",
};
const retry = { description: "How long a client waits before it connects again; without it as it likes." };
const heartbeat = {
  description:
    "After how long without any event a comment is sent, so that clients and proxies keep the connection open.",
};

const field = (about: { description: string }) => Type.Optional(text("field", about));

const sseFields = {
  id: field(id),
  event: field(event),
  last_event_id: field(lastEventId),
  retry: Type.Optional(duration(retry)),
};

/** The options for streams of a service and of each of its methods. */
export const streamOptions = {
  stream: Type.Optional(choice(streamForms, stream)),
  sse: Type.Optional(
    mapping(
      { ...sseFields, heartbeat: Type.Optional(duration(heartbeat)) },
      "Server-sent events. Keys that are left out have the value of the service, else of `service_defaults`.",
    ),
  ),
};

const sse = section(
  { ...sseFields, heartbeat: duration({ ...heartbeat, default: "15s" }) },
  "Server-sent events.",
);

/** The same in `service_defaults`, with the defaults of the program. */
export const streamDefaults = { stream: choice(streamForms, { ...stream, default: "array" }), sse };

/** The configuration for streams of one method. */
export interface StreamPolicy {
  /** For a client whose Accept leaves it open. */
  readonly form: StreamForm;
  /** Proto names of fields, undefined where none is named; times in milliseconds. */
  readonly sse: {
    readonly id: string | undefined;
    readonly event: string | undefined;
    readonly lastEventId: string | undefined;
    readonly retryMs: number | undefined;
    readonly heartbeatMs: number;
  };
}

/** How a route treats a server stream, checked against its messages. */
export interface StreamPlan {
  readonly form: StreamForm;
  /** JSON text of the `id` and the `event` of an event. */
  readonly id: ResponsePlan | undefined;
  readonly event: ResponsePlan | undefined;
  /** The query parameter that Last-Event-ID sets. */
  readonly lastEventId: string | undefined;
  readonly retryMs: number | undefined;
  readonly heartbeatMs: number;
}

export function streamPolicy(form: StreamForm, { id, event, ...rest }: Loaded<typeof sse>): StreamPolicy {
  return {
    form,
    sse: { id, event, lastEventId: rest.last_event_id, retryMs: rest.retry, heartbeatMs: rest.heartbeat },
  };
}
