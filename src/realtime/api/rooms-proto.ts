import { join } from "node:path";
import { fileURLToPath } from "node:url";
import protobuf, { type Root } from "protobufjs";

/** The folder of the protos that come with the package, the same from `src` and from `dist`. */
const folder = fileURLToPath(new URL("../../../protos/", import.meta.url));

const files = [
  "protogate/realtime/v1/rooms.proto",
  "google/rpc/status.proto",
  "google/rpc/error_details.proto",
];

/** The definitions that the service `protogate.realtime.v1.Rooms` needs. */
export async function loadRoomsProto(): Promise<Root> {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => join(folder, target);
  return root.load(files);
}
