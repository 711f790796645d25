import type { DescMethodStreaming, DescMethodUnary } from "@bufbuild/protobuf";
import { ConnectError, type Transport } from "@connectrpc/connect";
import { type KindsCall, type KindsOutcome, type KindsResponse, tag } from "./call.js";
import type { KindsSchema } from "./schema.js";

/**
 * Makes a call by a transport of @connectrpc, in Node.js or in a browser.
 * @param begun resolves when the backend has the call
 */
export async function callByConnect(
  transport: Transport,
  schema: KindsSchema,
  { method, requests, timeoutMs, cancelAfter }: KindsCall,
  begun: () => Promise<void>,
): Promise<KindsOutcome> {
  const descriptor = schema.method(method);
  const abort = new AbortController();
  const headers = { "x-request-tag": tag };
  const responses: KindsResponse[] = [];
  let initial: Headers | undefined;
  let trailing: Headers | undefined;
  if (cancelAfter === 0) void begun().then(() => abort.abort());
  try {
    if (descriptor.methodKind === "unary") {
      const one = schema.request(requests[0] ?? {});
      const response = await transport.unary(
        descriptor as DescMethodUnary,
        abort.signal,
        timeoutMs,
        headers,
        one,
      );
      initial = response.header;
      trailing = response.trailer;
      responses.push(plain(response.message));
    } else {
      const all = (async function* () {
        for (const request of requests) yield schema.request(request);
      })();
      const response = await transport.stream(
        descriptor as DescMethodStreaming,
        abort.signal,
        timeoutMs,
        headers,
        all,
      );
      initial = response.header;
      trailing = response.trailer;
      for await (const message of response.message) {
        responses.push(plain(message));
        if (responses.length === cancelAfter) abort.abort();
      }
    }
  } catch (error) {
    const failed = ConnectError.from(error);
    const infos = failed.findDetails(schema.info) as unknown as { reason: string }[];
    return {
      responses,
      code: failed.code,
      message: failed.rawMessage,
      reason: infos[0]?.reason,
      initial: (initial ?? failed.metadata).get("x-initial") ?? undefined,
      trailing: failed.metadata.get("x-trailing") ?? undefined,
    };
  }
  return {
    responses,
    code: 0,
    message: "",
    initial: initial.get("x-initial") ?? undefined,
    trailing: trailing.get("x-trailing") ?? undefined,
  };
}

function plain(message: unknown): KindsResponse {
  const { text, count } = message as KindsResponse;
  return { text, count };
}
