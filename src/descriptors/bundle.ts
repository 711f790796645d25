import { fileURLToPath } from "node:url";
import { Problems } from "./problems.js";
import { hasProto, listProtos, readProto } from "./proto-folder.js";
import type { SourceFile } from "./source-file.js";

/** The `.proto` files that come with this package. */
export const BUNDLE_FOLDER = fileURLToPath(new URL("../../protos", import.meta.url));

/** Where bundled definitions live; the folder holds protos of examples as well. */
const PARTS = ["buf/", "google/", "grpc/", "trpc/"];

let names: readonly string[] | undefined;

/** Import paths of all bundled files. */
export function bundledNames(): readonly string[] {
  names ??= listProtos(BUNDLE_FOLDER, new Problems()).filter(name =>
    PARTS.some(part => name.startsWith(part)),
  );
  return names;
}

/** Always in the model: errors and well-known types must be readable whatever the user's protos import. */
export function alwaysBundled(): readonly string[] {
  const needed = ["google/rpc/error_details.proto", "google/rpc/status.proto", "google/api/httpbody.proto"];
  return [...needed, ...bundledNames().filter(name => name.startsWith("google/protobuf/"))];
}

/** Import paths of the bundled files that make up a package. */
export function bundledFilesOf(packageName: string): readonly string[] {
  const folder = `${packageName.replaceAll(".", "/")}/`;
  return bundledNames().filter(name => name.startsWith(folder) && !name.includes("/", folder.length));
}

/** A fresh copy of a bundled file, since linking changes it; undefined where there is none of that name. */
export function readBundled(name: string, problems: Problems): SourceFile | undefined {
  if (!PARTS.some(part => name.startsWith(part)) || !hasProto(BUNDLE_FOLDER, name)) return undefined;
  return readProto(BUNDLE_FOLDER, name, "bundle", problems);
}
