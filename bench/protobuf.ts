import { join } from "node:path";
import protobuf from "protobufjs";
import protojson from "protobufjs/ext/protojson.js";
import { root as repository } from "./repository.js";

protojson.install();

/** Where the bench's own proto is, then those that it imports. */
export const protoFolders = [join(repository, "bench/protos"), join(repository, "protos")] as const;

/** The types of the bench as protobufjs sees them: what a message in `content.ts` is made into bytes with. */
export function loadTypes(): protobuf.Root {
  const types = new protobuf.Root();
  types.resolvePath = (_origin, target) =>
    join(target.startsWith("bench/") ? protoFolders[0] : protoFolders[1], target);
  return types.loadSync("bench/v1/bench_service.proto");
}

export function encode(type: protobuf.Type, json: object): Uint8Array {
  return type.encode(type.fromJson(json)).finish();
}
