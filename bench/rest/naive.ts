/**
 * What a team writes by hand for the bench's service: a Fastify route for each method, protobufjs messages as objects,
 * one grpc-js client. Honest about the contract: 64-bit integers and timestamps as ProtoJSON has them.
 */
import { Client, credentials } from "@grpc/grpc-js";
import fastify from "fastify";
import { loadTypes } from "../protobuf.js";

interface TimestampFields {
  readonly seconds: string;
  readonly nanos?: number;
}

interface ReadingFields {
  readonly installed: TimestampFields;
  readonly started: TimestampFields;
  readonly measured: TimestampFields;
  readonly received: TimestampFields;
  readonly marks: readonly TimestampFields[];
  readonly ranges: readonly { readonly since: TimestampFields; readonly until: TimestampFields }[];
}

const deadline = 15_000;
const types = loadTypes();
const client = new Client(process.env.UPSTREAM ?? "", credentials.createInsecure());

function caller(method: string, input: string, output: string): (request: object) => Promise<object> {
  const request = types.lookupType(`bench.v1.${input}`);
  const response = types.lookupType(`bench.v1.${output}`);
  const serialize = (fields: object): Buffer =>
    Buffer.from(request.encode(request.fromObject(fields)).finish());
  const deserialize = (bytes: Buffer): object =>
    response.toObject(response.decode(bytes), { longs: String, enums: String, bytes: String });
  const path = `/bench.v1.BenchService/${method}`;
  return fields =>
    new Promise((resolve, reject) => {
      const options = { deadline: Date.now() + deadline };
      client.makeUnaryRequest(path, serialize, deserialize, fields, options, (error, reply) =>
        error === null && reply !== undefined ? resolve(reply) : reject(error),
      );
    });
}

function timestamp({ seconds, nanos = 0 }: TimestampFields): string {
  return new Date(Number(seconds) * 1000 + nanos / 1e6).toISOString();
}

const getMessage = caller("GetMessage", "GetMessageRequest", "GetMessageResponse");
const updateMessage = caller("UpdateMessage", "UpdateMessageRequest", "UpdateMessageResponse");
const listRows = caller("ListRows", "ListRowsRequest", "ListRowsResponse");
const getReading = caller("GetReading", "GetReadingRequest", "Reading");

const app = fastify();

app.get<{ Params: { id: string }; Querystring: Record<string, string | undefined> }>(
  "/v1/messages/:id",
  async ({ params, query }) => {
    const { revision, "sub.subfield": subfield, user_id: userId } = query;
    return getMessage({
      messageId: params.id,
      ...(revision !== undefined && { revision }),
      ...(subfield !== undefined && { sub: { subfield } }),
      ...(userId !== undefined && { userId }),
    });
  },
);

app.post<{ Params: { id: string }; Body: object }>("/v1/messages/:id", async ({ params, body }) =>
  updateMessage({ messageId: params.id, message: body }),
);

app.get<{ Querystring: { page_size?: string } }>("/v1/rows", async ({ query }) =>
  listRows({ pageSize: Number(query.page_size ?? 0) }),
);

app.get<{ Params: { id: string } }>("/v1/sensors/:id/reading", async ({ params }) => {
  const reading = (await getReading({ sensorId: params.id })) as ReadingFields;
  return {
    ...reading,
    installed: timestamp(reading.installed),
    started: timestamp(reading.started),
    measured: timestamp(reading.measured),
    received: timestamp(reading.received),
    marks: reading.marks.map(timestamp),
    ranges: reading.ranges.map(range => ({
      ...range,
      since: timestamp(range.since),
      until: timestamp(range.until),
    })),
  };
});

await app.listen({ host: "127.0.0.1", port: 0 });
const address = app.server.address();
process.stdout.write(`listening ${typeof address === "object" ? address?.port : address}\n`);
