import type { LocalOperation, ParameterDescription } from "../bindings/built-in-route.js";
import type { JsonSchema } from "../dialects/dialect.js";
import type { LiveKitRouteConfig } from "./config.js";
import { maxNameBytes } from "./removals.js";
import type { TokenSource } from "./source.js";
import { everySource, type TokenSources } from "./subject.js";

const tag = {
  name: "livekit",
  description: "Tokens for LiveKit rooms, what is started in them, and the webhook of its server.",
};

const bodyReasons = [
  "MALFORMED_JSON",
  "DUPLICATE_KEY",
  "TOO_DEEP",
  "UNSUPPORTED_MEDIA_TYPE",
  "BODY_TOO_LARGE",
] as const;

/** The reasons of refusals by both kinds of routes. */
const reasons: LocalOperation["reasons"] = [
  ...bodyReasons,
  "INVALID_VALUE",
  "UNKNOWN_FIELD",
  "UNKNOWN_PARAMETER",
  "REPEATED_PARAMETER",
  "VALIDATION_FAILED",
  "IDENTITY_MISMATCH",
  "PARTICIPANT_REMOVED",
];

/** The operation in documents of a route that issues tokens. */
export function tokenOperation(
  method: string,
  template: string,
  { grant, response: names }: LiveKitRouteConfig,
  sources: TokenSources,
): LocalOperation {
  return {
    id: operationId("token", method, template),
    summary: "Gives out a token for a LiveKit room",
    description: `The token has the grant \`${grant}\`.`,
    tag,
    ...inputOf([sources.room, sources.identity], everySource(sources)),
    response: {
      type: "object",
      properties: {
        [names.url]: { type: "string", description: "Where LiveKit is." },
        [names.jwt]: { type: "string", description: "The token." },
      },
      required: [names.url, names.jwt],
    },
    reasons,
  };
}

/**
 * The operation in documents of a route that starts or ends an object.
 * @param shown the fields of LiveKit's response
 * @param needed the sources of room and identity, which are among `sources`
 */
export function actionOperation(
  method: string,
  template: string,
  call: string,
  shown: readonly string[],
  needed: readonly TokenSource[],
  sources: readonly TokenSource[],
): LocalOperation {
  return {
    id: operationId("action", method, template),
    summary: `Calls ${call} of LiveKit`,
    tag,
    ...inputOf(needed, sources),
    response: { type: "object", properties: Object.fromEntries(shown.map(name => [name, {}])) },
    reasons: [...reasons, "UPSTREAM_UNAVAILABLE", "UPSTREAM_TIMEOUT", "UPSTREAM_PROTOCOL"],
  };
}

function operationId(kind: string, method: string, template: string): string {
  return `livekit.${kind}.${method.toLowerCase()}.${template.replace(/[^\w]+/g, "-").replace(/^-|-$/g, "")}`;
}

/** Parameters and body that sources read; the first of `needed` is the room, the second the identity. */
function inputOf(
  needed: readonly TokenSource[],
  sources: readonly TokenSource[],
): Pick<LocalOperation, "parameters" | "body"> {
  const of = (kind: TokenSource["kind"]): readonly TokenSource[] =>
    sources.filter(source => source.kind === kind);
  const schema = (source: TokenSource, nullable: boolean): JsonSchema =>
    needed.includes(source)
      ? { type: "string", minLength: 1, maxLength: maxNameBytes }
      : { type: nullable ? ["string", "null"] : "string" };
  const describe = (source: TokenSource): string =>
    source === needed[0] ? "The room." : source === needed[1] ? "The participant." : "A further value.";
  const parameters = Object.fromEntries(
    [...of("path"), ...of("query")].map((source): [string, ParameterDescription] => [
      source.field,
      { description: describe(source), schema: schema(source, false), required: needed.includes(source) },
    ]),
  );
  const body = of("body");
  if (body.length === 0) return { parameters };
  const required = body.filter(source => needed.includes(source)).map(({ field }) => field);
  return {
    parameters,
    body: {
      type: "object",
      properties: Object.fromEntries(body.map(source => [source.field, schema(source, true)])),
      ...(required.length === 0 ? {} : { required: [...new Set(required)] }),
      additionalProperties: false,
    },
  };
}

/** The operation of the webhook in documents. */
export const webhookOperation: LocalOperation = {
  id: "livekit.webhook",
  summary: "Takes an event of the LiveKit server",
  description: "Signed with the key of the server, in the header Authorization.",
  tag,
  body: { type: "object", description: "A WebhookEvent of LiveKit." },
  response: undefined,
  reasons: [...bodyReasons, "WEBHOOK_REJECTED", "WEBHOOK_FAILED"],
};
