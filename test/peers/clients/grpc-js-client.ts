import { Client, type ClientDuplexStream, credentials, Metadata, type StatusObject } from "@grpc/grpc-js";
import { type KindsClient, type KindsOutcome, type KindsResponse, tag } from "./call.js";
import type { KindsSchema } from "./schema.js";

/** @param ca of the gateway; undefined for plain text */
export function grpcJsClient(
  address: string,
  ca: Buffer | undefined,
  schema: KindsSchema,
  begun: () => Promise<void>,
): KindsClient {
  const client = new Client(address, ca ? credentials.createSsl(ca) : credentials.createInsecure());
  const same = (bytes: Buffer): Buffer => bytes;
  return {
    call: ({ method, requests, timeoutMs, cancelAfter }) =>
      new Promise<KindsOutcome>(resolve => {
        const path = `/peer.v1.KindsService/${method}`;
        const metadata = new Metadata();
        metadata.set("x-request-tag", tag);
        const options = timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
        const responses: KindsResponse[] = [];
        const take = (bytes: Buffer | undefined): void => {
          if (bytes === undefined) return;
          responses.push(schema.decodeResponse(bytes));
          if (responses.length === cancelAfter) call.cancel();
        };
        const [first = Buffer.alloc(0)] = requests.map(each => Buffer.from(schema.encodeRequest(each)));
        const one = (_error: unknown, bytes: Buffer | undefined): void => take(bytes);
        const call = {
          Unary: () => client.makeUnaryRequest(path, same, same, first, metadata, options, one),
          Server: () => client.makeServerStreamRequest(path, same, same, first, metadata, options),
          Client: () => client.makeClientStreamRequest(path, same, same, metadata, options, one),
          Bidi: () => client.makeBidiStreamRequest(path, same, same, metadata, options),
        }[method]() as ClientDuplexStream<Buffer, Buffer>;
        if (method === "Server" || method === "Bidi") {
          call.on("data", take);
          call.on("error", () => undefined);
        }
        if (method === "Client" || method === "Bidi") {
          for (const each of requests) call.write(Buffer.from(schema.encodeRequest(each)));
          call.end();
        }
        if (cancelAfter === 0) void begun().then(() => call.cancel());
        let initial: string | undefined;
        call.on("metadata", received => {
          initial = received.get("x-initial")[0]?.toString();
        });
        call.on("status", (status: StatusObject) => {
          const [details] = status.metadata.get("grpc-status-details-bin");
          // The callback of the one response comes behind this event.
          setImmediate(() =>
            resolve({
              responses,
              code: status.code,
              message: status.code === 0 ? "" : status.details,
              reason: details === undefined ? undefined : schema.reasonOf(details as Buffer),
              initial,
              trailing: status.metadata.get("x-trailing")[0]?.toString(),
            }),
          );
        });
      }),
    close: () => client.close(),
  };
}
