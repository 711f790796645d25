import { checkPath, checkReference } from "../config/check.js";
import type { Findings } from "../config/findings.js";
import { type DraftOf, duration, type Loaded, mapping, text } from "../config/schema.js";
import { Type } from "../config/type-builder.js";

/** `descriptors`. */
export const DescriptorsSchema = Type.Array(
  Type.Union(
    [
      mapping(
        {
          protos: text("path", {
            description: "A folder of .proto files, or one .proto file; imports resolve in the folder first.",
          }),
          include: Type.Array(text("path", { description: "A folder." }), {
            default: [],
            description: "Further folders that imports resolve in, before the bundled ones.",
          }),
          exclude: Type.Array(
            text("nonempty", { description: "A glob, such as preview/** or *_test.proto." }),
            {
              default: [],
              description:
                "Files of the folder that are not loaded unless others import them, relative to the folder.",
            },
          ),
        },
        "A folder of .proto files, or one file with what it imports, parsed when the gateway starts.",
      ),
      mapping(
        { set: text("path", { description: "A file from `protoc --descriptor_set_out` or `buf build`." }) },
        "A compiled FileDescriptorSet.",
      ),
      mapping(
        {
          reflection: text("nonempty", { description: "Name of the upstream that reflects." }),
          refresh: Type.Optional(
            duration({ description: "How often to request the descriptors again. Without it, once." }, 1000),
          ),
        },
        "What an upstream serves by gRPC server reflection (v1 or v1alpha).",
      ),
    ],
    { description: "Where message and service definitions come from: one of protos, set and reflection." },
  ),
  {
    default: [],
    description: "Sources of definitions, merged into one model; a conflict between two is an error.",
  },
);

export type DescriptorsConfig = Loaded<typeof DescriptorsSchema>;

export function checkDescriptors(
  {
    descriptors,
    upstreams,
  }: DraftOf<{ descriptors: DescriptorsConfig; upstreams: Record<string, { readonly protocol: string }> }>,
  findings: Findings,
): void {
  descriptors?.forEach((source, index) => {
    if (source === undefined) return;
    const path = ["descriptors", index];
    if ("set" in source) checkPath([...path, "set"], source.set, "file", findings);
    if ("reflection" in source) {
      const at = [...path, "reflection"];
      checkReference("upstream", at, source.reflection, upstreams, findings);
      const protocol = upstreams?.[source.reflection ?? ""]?.protocol;
      if (protocol !== undefined && protocol !== "grpc")
        findings.error(at, `an upstream with protocol ${protocol} has no reflection; use protos or set`);
    }
    if (!("protos" in source)) return;
    const expected = source.protos?.endsWith(".proto") ? "file" : "folder";
    checkPath([...path, "protos"], source.protos, expected, findings);
    source.include?.forEach((folder, at) => {
      checkPath([...path, "include", at], folder, "folder", findings);
    });
  });
}
