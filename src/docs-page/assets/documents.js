/** The OpenAPI documents of services, read when one of their operations is looked at, and what stands in them. */

/** Documents that are kept; the oldest is given up for another. */
const mostKept = 30;

const kept = new Map();

/** @returns a promise of the document; rejects with what to tell people */
export function documentOf(url) {
  const known = kept.get(url);
  if (known !== undefined) return known;
  const reading = readJson(url);
  kept.set(url, reading);
  if (kept.size > mostKept) kept.delete(kept.keys().next().value);
  reading.catch(() => kept.delete(url));
  return reading;
}

/** @throws Error that says what the server said */
export async function readJson(url, init) {
  const response = await fetch(url, init);
  const text = await response.text();
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  if (response.ok && value !== undefined) return value;
  throw new Error(
    `${response.status}: ${value?.message ?? value?.error?.message ?? value?.detail ?? "the server said nothing that can be read"}`,
  );
}

/** The operation of a document that a route of the catalog is; undefined where it has none. */
export function operationIn(document, { method, path }) {
  if (path === undefined) return undefined;
  const wanted = keyOf(path);
  for (const [text, item] of Object.entries(document.paths ?? {})) {
    const operation = item[method.toLowerCase()];
    if (operation !== undefined && keyOf(text) === wanted) return operation;
  }
  return undefined;
}

/** Paths that differ in the names of parameters are one. */
function keyOf(path) {
  return path.replace(/\{[^}]*\}/g, "{}");
}

/** What a reference stands for; anything else is itself. */
export function resolved(document, node) {
  let found = node;
  for (let hops = 0; typeof found?.$ref === "string" && hops < 10; hops++) {
    let target = document;
    for (const part of found.$ref.replace(/^#\//, "").split("/"))
      target = Object.hasOwn(target ?? {}, unescaped(part)) ? target[unescaped(part)] : undefined;
    found = target;
  }
  return found ?? {};
}

function unescaped(part) {
  return decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
}

/** A schema without the choice of null, which stands for what is not set. */
export function withoutNull(schema) {
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices === undefined) return schema;
  const others = choices.filter(each => each.type !== "null");
  if (others.length !== 1 || others.length === choices.length) return schema;
  const { anyOf, oneOf, ...about } = schema;
  return { ...others[0], ...about };
}

/** What somebody would call the type of a value: `string`, `int64`, `Author`, `list of Author`. */
export function typeName(document, schema, depth = 0) {
  const bare = withoutNull(schema ?? {});
  const named = /\/([^/]+)$/.exec(bare.$ref ?? "")?.[1];
  const target = withoutNull(resolved(document, bare));
  if (depth > 4) return "…";
  if (target.type === "array") return `list of ${typeName(document, target.items ?? {}, depth + 1)}`;
  if (target.contentEncoding === "base64") return "bytes (base64)";
  if (named !== undefined && !named.startsWith("json-")) return shortName(decodeURIComponent(named));
  if (target.type === "object") {
    return typeof target.additionalProperties === "object"
      ? `map of ${typeName(document, target.additionalProperties, depth + 1)}`
      : "object";
  }
  if (namesOf(document, target).length > 0) return "enum";
  if (named === "json-duration") return "duration";
  if (named === "json-field-mask") return "field mask";
  if (target.format !== undefined) return target.format;
  if (Array.isArray(target.type)) return target.type.filter(type => type !== "null").join(" or ");
  if (target.anyOf !== undefined)
    return [...new Set(target.anyOf.map(each => typeName(document, each, depth + 1)))].join(" or ");
  return target.type ?? "any";
}

/** `AuthorOfBook` of `shop.v1.Book.AuthorOfBook-input`. */
function shortName(name) {
  return name
    .replace(/-(input|\d+)/g, "")
    .split(".")
    .at(-1);
}

/** The names of an enum's values. */
export function namesOf(document, schema) {
  const target = withoutNull(resolved(document, schema ?? {}));
  if (Array.isArray(target.enum)) return target.enum.filter(each => typeof each === "string");
  const choices = (target.anyOf ?? []).map(each => resolved(document, each));
  const named = choices.find(each => Array.isArray(each.enum) && typeof each.enum[0] === "string");
  if (named !== undefined) return named.enum;
  return target.anyOf !== undefined && Array.isArray(choices[0]?.examples) ? choices[0].examples : [];
}

/** What a value must satisfy beside its type, in words. */
export function constraintsOf(document, schema) {
  const target = resolved(document, withoutNull(schema ?? {}));
  const shared =
    typeof withoutNull(schema ?? {}).$ref === "string" && /\/json-[^/]+$/.test(withoutNull(schema).$ref);
  const found = [];
  const say = (key, text) => {
    if (target[key] !== undefined && !shared) found.push(text(target[key]));
  };
  say("const", value => `always ${JSON.stringify(value)}`);
  say("minLength", value => (value === 1 ? "not empty" : `at least ${value} characters`));
  say("maxLength", value => `at most ${value} characters`);
  say("minimum", value => `≥ ${value}`);
  say("exclusiveMinimum", value => `> ${value}`);
  say("maximum", value => `≤ ${value}`);
  say("exclusiveMaximum", value => `< ${value}`);
  say("minItems", value => `at least ${value} ${value === 1 ? "item" : "items"}`);
  say("maxItems", value => `at most ${value} ${value === 1 ? "item" : "items"}`);
  say("uniqueItems", () => "no item twice");
  say("pattern", value => `matches ${String(value).slice(0, 100)}`);
  if (schema?.default !== undefined) found.push(`default ${JSON.stringify(schema.default)}`);
  return found;
}

/** A value that fits a schema, to begin with. */
export function exampleOf(document, schema, seen = []) {
  const bare = withoutNull(schema ?? {});
  const target = withoutNull(resolved(document, bare));
  const given =
    bare.example ??
    bare.examples?.[0] ??
    target.example ??
    target.examples?.[0] ??
    target.default ??
    target.const;
  if (given !== undefined) return given;
  const names = namesOf(document, bare);
  if (names.length > 0) return names.find(name => !/(UNSPECIFIED|UNKNOWN)$/.test(name)) ?? names[0];
  const reference = bare.$ref;
  if (reference?.endsWith("/json-timestamp") || target.format === "date-time") return "2026-01-31T12:00:00Z";
  if (reference?.endsWith("/json-duration")) return "1.5s";
  const type = Array.isArray(target.type) ? target.type[0] : target.type;
  if (type === "array") {
    const item = seen.length > 5 ? undefined : exampleOf(document, target.items ?? {}, seen);
    return item === undefined ? [] : [item];
  }
  if (type === "object" || target.properties !== undefined) {
    if (reference !== undefined && (seen.includes(reference) || seen.length > 4)) return undefined;
    return objectExample(document, target, reference === undefined ? [...seen, ""] : [...seen, reference]);
  }
  if (type === "integer" || type === "number")
    return target.format?.endsWith("64") ? "0" : Math.max(target.minimum > -1e6 ? target.minimum : 0, 0);
  if (type === "boolean") return false;
  if (type === "string") return "";
  return target.anyOf === undefined ? {} : exampleOf(document, target.anyOf[0], seen);
}

function objectExample(document, target, seen) {
  const example = {};
  const rivals = (target.allOf ?? []).map(each => Object.keys(each.oneOf?.[0]?.properties ?? {}));
  for (const [name, property] of Object.entries(target.properties ?? {})) {
    if (property.deprecated || property.readOnly || Object.keys(example).length >= 40) continue;
    // Of a oneof the first member is enough.
    if (rivals.some(names => names.includes(name) && names.some(other => Object.hasOwn(example, other))))
      continue;
    const value = exampleOf(document, property, seen);
    if (value !== undefined)
      Object.defineProperty(example, name, { value, enumerable: true, configurable: true, writable: true });
  }
  return example;
}
