import { TranscodeError } from "../codec/error.js";
import { isHttpBody } from "../codec/http-body.js";
import { createObject, JsonNumber, type JsonObject, type JsonValue } from "../codec/json.js";
import { mapAt, setAt, valueAt } from "../codec/json-to-wire/field-tree.js";
import { parseJson } from "../codec/json-to-wire/parse-json.js";
import {
  gatherPart,
  type PartedParameter,
  type QueryTarget,
  resolveParameter,
} from "../codec/json-to-wire/query.js";
import type { RequestPlan } from "../codec/json-to-wire/request.js";
import { leafFromText, partedValue } from "../codec/json-to-wire/text-value.js";
import { isWellKnown } from "../codec/well-known.js";
import { maxWorkUnits } from "../codec/work.js";
import { nearest } from "../config/nearest.js";
import type { Field, MessageType, Oneof } from "../descriptors/model.js";
import { gatewayError } from "../status/failure.js";
import { fieldPath, takesFile } from "./file-bytes.js";

/**
 * The fields of a form on their way to a request message. Texts bind as query parameters do, JSON as the member of a
 * body does. Files are not kept here, but which fields they may set is decided here.
 */
export class FormFields {
  readonly #plan: RequestPlan;
  /** The message whose fields the form names. */
  readonly #type: MessageType;
  readonly #tree = createObject();
  readonly #work = { units: maxWorkUnits };
  readonly #parted = new Map<string, PartedParameter<QueryTarget>>();
  /** The fields set by parts, from the fields of `#type` on; files too. */
  readonly #set = new SetFields();
  #size = 0;
  /** Whether there is the one part that is the body. */
  #given = false;

  /** @throws GatewayError UNSUPPORTED_MEDIA_TYPE, TranscodeError UNEXPECTED_BODY */
  constructor(plan: RequestPlan) {
    this.#plan = plan;
    this.#type = formType(plan);
  }

  /** Units of work (net/pace.ts) that encoding takes, about as many as reading took. */
  get units(): number {
    return this.#size * unitsPerField + (maxWorkUnits - this.#work.units) / workUnitsPerUnit;
  }

  /** Whether anything is set but files. */
  get empty(): boolean {
    return this.#size === 0;
  }

  /**
   * The field that a part sets as a file, from the request message on; undefined where the part is text or JSON.
   * @param file whether the part is nothing but a file
   * @throws TranscodeError where it is one and its field takes none, or the field is set already
   */
  fileField(name: string, file: boolean): readonly Field[] | undefined {
    const { body } = this.#plan.spec;
    const prefix = body.kind === "field" ? [body.field] : [];
    if (isHttpBody(this.#type)) {
      if (this.#given) throw new TranscodeError("UNEXPECTED_BODY", name, "this route takes one part");
      this.#given = true;
      return prefix;
    }
    const path = fieldPath(this.#type, name);
    if (path === undefined || !takesFile(path)) {
      if (!file) return undefined;
      if (path === undefined) this.#resolve(name);
      const message = "a file needs a field of bytes or google.api.HttpBody";
      throw new TranscodeError("INVALID_VALUE", name, message);
    }
    this.#claim(name, path);
    const whole = [...prefix, ...path];
    for (const variable of this.#plan.spec.variables) {
      if (!whole.every((field, index) => field === variable[index])) continue;
      throw new TranscodeError("FIELD_COLLISION", name, "the path binds this field");
    }
    return whole;
  }

  /** @throws TranscodeError naming the field */
  text(name: string, text: string): void {
    const target = this.#resolve(name);
    if (target === undefined) return;
    this.#size += 1;
    const { path, names, key, part } = target;
    const leaf = path[path.length - 1] as Field;
    const value = named(name, () => leafFromText(part ?? leaf.map?.value ?? leaf, text));
    if (part !== undefined) {
      if (!gatherPart(this.#parted, name, target, part, value)) throw this.#repeated(name);
    } else if (leaf.map !== undefined && key !== undefined) {
      const entries = mapAt(this.#tree, path, names);
      if (Object.hasOwn(entries, key)) throw this.#repeated(name);
      entries[key] = value;
    } else this.#put(name, path, value);
  }

  /**
   * @returns units of work that it took (net/pace.ts)
   * @throws TranscodeError naming the field
   */
  json(name: string, bytes: Uint8Array): number {
    const before = this.#work.units;
    const path = fieldPath(this.#type, name);
    if (path === undefined) this.#resolve(name);
    else {
      this.#size += 1;
      const { depth } = this.#plan.spec;
      const value = named(name, () => parseJson(bytes, { depth, work: this.#work }));
      this.#put(name, path, value);
    }
    return unitsPerField + (before - this.#work.units) / workUnitsPerUnit;
  }

  /**
   * The bytes of the request without its files.
   * @throws TranscodeError naming the field
   */
  encode(variables: readonly string[], query: string): Uint8Array {
    for (const { name, target, parts } of this.#parted.values()) {
      const type = (target.path[target.path.length - 1] as Field).message as MessageType;
      this.#put(
        name,
        target.path,
        named(name, () => partedValue(type, parts)),
      );
    }
    const bytes = isHttpBody(this.#type) ? noBytes : Buffer.from(toJson(this.#tree));
    return this.#plan.encode(variables, query, { contentType: "", bytes });
  }

  #put(name: string, path: readonly Field[], value: JsonValue): void {
    const leaf = path[path.length - 1] as Field;
    const found = valueAt(this.#tree, path);
    if (leaf.repeated && leaf.map === undefined && !Array.isArray(value)) {
      if (Array.isArray(found)) found.push(value);
      else {
        this.#claim(name, path);
        setAt(this.#tree, path, [value]);
      }
      return;
    }
    if (found !== undefined) throw this.#repeated(name);
    this.#claim(name, path);
    setAt(this.#tree, path, value);
  }

  /** Undefined where a name that is no field may be passed over. */
  #resolve(name: string): QueryTarget | undefined {
    const { query, codecs } = this.#plan.spec;
    if (query.ignore.has(name)) return undefined;
    const found = resolveParameter(this.#type, name, codecs.wrappers);
    if (found.kind === "target") return found.target;
    if (found.kind === "unbindable") {
      const why = found.why.replace(
        " and cannot come from the query",
        "; expected a part with content-type application/json",
      );
      throw new TranscodeError("INVALID_VALUE", name, why);
    }
    if (query.unknown === "ignore") return undefined;
    const message = `${this.#type.fullName} has no field of this name`;
    const near = found.suggest() ?? nearest(name.slice(0, 256), [...this.#type.fieldsByName.keys()]);
    throw new TranscodeError("UNKNOWN_FIELD", name, message, near);
  }

  /** Parts must not set one field, or a message and a field of it, or two members of a oneof: the order would decide. */
  #claim(name: string, path: readonly Field[]): void {
    const found = this.#set.add(path);
    if (found === undefined) return;
    if (found === "set") throw this.#repeated(name);
    const message = `"${found.jsonName}" is set, and only one member of the oneof "${found.oneof?.name}" can be`;
    throw new TranscodeError("ONEOF_CONFLICT", name, message);
  }

  #repeated(name: string): TranscodeError {
    const message = `${this.#type.fullName} takes one value here; send it once`;
    return new TranscodeError("REPEATED_PARAMETER", name, message);
  }
}

/** Units of work (net/pace.ts) of one field. */
export const unitsPerField = 4;
/** Units of `codec/work.ts` in one of those. */
const workUnitsPerUnit = 50;

/** Which fields of a message are set, as a tree of the messages that hold them. */
class SetFields {
  readonly #fields = new Map<Field, SetFields>();
  readonly #members = new Map<Oneof, Field>();
  #set = false;

  /**
   * Adds the field at the end of a path, again where it is a list.
   * @returns the conflict: the other member of a oneof, or "set": the field, one around it or one inside it
   */
  add(path: readonly Field[]): Field | "set" | undefined {
    let at: SetFields = this;
    for (const field of path) {
      if (at.#set) return "set";
      const member = field.oneof && at.#members.get(field.oneof);
      if (member !== undefined && member !== field) return member;
      if (field.oneof !== undefined) at.#members.set(field.oneof, field);
      let inner = at.#fields.get(field);
      if (inner === undefined) {
        inner = new SetFields();
        at.#fields.set(field, inner);
      }
      at = inner;
    }
    if (at.#fields.size > 0 || (at.#set && path.at(-1)?.repeated !== true)) return "set";
    at.#set = true;
    return undefined;
  }
}

const noBytes = new Uint8Array(0);

/** The message whose fields a form gives. @throws GatewayError UNSUPPORTED_MEDIA_TYPE, TranscodeError UNEXPECTED_BODY */
function formType({ spec }: RequestPlan): MessageType {
  const { body, input, codecs } = spec;
  if (body.kind === "none")
    throw new TranscodeError("UNEXPECTED_BODY", "", "this route takes no body; send the values in the query");
  if (body.kind === "all") return input;
  const { message, repeated, jsonName } = body.field;
  if (message !== undefined && !repeated && (isHttpBody(message) || !isWellKnown(message, codecs.wrappers)))
    return message;
  const expected = `"${jsonName}" is no message with fields; expected content-type application/json`;
  throw gatewayError("UNSUPPORTED_MEDIA_TYPE", expected);
}

function named<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof TranscodeError ? error.within(name) : error;
  }
}

/** The text of a tree, whose numbers keep their digits. */
function toJson(value: JsonValue): string {
  if (value instanceof JsonNumber) return value.text;
  if (Array.isArray(value)) return `[${value.map(toJson).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const members = Object.keys(value).map(
      name => `${JSON.stringify(name)}:${toJson((value as JsonObject)[name] as JsonValue)}`,
    );
    return `{${members.join(",")}}`;
  }
  return JSON.stringify(value);
}
