import { durationText, oneOf, sizeText } from "../../src/config/expectation.js";
import { Formats } from "../../src/config/format.js";
import { nodeOf, requiredKeys, type SchemaNode } from "../../src/config/schema.js";
import { ConfigSchema } from "../../src/gateway/config.js";

/** A key with everything that may stand there: several nodes where alternatives of a union have it. */
interface Key {
  readonly name: string;
  readonly nodes: readonly SchemaNode[];
  readonly required: boolean;
}

/** Mappings that are described once: what is below the first is as below the second. */
const same: readonly (readonly [RegExp, string])[] = [
  [/^listeners\.(realtime|admin)\.tls$/, "listeners.http.tls"],
  [/^realtime\.api\.tls$/, "listeners.http.tls"],
  [/^realtime\.broker\.tls$/, "upstreams.<name>.tls"],
  [/^rate_limits\.<name>\.redis$/, "realtime.broker"],
  [/^realtime\.events\.(connect|message|leave|disconnect)$/, "realtime.events.join"],
  [/^service_defaults$/, "services"],
  [/^services\.methods\.<name>$/, "services"],
  [/^services\.query$/, "http.query"],
  [/^http\.rules\.additional_bindings$/, "http.rules"],
  [/^http\.grpc\.reflection$/, "http.grpc.health"],
  [/^livekit\.projects\.<name>$/, "livekit"],
  [/^livekit\.projects\.<name>\.previous_keys$/, "livekit.previous_keys"],
  [/^livekit\.actions\.authorize$/, "livekit.routes.authorize"],
];

const marker = /^<!-- keys of ([^,]*?)(?:, type (\w+))? -->$/;
const end = "<!-- end of the keys -->";
/** The bounds behind a description, which the table has in a column of its own. */
const range = / From \w+ to \w+\.$/;
/** Longer choices are not spelled out. */
const maxChoices = 8;

/** The file of the page that has the table of a path. All pages with tables are in one folder. */
export type TablePages = ReadonlyMap<string, string>;

export function tablePages(pages: readonly { readonly path: string; readonly text: string }[]): TablePages {
  return new Map(
    pages
      .toReversed()
      .flatMap(page =>
        markersOf(page.text).map(([path]) => [path, page.path.replace("docs/reference/", "")] as const),
      ),
  );
}

/**
 * The text of a page with each table between `<!-- keys of PATH -->` and its end made from the schema. A mapping that
 * has a table of its own on some page is one row.
 */
export function withKeyTables(text: string, tables: TablePages): string {
  const lines: string[] = [];
  let inTable = false;
  for (const line of text.split("\n")) {
    if (line === end) inTable = false;
    if (!inTable) lines.push(line);
    const [, path, type] = marker.exec(line) ?? [];
    if (path === undefined) continue;
    lines.push(...table(path, type, tables));
    inTable = true;
  }
  if (inTable) throw new Error(`a table of keys has no "${end}"`);
  return lines.join("\n");
}

/** Paths of all keys in the tables of a page, `services.json.enums`; of a provider with its type behind it. */
export function keysOfTables(text: string, tables: TablePages): string[] {
  return markersOf(text).flatMap(([path, type]) =>
    rowsOf(path, type, tables).map(([name]) => pathOf(`${path}.${name}`, type)),
  );
}

function markersOf(text: string): [string, string | undefined][] {
  return text.split("\n").flatMap(line => {
    const [, path, type] = marker.exec(line) ?? [];
    return path === undefined ? [] : [[path, type] as [string, string | undefined]];
  });
}

/** The same of all scalars, lists and choices of the configuration. */
export function allKeys(): string[] {
  const walk = (nodes: readonly SchemaNode[], path: string): string[] => {
    if (same.some(([pattern]) => pattern.test(path))) return [];
    if (path === "auth.providers.<name>")
      return nodes
        .flatMap(members)
        .flatMap(node =>
          keysOf([node]).flatMap(key =>
            walk(key.nodes, `${path}.${key.name}`).map(each => pathOf(each, typeOf(node))),
          ),
        );
    const keys = keysOf(nodes);
    if (keys.length === 0) return [path];
    return keys.flatMap(({ name, nodes: below }) => walk(below, path === "" ? name : `${path}.${name}`));
  };
  return walk([nodeOf(ConfigSchema)], "");
}

function pathOf(path: string, type: string | undefined): string {
  return type === undefined ? path : `${path} of ${type}`;
}

function table(path: string, type: string | undefined, tables: TablePages): string[] {
  const rows = rowsOf(path, type, tables).map(cells => `| \`${cells.join(" | ")} |`.replace(" |", "` |"));
  return ["| key | value | default | meaning |", "|---|---|---|---|", ...rows];
}

function rowsOf(path: string, type: string | undefined, tables: TablePages): string[][] {
  const found = nodesAt(path)
    .flatMap(members)
    .filter(node => type === undefined || typeOf(node) === type);
  const rows = (nodes: readonly SchemaNode[], below: string): string[][] =>
    keysOf(nodes).flatMap(key => {
      const name = `${below}${key.name}`;
      const [, alike] = same.find(([pattern]) => pattern.test(`${path}.${name}`)) ?? [];
      const page = tables.get(alike ?? `${path}.${name}`);
      if (alike !== undefined && page === tables.get(path))
        return [rowOf(path, name, key, ` Keys: those of \`${alike}\`.`)];
      if (page !== undefined && keysOf(key.nodes).length > 0)
        return [rowOf(path, name, key, ` [Keys](${page}).`)];
      const inner = rows(key.nodes, `${name}.`);
      // A mapping that needs no words of its own has only its keys in the table.
      if (inner.length > 0 && key.nodes.every(node => node.type === "object" && node.default !== undefined))
        return inner;
      return [rowOf(path, name, key, ""), ...inner];
    });
  const all = rows(found, "");
  if (all.length === 0) throw new Error(`the configuration has no keys below ${path}`);
  return all;
}

function nodesAt(path: string): readonly SchemaNode[] {
  return path
    .split(".")
    .reduce<readonly SchemaNode[]>(
      (nodes, step) => keysOf(nodes).find(key => key.name === step)?.nodes ?? [],
      [nodeOf(ConfigSchema)],
    );
}

function rowOf(path: string, name: string, { nodes, required }: Key, remark: string): string[] {
  const [first] = nodes;
  // What services leave out is as service_defaults has it.
  const inherited = /^services(\.|$)/.test(path)
    ? nodesAt(`${path}.${name}`.replace("services", "service_defaults"))
    : [];
  const fallback = first?.default ?? inherited[0]?.default;
  const shown = fallback === undefined ? (required ? "required" : "") : yamlOf(fallback);
  const value = oneOf([...new Set(nodes.map(valueText))]);
  return [name, value, shown, `${meaningOf(nodes)}${remark}`].map(cell => cell.replaceAll("|", "\\|"));
}

function meaningOf(nodes: readonly SchemaNode[]): string {
  const texts = [...new Set(nodes.map(({ description = "" }) => description.replace(range, "")))];
  if (texts.length === 1 || nodes.some(node => node.enum?.length !== 1)) return texts[0] ?? "";
  return nodes.map(node => `\`${node.enum}\`: ${node.description}`).join(" ");
}

/** What may stand there, in a few words. */
function valueText(node: SchemaNode): string {
  const { format, minimum, maximum } = node;
  if (node.anyOf !== undefined) return oneOf([...new Set(node.anyOf.map(valueText))]);
  if (node.enum !== undefined)
    return node.enum.length > maxChoices ? "name" : oneOf(node.enum.map(each => `\`${each}\``));
  if (node.const !== undefined) return `\`${node.const}\``;
  if (format === "duration")
    return `duration, ${durationText(minimum ?? 0)} to ${durationText(maximum ?? 0)}`;
  if (format === "size") return `size, ${sizeText(minimum ?? 0)} to ${sizeText(maximum ?? 0)}`;
  if (format !== undefined)
    return Formats[format].expected
      .replace(/^(an?|the) /, "")
      .replace(/ (such as|of letters|of a file or folder|that|in)\b.*/, "");
  switch (node.type) {
    case "object":
      return "mapping";
    case "array":
      return node.items?.enum === undefined ? "list" : `list of ${valueText(node.items)}`;
    case "boolean":
      return "`true` or `false`";
    default:
      return minimum === undefined
        ? "number"
        : maximum === undefined
          ? `from ${minimum}`
          : `${minimum} to ${maximum}`;
  }
}

/** A default as it is written in YAML. */
function yamlOf(value: unknown): string {
  if (typeof value !== "object" || value === null) return `\`${value === "" ? '""' : value}\``;
  if (Array.isArray(value)) return `\`[${value.join(", ")}]\``;
  const entries = Object.entries(value).map(([key, each]) => `${key}: ${each}`);
  return entries.length === 0 ? "" : `\`{ ${entries.join(", ")} }\``;
}

/** The mappings that a node may be, itself or as an item of its list. */
function members(node: SchemaNode): readonly SchemaNode[] {
  return (node.anyOf ?? [node]).flatMap(each => {
    if (each.anyOf !== undefined) return members(each);
    return each.items === undefined ? [each] : members(each.items);
  });
}

function keysOf(nodes: readonly SchemaNode[]): readonly Key[] {
  const mappings = nodes.flatMap(members);
  const found = new Map<string, Key>();
  for (const node of mappings) {
    const required = requiredKeys(node);
    for (const [name, property] of Object.entries(node.properties ?? {})) {
      const known = found.get(name);
      found.set(name, {
        name,
        nodes: [...(known?.nodes ?? []), property],
        required: required.includes(name) && known?.required !== false,
      });
    }
    const [named] = Object.values(node.patternProperties ?? {});
    if (named !== undefined && members(named).some(({ properties }) => properties !== undefined))
      found.set("<name>", { name: "<name>", nodes: [named], required: false });
  }
  return [...found.values()];
}

/** The type of a provider. */
function typeOf(node: SchemaNode): string | undefined {
  return node.properties?.type?.enum?.map(String)[0];
}
