import { dirname, isAbsolute, join, relative, resolve } from "node:path";
import { isMap, isScalar, isSeq, type Node, type Pair, YAMLMap } from "yaml";
import { realpathSync } from "../net/files.js";
import { type Diagnostic, formatPosition } from "./diagnostic.js";
import { expandGlob, isGlob } from "./glob.js";
import { Merger } from "./merge.js";
import type { SchemaNode } from "./schema.js";
import { assignSetting, readSetting } from "./setting.js";
import { keyText, Source } from "./source.js";
import { type SubstitutionScope, substitute } from "./substitution.js";
import { Tree } from "./tree.js";

/** Where a configuration is written: one file, or several of which later ones override, and single settings. */
export type ConfigInput =
  | string
  | {
      /** At least one. */
      readonly files: readonly string[];
      /** `upstreams.chat.timeout=5s`; they override the files. */
      readonly settings?: readonly string[];
    };

/** The result of composing files. */
export interface Composition {
  readonly tree: Tree;
  /** Errors and warnings of the composition itself. */
  readonly problems: readonly Diagnostic[];
  /** False where a file could not be read: problems of the rest may be caused by that alone. */
  readonly complete: boolean;
}

const maxDepth = 10;
const maxFiles = 1000;
const maxBytes = 32 * 1024 * 1024;

/** A file that is being read, and the one that includes it. */
interface Level {
  /** As messages call it. */
  readonly file: string;
  /** Without symbolic links. */
  readonly real: string;
  readonly by: Level | undefined;
}

/** An item of `include`, with the file that contains it. */
interface Include {
  readonly node: Node;
  readonly level: Level;
}

/** The files of an input, by the names that messages call them. */
export function filesOf(input: ConfigInput): readonly string[] {
  return typeof input === "string" ? [input] : input.files;
}

/**
 * Reads the files of a configuration and those they include, and merges them.
 * @param scope substitutes the values in `include`; notified of the files and globs that matter
 */
export function compose(
  input: ConfigInput,
  schema: SchemaNode,
  scope: Omit<SubstitutionScope, "folder">,
): Composition {
  return new Composer(schema, scope).compose(input);
}

class Composer {
  readonly #tree = new Tree();
  readonly #problems: Diagnostic[] = [];
  readonly #merger: Merger;
  /** Where each file was included, of one file of the command line. */
  #included = new Map<string, string>();
  #bytes = 0;
  #complete = true;

  constructor(
    schema: SchemaNode,
    readonly scope: Omit<SubstitutionScope, "folder">,
  ) {
    this.#merger = new Merger(this.#tree, schema, this.#problems);
  }

  compose(input: ConfigInput): Composition {
    const { files, settings = [] } = typeof input === "string" ? { files: [input] } : input;
    let root: Node | undefined;
    for (const file of files) {
      this.#included = new Map();
      this.scope.reads?.(resolve(file));
      const read = this.#read({ file, real: realOf(file), by: undefined });
      root = root === undefined || read === undefined ? (root ?? read) : this.#merger.override(root, read);
    }
    for (const text of settings) root = this.#set(root, text);
    this.#tree.root = root;
    return { tree: this.#tree, problems: this.#problems, complete: this.#complete };
  }

  /** The content of a file with its includes; undefined where it has none. */
  #read(level: Level): Node | undefined {
    const source = Source.read(level.file, level.by === undefined ? undefined : "the included file");
    this.#tree.add(source);
    this.#bytes += source.size;
    if (source.diagnostics.length > 0) {
      this.#complete = false;
      this.#problems.push(...source.diagnostics);
      return undefined;
    }
    const root = source.root && source.resolve(source.root);
    if (!isMap(root)) {
      if (root !== undefined && this.#tree.sources.length > 1) this.#fail(root, expectedMapping(root));
      return root;
    }
    const pairs = root.items.filter(pair => keyText(pair) === "include");
    if (pairs.length === 0) return root;
    const own = this.#tree.own(new YAMLMap(), root);
    own.items = root.items.filter(pair => !pairs.includes(pair));
    return pairs.reduce<Node>((content, pair) => this.#withIncluded(content, pair, level), own);
  }

  #withIncluded(content: Node, { key, value }: Pair, level: Level): Node {
    const list = value ? this.#tree.resolve(value as Node) : undefined;
    if (!isSeq(list)) {
      this.#fail(
        (value ?? key) as Node,
        "include: expected a list of files and globs, such as [./routes/*.yaml]",
      );
      return content;
    }
    let joined = content;
    for (const item of list.items) {
      for (const file of this.#filesOf({ node: item as Node, level })) {
        const included = this.#include(file, { node: item as Node, level });
        if (included !== undefined) joined = this.#merger.join(joined, included);
      }
    }
    return joined;
  }

  /** The files that an item of `include` names, absolute. */
  #filesOf({ node, level }: Include): readonly string[] {
    const target = this.#tree.resolve(node);
    const value = isScalar(target) ? target.value : undefined;
    if (typeof value !== "string" || value === "" || value.includes("\0")) {
      this.#fail(node, "include: expected a file or a glob, such as ./routes/*.yaml");
      return [];
    }
    const folder = dirname(resolve(level.file));
    const { text, problems } = substitute(value, { ...this.scope, folder });
    for (const problem of problems) this.#fail(node, `include: ${problem}`);
    if (problems.length > 0) return [];
    const path = resolve(folder, text);
    this.scope.reads?.(path);
    if (!isGlob(text)) return [path];
    const { files, problem } = expandGlob(path);
    if (problem !== undefined) {
      this.#fail(node, `include: "${value}" ${problem}`);
      return [];
    }
    if (files.length === 0) this.#warn(node, `include: no file matches "${value}"`);
    return files;
  }

  #include(path: string, include: Include): Node | undefined {
    const { node, level } = include;
    const file = shownAs(path, level.file);
    const real = realOf(path);
    const chain = chainOf(level);
    const at = chain.findIndex(each => each.real === real);
    if (at >= 0) {
      const circle = [...chain.slice(at).map(each => each.file), file].join(" → ");
      return this.#fail(node, `include: "${file}" includes itself: ${circle}`);
    }
    const earlier = this.#included.get(real);
    if (earlier !== undefined)
      return this.#fail(node, `include: "${file}" is included already, at ${earlier}`);
    if (chain.length > maxDepth)
      return this.#fail(node, `include: files include each other more than ${maxDepth} levels deep`);
    if (this.#tree.sources.length >= maxFiles || this.#bytes > maxBytes)
      return this.#fail(node, `include: expected at most ${maxFiles} files of together 32MiB`);
    this.#included.set(real, formatPosition(this.#tree.positionOf(node)));
    this.scope.reads?.(path);
    const problem = Source.problemOf(path);
    if (problem !== undefined) return this.#fail(node, `include: "${file}" ${problem}`);
    return this.#read({ file, real, by: level });
  }

  #set(root: Node | undefined, text: string): Node | undefined {
    const setting = readSetting(text);
    const name = "problem" in setting ? `--set ${text.replace(/=.*/s, "")}` : setting.name;
    const source = Source.readValue("problem" in setting ? "" : setting.text, name);
    this.#tree.add(source);
    const problems = "problem" in setting ? [setting.problem] : source.diagnostics.map(each => each.message);
    const assigned =
      "problem" in setting || problems.length > 0
        ? undefined
        : assignSetting(root, setting, source, this.#tree, this.#merger);
    if (typeof assigned === "string") problems.push(assigned);
    if (typeof assigned === "object") return assigned;
    const position = { file: name, line: 0, column: 0 };
    for (const message of problems) this.#problems.push({ severity: "error", message, position });
    this.#complete = false;
    return root;
  }

  #fail(node: Node, message: string): undefined {
    this.#complete = false;
    this.#problems.push({ severity: "error", message, position: this.#tree.positionOf(node) });
  }

  #warn(node: Node, message: string): void {
    this.#problems.push({ severity: "warning", message, position: this.#tree.positionOf(node) });
  }
}

function expectedMapping(node: Node): string {
  return `expected a mapping, found ${isSeq(node) ? "a list" : "a scalar"}`;
}

/** A file and those that include it, the outermost first. */
function chainOf(level: Level): Level[] {
  return level.by === undefined ? [level] : [...chainOf(level.by), level];
}

/** A file in the style in which the one that includes it is called. */
function shownAs(path: string, by: string): string {
  return isAbsolute(by) ? path : join(dirname(by), relative(dirname(resolve(by)), path));
}

/** Without symbolic links; the path itself where it leads nowhere. */
function realOf(file: string): string {
  try {
    return realpathSync(file);
  } catch {
    return resolve(file);
  }
}
