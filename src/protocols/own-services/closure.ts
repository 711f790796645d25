import type { FieldProto, FileProto } from "../../descriptors/descriptor-proto.js";
import type { MethodType } from "../../descriptors/model.js";
import type { Steps } from "../../net/pace.js";

/** A declared extension, its names resolved. */
export interface ResolvedExtension {
  readonly file: FileProto;
  readonly fullName: string;
  /** The message in which it is declared. */
  readonly parent: string | undefined;
  readonly extendee: string;
  readonly proto: FieldProto;
}

interface TypeElement {
  readonly file: FileProto;
  readonly parent: string | undefined;
  /** Types of its fields; none for an enum. */
  readonly uses: readonly string[];
}

/** All that files declare. */
interface Elements {
  readonly types: ReadonlyMap<string, TypeElement>;
  readonly extensions: readonly ResolvedExtension[];
}

/** The elements of the files that are kept. */
export interface KeptElements {
  /** Messages and enums, by full name. */
  readonly types: ReadonlySet<string>;
  readonly extensions: readonly ResolvedExtension[];
  /** The file in which a type is. */
  fileOf(type: string): string | undefined;
}

/** A type as a descriptor of a linked model names it. */
export function typeName(name: string): string {
  return name.startsWith(".") ? name.slice(1) : name;
}

/** The elements that these files declare. */
export function* elementsOf(files: readonly FileProto[]): Steps<Elements> {
  const types = new Map<string, TypeElement>();
  const extensions: ResolvedExtension[] = [];
  for (const file of files) {
    const enter = (
      scope: string,
      parent: string | undefined,
      { messages, enums, extended }: Declarations,
    ): void => {
      const inScope = (name: string): string => (scope === "" ? name : `${scope}.${name}`);
      for (const { name } of enums) types.set(inScope(name), { file, parent, uses: [] });
      for (const proto of extended)
        extensions.push({
          file,
          fullName: inScope(proto.name),
          parent,
          extendee: typeName(proto.extendee ?? ""),
          proto,
        });
      for (const message of messages) {
        const fullName = inScope(message.name);
        const uses = message.field.flatMap(field => (field.typeName ? [typeName(field.typeName)] : []));
        types.set(fullName, { file, parent, uses });
        enter(fullName, fullName, {
          messages: message.nestedType,
          enums: message.enumType,
          extended: message.extension,
        });
      }
    };
    enter(file.package, undefined, {
      messages: file.messageType,
      enums: file.enumType,
      extended: file.extension,
    });
    yield 1 + file.messageType.length;
  }
  return { types, extensions };
}

interface Declarations {
  readonly messages: FileProto["messageType"];
  readonly enums: FileProto["enumType"];
  readonly extended: readonly FieldProto[];
}

/** Types that the methods use, directly or through others, with the messages around them and their extensions. */
export function* closureOf(
  { types, extensions }: Elements,
  methods: readonly MethodType[],
): Steps<KeptElements> {
  const kept = new Set<string>();
  const keep = (name: string): void => {
    if (types.has(name)) kept.add(name);
  };
  for (const { input, output } of methods) {
    keep(input.fullName);
    keep(output.fullName);
  }
  const keptExtensions = new Set<ResolvedExtension>();
  for (let before = -1; kept.size !== before; ) {
    before = kept.size;
    // Grows while it is walked.
    for (const name of kept) {
      const { parent, uses, file } = types.get(name) as TypeElement;
      if (parent !== undefined) keep(parent);
      for (const used of uses) keep(used);
      if (isStandard(file.name))
        for (const [other, element] of types) if (element.file === file) kept.add(other);
      yield 1;
    }
    for (const extension of extensions) {
      // Options are not published, and so neither are the types of their values.
      if (!kept.has(extension.extendee) || extension.extendee.startsWith("google.protobuf.")) continue;
      keptExtensions.add(extension);
      if (extension.parent !== undefined) keep(extension.parent);
      if (extension.proto.typeName) keep(typeName(extension.proto.typeName));
    }
  }
  return { types: kept, extensions: [...keptExtensions], fileOf: type => types.get(type)?.file.name };
}

/** Files that come with every protobuf; they are published as they are, since clients may have them already. */
export function isStandard(file: string): boolean {
  return file.startsWith("google/protobuf/");
}
