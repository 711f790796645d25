import type { RpcBinding } from "../../bindings/binding.js";
import { Writer } from "../../codec/json-to-wire/writer.js";
import { whenReady } from "../../net/when-ready.js";

/** How the messages of a call are written: as the backend has them, or as canonical ProtoJSON. */
export interface MessageCodec {
  readonly name: "proto" | "json";
  /** A promise where the message is large, see `Codec.encodeTextInTurns`. @throws TranscodeError, or rejects with it */
  read(message: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /** A promise where the message is large, see `Codec.decodeInTurns`. @throws TranscodeError, or rejects with it */
  write(message: Uint8Array): Uint8Array | Promise<Uint8Array>;
}

const proto: MessageCodec = { name: "proto", read: message => message, write: message => message };

/** Shared by all requests: each message is written without an await between `reset` and `finish`. */
const writer = new Writer();

/** Undefined for a name of no codec. */
export function messageCodec(name: string, { canonical, route }: RpcBinding): MessageCodec | undefined {
  if (name === "proto") return proto;
  if (name !== "json") return undefined;
  const { input, output } = route.rpc;
  return {
    name: "json",
    read: message => canonical.message(input).encodeTextInTurns(message, writer),
    write: message => {
      const text = canonical.message(output).decodeInTurns(message);
      return whenReady(text, utf8);
    },
  };
}

function utf8(text: string): Uint8Array {
  return Buffer.from(text, "utf8");
}
