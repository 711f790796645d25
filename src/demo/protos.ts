import { join } from "node:path";
import { fileURLToPath } from "node:url";
import protobuf, { type Root } from "protobufjs";

/** The folder of the demo's protos, the same from `src` and from `dist`. */
const folder = fileURLToPath(new URL("../../protos/demo/", import.meta.url));

const files: readonly string[] = [
  "messaging/resource/v1/message_service.proto",
  "messaging/query/v1/message_service.proto",
  "messaging/update/v1/message_service.proto",
  "messaging/replace/v1/message_service.proto",
  "api/product/app/v1/blog.proto",
  "killrchat/v1/user_service.proto",
  "killrchat/v1/session_service.proto",
  "killrchat/v1/room_service.proto",
  "killrchat/v1/message_service.proto",
];

/**
 * Parses the demo's protos. HTTP annotations are the gateway's affair: the backend speaks gRPC and leaves them unread.
 *
 * @throws Error when a file is missing or not valid
 */
export async function loadProtos(): Promise<Root> {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) =>
    target.endsWith("api/annotations.proto") ? null : join(folder, target);
  return root.load([...files]);
}
