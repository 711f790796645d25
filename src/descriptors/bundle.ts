import { fileURLToPath } from "node:url";
import { atOnce, type Steps } from "../net/pace.js";
import { Problems } from "./problems.js";
import { hasProto, listProtos, readProto } from "./proto-folder.js";
import type { SourceFile } from "./source-file.js";

/** The `.proto` files that come with this package. */
export const BUNDLE_FOLDER = fileURLToPath(new URL("../../protos", import.meta.url));

/** Where bundled definitions live; the folder holds protos of examples as well. */
const PARTS = [
  "buf/",
  "gogoproto/",
  "google/",
  "grpc/",
  "protoc-gen-openapiv2/",
  "protoc-gen-swagger/",
  "trpc/",
  "validate/",
];

/** Bundled files that some import by another path. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ["github.com/gogo/protobuf/gogoproto/gogo.proto", "gogoproto/gogo.proto"],
  ["github.com/cosmos/gogoproto/gogoproto/gogo.proto", "gogoproto/gogo.proto"],
  ["github.com/envoyproxy/protoc-gen-validate/validate/validate.proto", "validate/validate.proto"],
]);

/** What languages add to files; only those that import it need it. */
const LANGUAGE_FEATURES = ["cpp", "go", "java"].map(name => `google/protobuf/${name}_features.proto`);

/** Where packages are that lie in no folder of their own name. */
const PLACES: ReadonlyMap<string, readonly string[]> = new Map([
  ["pb", LANGUAGE_FEATURES],
  ["grpc.gateway.protoc_gen_openapiv2.options", optionFiles("protoc-gen-openapiv2")],
  ["grpc.gateway.protoc_gen_swagger.options", optionFiles("protoc-gen-swagger")],
]);

let names: readonly string[] | undefined;

/** Import paths of all bundled files. */
export function bundledNames(): readonly string[] {
  names ??= atOnce(listProtos(BUNDLE_FOLDER, new Problems())).filter(name =>
    PARTS.some(part => name.startsWith(part)),
  );
  return names;
}

/** Always in the model: errors and well-known types must be readable whatever the user's protos import. */
export function alwaysBundled(): readonly string[] {
  const needed = ["google/rpc/error_details.proto", "google/rpc/status.proto", "google/api/httpbody.proto"];
  return [...needed, ...bundledFilesOf("google.protobuf").filter(name => !LANGUAGE_FEATURES.includes(name))];
}

/** Import paths of the bundled files that make up a package. */
export function bundledFilesOf(packageName: string): readonly string[] {
  const places = PLACES.get(packageName);
  if (places !== undefined) return places;
  const folder = `${packageName.replaceAll(".", "/")}/`;
  return bundledNames().filter(name => name.startsWith(folder) && !name.includes("/", folder.length));
}

/** A fresh copy of a bundled file, since linking changes it; undefined where there is none of that name. */
export function* readBundled(name: string, problems: Problems): Steps<SourceFile | undefined> {
  const target = ALIASES.get(name) ?? name;
  if (!PARTS.some(part => target.startsWith(part)) || !hasProto(BUNDLE_FOLDER, target)) return undefined;
  const file = yield* readProto(BUNDLE_FOLDER, target, "bundle", problems);
  if (file === undefined) return undefined;
  file.name = name;
  file.proto.name = name;
  return file;
}

function optionFiles(generator: string): readonly string[] {
  return ["annotations", "openapiv2"].map(name => `${generator}/options/${name}.proto`);
}
