import type { Readable } from "node:stream";
import type { HeaderList, ResponseWriter } from "../server/response-writer.js";
import type { Failure } from "../status/failure.js";
import type { HttpResponse, Outcome, RequestContext } from "./context.js";
import { forwardingFailure } from "./forward.js";

/** Writes a whole response with trailers behind it. */
export function sendWithTrailers(
  writer: ResponseWriter,
  { status, headers }: Pick<HttpResponse, "status" | "headers">,
  body: string | Uint8Array,
  trailers: HeaderList,
): void {
  const out = writer.open(status, headers);
  if (body.length > 0) out.write(typeof body === "string" ? Buffer.from(body) : body);
  out.end(trailers);
}

/** Writes a body as it comes, as fast as the client takes it. @param finish called once, when it is over */
export function streamBody(
  context: RequestContext,
  response: HttpResponse,
  body: Readable,
  finish: (outcome: Outcome) => void,
): void {
  const { request } = context;
  const writer = context.response.open(response.status, response.headers);
  const counted = request.method !== "HEAD";
  let ended = false;
  const end = (failure?: Failure): void => {
    if (ended) return;
    ended = true;
    if (failure === undefined) {
      writer.end();
      finish(response);
      return;
    }
    body.destroy();
    context.response.abandon();
    finish({ ...response, failure });
  };
  body.on("error", error => end(forwardingFailure(context, error)));
  body.on("end", () => end());
  body.on("close", () => end(forwardingFailure(context, new Error("the body was cut short"))));
  body.on("data", (chunk: Buffer) => {
    if (counted) context.responseBytes += chunk.length;
    if (!writer.write(chunk)) body.pause();
  });
  writer.onDrain(() => body.resume());
  request.cancellation.listen(() => {
    body.destroy();
    end(forwardingFailure(context, new Error("the client has left")));
  });
}
