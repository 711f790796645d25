import type { EndpointBinding, PassThroughBinding } from "../bindings/snapshot.js";
import { type HeaderList, noBody } from "../server/exchange.js";
import { arrived } from "./arrival.js";
import { ExchangeCaller } from "./caller.js";
import { acceptType } from "./content-type.js";
import { passOn, type Told } from "./pass-on.js";
import { type Answer, everyReply, type Progress } from "./progress.js";

/** Hands the request to the HTTP backend of its prefix, which answers it. */
export async function passThrough(progress: Progress, binding: PassThroughBinding): Promise<Answer> {
  const { exchange, snapshot, requestId, passage } = progress;
  const replyHeaders: HeaderList = [
    ["x-request-id", requestId],
    ...everyReply(progress),
    ...(passage?.headers ?? []),
  ];
  const identity = passage?.identity;
  const told: Told = {
    failed: failure => {
      progress.failure = failure;
    },
    received: bytes => {
      progress.requestBytes += bytes;
    },
    sent: bytes => {
      progress.relayedBytes += bytes;
    },
  };
  const status = await passOn(exchange, binding, identity, requestId, snapshot.origins, replyHeaders, told);
  return { status, headers: [], body: noBody, sent: true };
}

/** The answer of a route that the gateway answers itself. */
export async function answerEndpoint(
  progress: Progress,
  binding: EndpointBinding,
  variables: readonly string[],
): Promise<Answer> {
  const { exchange, requestId, passage, snapshot } = progress;
  const arriving = exchange.body(binding.bodyLimit);
  const body = arriving instanceof Uint8Array ? arriving : await arrived(binding, arriving);
  progress.requestBytes = body.length;
  if (body.length > 0) acceptType(exchange, snapshot.origins);
  const own = await binding.endpoint.answer({
    method: exchange.method,
    path: exchange.path,
    query: exchange.query,
    variables,
    body,
    identity: passage?.identity,
    clientAddress: new ExchangeCaller(exchange, snapshot.origins).clientAddress,
    requestId,
    cancellation: exchange.cancellation,
    header: name => exchange.header(name),
  });
  const { renderSuccess } = binding.dialect;
  const enveloped = renderSuccess !== undefined && own.status === 200 && typeof own.body === "string";
  return {
    status: own.status,
    headers: own.headers.map(entry => [...entry]),
    body: enveloped ? renderSuccess(own.body as string) : own.body,
  };
}
