import protobuf from "protobufjs";

/** The error messages of googleapis as protobufjs reads and writes them, to hold the hand-written code against. */
const root = new protobuf.Root();
root.resolvePath = (_origin, target) => `node_modules/google-proto-files/${target}`;
root.loadSync(["google/rpc/status.proto", "google/rpc/error_details.proto"]);

export function encode(type: string, value: Record<string, unknown>): Uint8Array {
  const message = root.lookupType(type);
  return message.encode(message.fromObject(value)).finish();
}

export function decode(type: string, bytes: Uint8Array): Record<string, unknown> {
  const message = root.lookupType(type);
  return message.toObject(message.decode(bytes), { longs: String });
}

/** An Any as `google.rpc.Status` carries it. */
export function any(type: string, value: Record<string, unknown>): { type_url: string; value: Uint8Array } {
  return { type_url: `type.googleapis.com/${type}`, value: encode(type, value) };
}
