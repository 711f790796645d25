import type { Steps } from "../net/pace.js";
import type { HasOptions } from "./descriptor-proto.js";
import { FEATURES_FIELD } from "./features.js";
import type { Problems } from "./problems.js";
import type { SourceFile } from "./source-file.js";
import { type DescriptorSymbol, nested, qualify, topLevel } from "./symbol-table.js";
import { givesWay } from "./well-known.js";
import { WireReader, WireType } from "./wire.js";

const BYTES_PER_UNIT = 20;

/** Reports options of a received file that are no messages, so that reading them later cannot fail. */
export function* checkOptions(file: SourceFile, problems: Problems): Steps {
  if (file.raw === undefined) return;
  for (const [element, { options }, features] of optionsOf(file)) {
    yield 1 + (options?.length ?? 0) / BYTES_PER_UNIT;
    if (options === undefined || options.length === 0 || isMessage(options, features)) continue;
    const position = { file: file.origin, line: 0, column: 0 };
    problems.error({ message: `the options of "${element}" are malformed`, position, path: element });
  }
}

/** Name of the element, what holds its options, and the number of `features` in them. */
type Entry = readonly [string, HasOptions, number];

function* optionsOf(file: SourceFile): Generator<Entry> {
  yield [file.proto.name, file.proto, FEATURES_FIELD.file];
  for (const symbol of topLevel(file)) {
    if (!givesWay(file) || !file.dropped.has(symbol.proto)) yield* symbolOptions(symbol);
  }
}

function* symbolOptions(symbol: DescriptorSymbol): Generator<Entry> {
  const { fullName, kind, proto } = symbol;
  const entry = (each: HasOptions & { name: string }, features: number): Entry => {
    return [qualify(fullName, each.name), each, features];
  };
  switch (kind) {
    case "message":
      yield [fullName, proto, FEATURES_FIELD.message];
      for (const field of proto.field) yield entry(field, FEATURES_FIELD.field);
      for (const oneof of proto.oneofDecl) yield entry(oneof, FEATURES_FIELD.oneof);
      for (const child of nested(symbol)) yield* symbolOptions(child);
      break;
    case "enum":
      yield [fullName, proto, FEATURES_FIELD.enum];
      for (const value of proto.value) yield entry(value, 0);
      break;
    case "service":
      yield [fullName, proto, 0];
      for (const method of proto.method) yield entry(method, 0);
      break;
    case "extension":
      yield [fullName, proto, FEATURES_FIELD.field];
      break;
  }
}

function isMessage(bytes: Uint8Array, submessage: number): boolean {
  try {
    const reader = new WireReader(bytes);
    while (reader.next()) {
      if (reader.number !== submessage || reader.wireType !== WireType.BYTES) reader.skip();
      else if (!isMessage(reader.delimited(), 0)) return false;
    }
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}
