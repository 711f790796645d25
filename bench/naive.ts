/** The baseline: what a team writes by hand. Fastify + grpc-js + protobufjs objects, one route, no policies. */
import { fileURLToPath } from "node:url";
import { Client, credentials } from "@grpc/grpc-js";
import fastify from "fastify";
import protobuf from "protobufjs";

const protos = fileURLToPath(new URL("../protos", import.meta.url));
const root = new protobuf.Root();
root.resolvePath = (_origin, target) => (target.startsWith("/") ? target : `${protos}/${target}`);
await root.load(`${protos}/demo/messaging/query/v1/message_service.proto`);
const request = root.lookupType("messaging.query.v1.GetMessageRequest");
const response = root.lookupType("messaging.query.v1.GetMessageResponse");
const path = "/messaging.query.v1.MessageService/GetMessage";

const client = new Client(`127.0.0.1:${process.env.BACKEND_PORT}`, credentials.createInsecure());

function getMessage(fields: object): Promise<protobuf.Message> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      (value: object) => Buffer.from(request.encode(request.fromObject(value)).finish()),
      (bytes: Buffer) => response.decode(bytes),
      fields,
      { deadline: Date.now() + 5000 },
      (error, message) => (error === null && message !== undefined ? resolve(message) : reject(error)),
    );
  });
}

const app = fastify();
app.get<{ Params: { id: string }; Querystring: { revision?: string; "sub.subfield"?: string } }>(
  "/v1/messages/:id",
  async call => {
    const { revision, "sub.subfield": subfield } = call.query;
    const message = await getMessage({ messageId: call.params.id, revision, sub: { subfield } });
    return response.toObject(message, { longs: String, enums: String, bytes: String });
  },
);
await app.listen({ host: "127.0.0.1", port: 0 });
const address = app.server.address();
process.stdout.write(`listening ${typeof address === "object" ? address?.port : address}\n`);
