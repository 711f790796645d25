import { decodeFile, type FieldProto, type MessageProto } from "../../descriptors/descriptor-proto.js";

/**
 * Full names of the types that some of these files use and none defines, sorted. Files that cannot be read count for
 * nothing: loading reports them.
 * @param files serialized FileDescriptorProtos
 */
export function undefinedTypes(files: Iterable<Uint8Array>): string[] {
  const defined = new Set<string>();
  const used = new Set<string>();
  const use = (name = "") => {
    // Relative names cannot be asked for.
    if (name.startsWith(".")) used.add(name.slice(1));
  };
  const useAll = (fields: readonly FieldProto[]) => {
    for (const { typeName, extendee } of fields) {
      use(typeName);
      use(extendee);
    }
  };
  const define = (scope: string, { name, field, extension, nestedType, enumType }: MessageProto) => {
    const own = qualified(scope, name);
    defined.add(own);
    for (const each of enumType) defined.add(qualified(own, each.name));
    useAll(field);
    useAll(extension);
    for (const nested of nestedType) define(own, nested);
  };
  for (const bytes of files) {
    const file = read(bytes);
    if (file === undefined) continue;
    for (const each of file.enumType) defined.add(qualified(file.package, each.name));
    for (const message of file.messageType) define(file.package, message);
    useAll(file.extension);
    for (const { method } of file.service) {
      for (const { inputType, outputType } of method) {
        use(inputType);
        use(outputType);
      }
    }
  }
  return [...used].filter(name => !defined.has(name)).sort();
}

function read(bytes: Uint8Array) {
  try {
    return decodeFile(bytes);
  } catch {
    return undefined;
  }
}

function qualified(scope: string, name: string): string {
  return scope === "" ? name : `${scope}.${name}`;
}
