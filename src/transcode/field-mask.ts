import { TranscodeError } from "./error.js";
import { describeJson, type JsonValue } from "./json.js";

/** A path that lowerCamelCase can hold: `_` only before a lower-case letter, and no capitals. */
const SNAKE_PATH = /^(?:[a-z0-9.]|_[a-z])*$/;
const CAMEL_PATH = /^[A-Za-z0-9.]+$/;

/**
 * The paths of a mask in its JSON form, `author.firstName,title`, as proto field paths.
 * @throws TranscodeError INVALID_VALUE
 */
export function parseFieldMask(value: JsonValue): string[] {
  if (value === "") return [];
  const paths = typeof value === "string" ? value.split(",") : [];
  if (paths.length === 0 || !paths.every(path => CAMEL_PATH.test(path))) {
    throw new TranscodeError(
      "INVALID_VALUE",
      "",
      `expected field paths in lowerCamelCase such as "title,author.firstName", found ${describeJson(value)}`,
    );
  }
  return paths.map(path => path.replace(/[A-Z]/g, capital => `_${capital.toLowerCase()}`));
}

/** One path in lowerCamelCase; undefined where the way back would not give the same path. */
export function formatMaskPath(path: string): string | undefined {
  if (!SNAKE_PATH.test(path)) return undefined;
  return path.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
