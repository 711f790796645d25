import type { Field } from "../../descriptors/model.js";
import { TranscodeError } from "../error.js";
import { createObject, isJsonObject, type JsonObject, type JsonValue } from "../json.js";

/**
 * The value that a request tree holds for a field, under its JSON name or its proto name; undefined where it has none.
 * @throws TranscodeError DUPLICATE_KEY where it is set under both
 */
function childOf(tree: JsonObject, field: Field): JsonValue | undefined {
  const { jsonName, name } = field;
  // Trees inherit nothing.
  const value = tree[jsonName];
  if (name === jsonName) return value;
  const other = tree[name];
  if (value !== undefined && other !== undefined) {
    throw new TranscodeError(
      "DUPLICATE_KEY",
      jsonName,
      `the field is given as "${jsonName}" and as "${name}"`,
    );
  }
  return value !== undefined ? value : other;
}

/** The value at the end of a field path; undefined where the path ends before. */
export function valueAt(tree: JsonObject, path: readonly Field[]): JsonValue | undefined {
  let value: JsonValue | undefined = tree;
  for (const field of path) {
    if (value === undefined || !isJsonObject(value)) return undefined;
    value = childOf(value, field);
  }
  return value;
}

/**
 * The object that holds the leaf of a path; missing objects on the path are created.
 * @param names the names of created objects; without it their JSON names
 * @throws TranscodeError INVALID_VALUE where the path leads through a value that is no object
 */
function holderOf(tree: JsonObject, path: readonly Field[], names?: readonly string[]): JsonObject {
  let holder = tree;
  for (let index = 0; index < path.length - 1; index += 1) {
    const field = path[index] as Field;
    const child = childOf(holder, field);
    if (child === undefined || child === null) {
      if (child === null) delete holder[field.name];
      const made = createObject();
      holder[names?.[index] ?? field.jsonName] = made;
      holder = made;
    } else if (isJsonObject(child)) {
      holder = child;
    } else {
      throw new TranscodeError("INVALID_VALUE", pathText(path.slice(0, index + 1)), "expected a JSON object");
    }
  }
  return holder;
}

/**
 * Sets the leaf of a path, replacing the value under either of its names.
 * @param names the names of fields that are new; without it their JSON names
 */
export function setAt(
  tree: JsonObject,
  path: readonly Field[],
  value: JsonValue,
  names?: readonly string[],
): void {
  const leaf = path[path.length - 1] as Field;
  const holder = holderOf(tree, path, names);
  const name = names?.[path.length - 1] ?? leaf.jsonName;
  const other = name === leaf.name ? leaf.jsonName : leaf.name;
  // Deleting a member that does not exist costs as much as the rest.
  if (other !== name && holder[other] !== undefined) delete holder[other];
  holder[name] = value;
}

/** The object that a tree holds for a map field, made where it is missing. */
export function mapAt(tree: JsonObject, path: readonly Field[], names: readonly string[]): JsonObject {
  const found = valueAt(tree, path);
  if (found !== undefined && isJsonObject(found)) return found;
  const made = createObject();
  setAt(tree, path, made, names);
  return made;
}

export function isSamePath(one: readonly Field[], two: readonly Field[]): boolean {
  return one.length === two.length && one.every((field, index) => field === two[index]);
}

/** The names by which a tree gives the fields of a path, as far as it does; then their JSON names. */
export function namesIn(tree: JsonObject, path: readonly Field[]): string {
  let holder: JsonValue | undefined = tree;
  return path
    .map(({ name, jsonName }) => {
      const used: string =
        holder !== undefined && isJsonObject(holder) && holder[name] !== undefined ? name : jsonName;
      holder = holder !== undefined && isJsonObject(holder) ? holder[used] : undefined;
      return used;
    })
    .join(".");
}

/** `message.author.login`, in JSON names. */
export function pathText(path: readonly Field[]): string {
  return path.map(field => field.jsonName).join(".");
}
