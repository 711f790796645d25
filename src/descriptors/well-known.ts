import type { SourceFile } from "./source-file.js";

const PACKAGES: ReadonlySet<string> = new Set([
  "buf.validate",
  "google.api",
  "google.protobuf",
  "google.rpc",
  "google.type",
  "grpc.health.v1",
  "grpc.reflection.v1",
  "grpc.reflection.v1alpha",
  "trpc.api",
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
