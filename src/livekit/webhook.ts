import { decodeJwt } from "jose";
import { type WebhookEvent, WebhookReceiver } from "livekit-server-sdk";
import type { LocalHandler, LocalRequest } from "../bindings/built-in-route.js";
import { requireJsonBody } from "../bindings/json-body.js";
import { createCodecs } from "../codec/codecs.js";
import { Writer } from "../codec/json-to-wire/writer.js";
import { statusDialect } from "../dialects/status.js";
import { Cancellation } from "../net/cancellation.js";
import { errorMessage } from "../net/error-text.js";
import { TemplateError } from "../routing/template.js";
import { parseTemplate } from "../routing/template-parser.js";
import { GatewayError, gatewayError } from "../status/failure.js";
import type { LiveKitConfig, LiveKitWebhookConfig } from "./config.js";
import { webhookOperation } from "./operations.js";
import type { LiveKitParts } from "./parts.js";
import { compileCall } from "./rpc.js";

/** Bytes; events are a few kilobytes, those with many tracks some more. */
const bodyLimit = 256 * 1024;

/** Seconds that the clocks of LiveKit and gateway may be apart, for `nbf` and `exp` of the signature. */
const clockTolerance = 60;

/** @throws any error that keeps the event from being delivered */
type Deliver = (event: WebhookEvent, request: LocalRequest) => Promise<void>;

/** The endpoint of `livekit.webhook`. Its errors go to the problems. */
export function webhookEndpoint(webhook: LiveKitWebhookConfig, parts: LiveKitParts): LocalHandler {
  const { livekit, deps } = parts;
  const { metrics, log, delivered } = deps;
  const at = ["livekit", "webhook", "path"];
  refuseVariables(webhook.path, parts);
  const receivers = receiversOf(livekit);
  const deliveries = compileDeliveries(webhook, parts);
  return {
    method: "POST",
    template: webhook.path,
    at,
    service: "livekit",
    // The signature is the authentication.
    auth: "none",
    rateLimit: undefined,
    dialect: statusDialect,
    bodyLimit,
    operation: webhookOperation,
    async handle(request) {
      requireJsonBody(request);
      const event = await receive(receivers, request).catch((error: unknown) => {
        metrics.webhook(undefined, "rejected");
        log("warn", { request_id: request.requestId, error: describe(error) }, "LiveKit webhook rejected");
        throw rejected();
      });
      try {
        const first = await delivered.run(event.id, async () => {
          for (const deliver of deliveries) await deliver(event, request);
        });
        metrics.webhook(event.event, first ? "accepted" : "repeated");
      } catch (error) {
        metrics.webhook(event.event, "failed");
        const fields = { request_id: request.requestId, event: event.event, error: describe(error) };
        log("warn", fields, "LiveKit webhook could not be delivered");
        throw gatewayError("WEBHOOK_FAILED", "the event could not be delivered; send it again");
      }
      return { status: 200, headers: [], body: "" };
    },
  };
}

/** By API key: of every project, and of keys that are being replaced. */
function receiversOf(livekit: LiveKitConfig): ReadonlyMap<string, WebhookReceiver> {
  const projects = [livekit, ...Object.values(livekit.projects)];
  const pairs = projects.flatMap(project => [...project.previous_keys, project]);
  return new Map(pairs.map(pair => [pair.api_key, new WebhookReceiver(pair.api_key, pair.api_secret)]));
}

/** The signature covers the bytes, so that they are read as text only to be given to the SDK. */
async function receive(
  receivers: ReadonlyMap<string, WebhookReceiver>,
  request: LocalRequest,
): Promise<WebhookEvent> {
  const token = request.header("authorization") ?? "";
  // Chooses a key; the receiver verifies that the token is signed with it.
  const { iss = "" } = decodeJwt(token);
  const receiver = receivers.get(iss);
  if (receiver === undefined) throw new Error("the token names no API key of the configuration");
  return receiver.receive(Buffer.from(request.body).toString("utf8"), token, false, clockTolerance);
}

function rejected(): GatewayError {
  const message = "the webhook is not signed with the key of the configuration";
  const headers: [string, string][] = [["www-authenticate", "Bearer"]];
  return gatewayError("WEBHOOK_REJECTED", message, [], { headers });
}

/** A webhook has one address; the values of variables would mean nothing. */
function refuseVariables(path: string, { problems }: LiveKitParts): void {
  try {
    const template = parseTemplate(path);
    if (template.segments.every(segment => segment.kind === "literal")) return;
    problems.error(["livekit", "webhook", "path"], "expected a path without variables and wildcards");
  } catch (error) {
    // Reported where all routes are put together.
    if (!(error instanceof TemplateError)) throw error;
  }
}

function compileDeliveries(webhook: LiveKitWebhookConfig, parts: LiveKitParts): readonly Deliver[] {
  const deliveries: Deliver[] = [];
  if (webhook.call !== undefined) {
    const deliver = compileCalling(webhook.call, parts);
    if (deliver !== undefined) deliveries.push(deliver);
  }
  if (webhook.publish !== undefined) {
    const deliver = compilePublishing(webhook.publish, parts);
    if (deliver !== undefined) deliveries.push(deliver);
  }
  return deliveries;
}

function compileCalling(
  call: NonNullable<LiveKitWebhookConfig["call"]>,
  { config, deps, problems }: LiveKitParts,
): Deliver | undefined {
  const { model, channel } = deps;
  const at = ["livekit", "webhook", "call", "method"];
  const called = compileCall(call, config, model, channel, at, problems);
  if (called === undefined) return undefined;
  const codec = createCodecs(model, policy).message(called.method.input);
  return (_event, { body, requestId }) => {
    const writer = new Writer();
    codec.encodeText(body, writer);
    // LiveKit gives up sooner than a backend may need; the event counts once it is delivered.
    return called.call(writer.finish(), [["x-request-id", requestId]], new Cancellation());
  };
}

function compilePublishing(
  { room: template, from }: NonNullable<LiveKitWebhookConfig["publish"]>,
  { deps: { publish }, problems }: LiveKitParts,
): Deliver | undefined {
  if (publish === undefined) {
    return problems.error(["livekit", "webhook", "publish"], "there are no realtime rooms to publish to");
  }
  return async event => {
    const room = realtimeRoom(template, event);
    if (room !== undefined) await publish(room, { from, message: eventDigest(event) });
  };
}

const policy = {
  enums: "name",
  int64: "string",
  emitDefaults: false,
  names: "json",
  unknownFields: "ignore",
  depth: 64,
} as const;

function describe(error: unknown): string {
  if (error instanceof GatewayError) return `${error.failure.reason}: ${error.failure.message}`;
  return errorMessage(error);
}

/** The room that an event is about; empty where it is about none. */
function roomOf({ room, egressInfo, ingressInfo }: WebhookEvent): string {
  return room?.name || egressInfo?.roomName || ingressInfo?.roomName || "";
}

/**
 * The realtime room that an event is published to.
 * @param template with `{room}`, `{identity}` and `{event}`
 * @returns undefined where the event lacks one that the template names
 */
function realtimeRoom(template: string, event: WebhookEvent): string | undefined {
  const values: Readonly<Record<string, string>> = {
    "{room}": roomOf(event),
    "{identity}": event.participant?.identity ?? "",
    "{event}": event.event,
  };
  let complete = true;
  const room = template.replace(/\{[a-z]+\}/g, placeholder => {
    const value = values[placeholder] ?? "";
    if (value === "") complete = false;
    return value;
  });
  return complete ? room : undefined;
}

/**
 * The part of an event that members of a room may see, as JSON text. Never all of it: an event of an ingress holds a
 * stream key, one of an egress addresses of storage, and a participant's metadata may be for the server alone.
 */
function eventDigest(event: WebhookEvent): string {
  const { participant, track } = event;
  const room = roomOf(event);
  return JSON.stringify({
    event: event.event,
    id: event.id,
    created_at: Number(event.createdAt),
    ...(room === "" ? {} : { room }),
    ...(participant === undefined ? {} : { identity: participant.identity, name: participant.name }),
    ...(track === undefined ? {} : { track: { sid: track.sid, name: track.name, muted: track.muted } }),
  });
}
