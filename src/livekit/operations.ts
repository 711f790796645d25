import type { LocalOperation, ParameterDescription } from "../bindings/built-in-route.js";
import type { LiveKitRouteConfig } from "./config.js";
import { maxNameBytes } from "./removals.js";
import type { TokenSource } from "./source.js";
import { everySource, type TokenSources } from "./subject.js";

const tag = { name: "livekit", description: "Tokens for LiveKit rooms, and the webhook of its server." };

const bodyReasons = [
  "MALFORMED_JSON",
  "DUPLICATE_KEY",
  "TOO_DEEP",
  "UNSUPPORTED_MEDIA_TYPE",
  "BODY_TOO_LARGE",
] as const;

/** What documents say of a route that gives out tokens. */
export function tokenOperation(
  method: string,
  template: string,
  { grant, response: names }: LiveKitRouteConfig,
  sources: TokenSources,
): LocalOperation {
  const needed = new Set([sources.room, sources.identity]);
  const all = everySource(sources);
  const of = (kind: TokenSource["kind"]): readonly TokenSource[] =>
    all.filter(source => source.kind === kind);
  const schema = (source: TokenSource, nullable: boolean) =>
    needed.has(source)
      ? { type: "string", minLength: 1, maxLength: maxNameBytes }
      : { type: nullable ? ["string", "null"] : "string" };
  const describe = (source: TokenSource): string =>
    source === sources.room
      ? "The room."
      : source === sources.identity
        ? "Who wants to join."
        : "A part of the token.";
  const parameters = Object.fromEntries(
    [...of("path"), ...of("query")].map((source): [string, ParameterDescription] => [
      source.field,
      { description: describe(source), schema: schema(source, false), required: needed.has(source) },
    ]),
  );
  const body = of("body");
  const required = body.filter(source => needed.has(source)).map(({ field }) => field);
  return {
    id: `livekit.token.${method.toLowerCase()}.${template.replace(/[^\w]+/g, "-").replace(/^-|-$/g, "")}`,
    summary: "Gives out a token for a LiveKit room",
    description: `The token has the grant \`${grant}\`.`,
    tag,
    parameters,
    ...(body.length === 0
      ? {}
      : {
          body: {
            type: "object",
            properties: Object.fromEntries(body.map(source => [source.field, schema(source, true)])),
            ...(required.length === 0 ? {} : { required: [...new Set(required)] }),
            additionalProperties: false,
          },
        }),
    response: {
      type: "object",
      properties: {
        [names.url]: { type: "string", description: "Where LiveKit is." },
        [names.jwt]: { type: "string", description: "The token." },
      },
      required: [names.url, names.jwt],
    },
    reasons: [
      ...bodyReasons,
      "INVALID_VALUE",
      "UNKNOWN_FIELD",
      "UNKNOWN_PARAMETER",
      "REPEATED_PARAMETER",
      "VALIDATION_FAILED",
      "IDENTITY_MISMATCH",
      "PARTICIPANT_REMOVED",
    ],
  };
}

/** What documents say of the webhook. */
export const webhookOperation: LocalOperation = {
  id: "livekit.webhook",
  summary: "Takes an event of the LiveKit server",
  description: "Signed with the key of the server, in the header Authorization.",
  tag,
  body: { type: "object", description: "A WebhookEvent of LiveKit." },
  response: undefined,
  reasons: [...bodyReasons, "WEBHOOK_REJECTED", "WEBHOOK_FAILED"],
};
