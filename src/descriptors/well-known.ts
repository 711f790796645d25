import type { SourceFile } from "./source-file.js";

const PACKAGES: ReadonlySet<string> = new Set([
  "buf.validate",
  "gogoproto",
  "google.api",
  "google.longrunning",
  "google.protobuf",
  "google.protobuf.compiler",
  "google.rpc",
  "google.rpc.context",
  "google.type",
  "grpc.gateway.protoc_gen_openapiv2.options",
  "grpc.gateway.protoc_gen_swagger.options",
  "grpc.health.v1",
  "grpc.reflection.v1",
  "grpc.reflection.v1alpha",
  "pb",
  "trpc.api",
  "validate",
]);

/**
 * Whether a package is one of those that everybody has a copy of. Copies differ in age, so two that differ are no
 * conflict.
 */
export function isWellKnown(packageName: string): boolean {
  return PACKAGES.has(packageName);
}

/**
 * Whether a file gives way to any other definition of what is in it: a bundled file, and a reflected copy of one, since
 * some servers rebuild their descriptors and get those wrong.
 */
export function givesWay({ source, proto }: SourceFile): boolean {
  return source === "bundle" || (source === "files" && isWellKnown(proto.package));
}
