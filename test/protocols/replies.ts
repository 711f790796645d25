import { Metadata, type status } from "@grpc/grpc-js";
import type { RawHandler } from "../gateway/harness.js";

/** Methods of a backend that fail with metadata and details of every kind. */
export const failures: Readonly<Record<"List" | "Rename", RawHandler>> = {
  List: (_call, reply) => {
    const metadata = new Metadata();
    metadata.set("x-end", "late");
    metadata.set("grpc-status-details-bin", Buffer.from([0x08, 5, 0x12, 2, 0x68, 0x69]));
    reply({ code: 5, details: "no 100% of €", metadata });
  },
  Rename: (_call, reply) => reply({ code: 5002 as status, details: "own" }),
};

/** A method that returns its request, with initial and trailing metadata. @param data the value of `data-bin` */
export function withMetadata(data: (received: Metadata) => string | Buffer): RawHandler {
  return (call, reply) => {
    const initial = new Metadata();
    initial.set("x-out", String(call.metadata.get("x-in")));
    initial.set("data-bin", data(call.metadata));
    initial.set("x-secret", "1");
    call.sendMetadata(initial);
    const trailing = new Metadata();
    trailing.set("x-end", "late");
    reply(null, call.request, trailing);
  };
}
