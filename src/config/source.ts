import { isUtf8 } from "node:buffer";
import { dirname, resolve } from "node:path";
import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type Node,
  type Pair,
  Parser,
  parseDocument,
  visit,
} from "yaml";
import { readFileSync, statSync } from "../net/files.js";
import { type Diagnostic, type FilePosition, fileProblem, type Path } from "./diagnostic.js";

const sizeLimit = 4 * 1024 * 1024;
const depthLimit = 100;
const syntaxErrorLimit = 20;

const needsQuotes = "inside { } and [ ] a value with a ${ in it needs quotes";
const oneDocument = "the file holds more than one YAML document; expected one";

type Content = { readonly text: string; readonly hasLines?: boolean } | { readonly problem: string };

/** Gives the positions of nodes of YAML, and the targets of aliases. */
export interface Positions {
  readonly root: Node | undefined;
  /** The target of an alias, or the node itself; undefined where the alias has no anchor before it. */
  resolve(node: Node): Node | undefined;
  positionOf(node: unknown): FilePosition;
  /**
   * The position of a node, or of its nearest ancestor that exists: of a scalar its own, of a mapping
   * or list that of its key.
   */
  locate(path: Path): FilePosition;
  /** Where relative paths in a node start from. */
  folderOf(node: unknown): string;
  /** In the order in which their problems are listed. */
  readonly files: readonly string[];
  /** The name that was most likely meant by the last step of a path, where one was. */
  suggestionFor?(path: Path): string | undefined;
}

/** A YAML file, parsed but not yet decoded, with the position of each of its nodes. */
export class Source implements Positions {
  readonly #lines = new LineCounter();
  readonly #anchored = new Map<Node, Node>();
  readonly #document: Document | undefined;
  readonly #hasLines: boolean;
  /** Characters of its text. */
  readonly size: number;
  /** Why the file is no YAML; empty where it is. */
  readonly diagnostics: readonly Diagnostic[];

  private constructor(
    readonly file: string,
    content: Content,
  ) {
    if ("problem" in content) {
      const { problem: message } = content;
      this.#hasLines = false;
      this.size = 0;
      this.diagnostics = [{ severity: "error", message, position: this.#position(undefined) }];
      return;
    }
    this.#hasLines = content.hasLines ?? true;
    this.size = content.text.length;
    this.#document = parseDocument(content.text, {
      version: "1.2",
      schema: "core",
      lineCounter: this.#lines,
      prettyErrors: false,
      uniqueKeys: false,
    });
    this.diagnostics = this.#syntaxErrors(this.#document, content.text);
    this.#collectAnchors(this.#document);
  }

  /**
   * Reads YAML 1.2 (core schema) of up to 4 MiB. Its errors are in `diagnostics`; never throws.
   * @param name the name of the file in messages
   */
  static read(file: string, name = "the configuration"): Source {
    return new Source(file, readContent(file, name));
  }

  /** Why a file could not be opened; undefined where it is a file. */
  static problemOf(file: string): string | undefined {
    try {
      return statSync(file).isFile() ? undefined : "is not a file";
    } catch (error) {
      return fileProblem(error);
    }
  }

  /** Reads a value that is in no file; its positions have `name` alone. */
  static readValue(text: string, name: string): Source {
    const deep = nestsDeeper(text, depthLimit);
    return new Source(name, deep ? { problem: "the value nests too deeply" } : { text, hasLines: false });
  }

  /** The top node; undefined where the file is empty or no YAML. */
  get root(): Node | undefined {
    return this.#document?.contents ?? undefined;
  }

  resolve(node: Node): Node | undefined {
    return isAlias(node) ? this.#anchored.get(node) : node;
  }

  get files(): readonly string[] {
    return [this.file];
  }

  folderOf(): string {
    return this.#hasLines ? dirname(resolve(this.file)) : process.cwd();
  }

  positionOf(node: unknown): FilePosition {
    const range = isScalar(node) || isCollection(node) || isAlias(node) ? node.range : undefined;
    return this.#position(range?.[0]);
  }

  locate(path: Path): FilePosition {
    return locateIn(this, path);
  }

  /** All nodes. */
  get nodes(): readonly Node[] {
    const nodes: Node[] = [];
    if (this.#document !== undefined) visit(this.#document, { Node: (_, node) => void nodes.push(node) });
    return nodes;
  }

  #position(offset: number | undefined): FilePosition {
    if (offset === undefined || !this.#hasLines) return { file: this.file, line: 0, column: 0 };
    const { line, col } = this.#lines.linePos(offset);
    return { file: this.file, line, column: col };
  }

  /** One error a line: those that follow on the same line come from the first. */
  #syntaxErrors(document: Document, text: string): readonly Diagnostic[] {
    const byLine = new Map<number, Diagnostic>();
    for (const { code, message, pos } of [...document.errors, ...document.warnings]) {
      const position = this.#position(pos[0]);
      if (byLine.has(position.line) || byLine.size === syntaxErrorLimit) continue;
      const unquoted = text.slice(pos[0] - 1, pos[0] + 1) === "${";
      const several = code === "MULTIPLE_DOCS";
      const advice = code === "TAB_AS_INDENT" ? "; indent with spaces" : "";
      const problem = unquoted ? needsQuotes : several ? oneDocument : `not YAML: ${message}${advice}`;
      byLine.set(position.line, { severity: "error", message: problem, position });
    }
    return [...byLine.values()];
  }

  #collectAnchors(document: Document): void {
    const latest = new Map<string, Node>();
    visit(document, {
      Node: (_, node) => {
        if (isAlias(node)) {
          const target = latest.get(node.source);
          if (target !== undefined) this.#anchored.set(node, target);
        } else if (node.anchor !== undefined) latest.set(node.anchor, node);
      },
    });
  }
}

/** `locate` of any source of positions. */
export function locateIn(positions: Positions, path: Path): FilePosition {
  let node = positions.root;
  let position = positions.positionOf(node);
  for (const step of path) {
    const parent: Node | undefined = node === undefined ? undefined : positions.resolve(node);
    if (isMap(parent)) {
      const pair = parent.items.find(item => keyText(item) === String(step));
      if (pair === undefined) break;
      node = (pair.value ?? undefined) as Node | undefined;
      const inline = isScalar(node) && node.value !== null;
      position = positions.positionOf(inline || isAlias(node) ? node : pair.key);
    } else if (isSeq(parent) && typeof step === "number" && parent.items[step] !== undefined) {
      node = parent.items[step] as Node;
      position = positions.positionOf(node);
    } else break;
  }
  return position;
}

function readContent(file: string, name: string): Content {
  try {
    const stats = statSync(file);
    if (!stats.isFile()) return { problem: `${name} is not a file` };
    if (stats.size > sizeLimit) return { problem: `${name} is larger than 4MiB` };
    const bytes = readFileSync(file);
    if (!isUtf8(bytes)) return { problem: `${name} is not UTF-8 text` };
    const text = bytes.toString();
    return nestsDeeper(text, depthLimit) ? { problem: `${name} nests too deeply` } : { text };
  } catch (error) {
    return { problem: `${name} ${fileProblem(error)}` };
  }
}

/** A key as text; undefined where it is a list or a mapping. */
export function keyText(pair: Pair): string | undefined {
  return isScalar(pair.key) ? String(pair.key.value) : undefined;
}

/**
 * True where lists and mappings of a YAML text are nested more than `limit` deep. This must be known before
 * parsing: the composer recurses with the text's nesting, and running out of stack inside a regular expression
 * ends the process. Lexer and Parser do not recurse; the parser's stack has the open lists and mappings.
 */
function nestsDeeper(text: string, limit: number): boolean {
  const parser = new Parser();
  for (const lexeme of new Lexer().lex(text)) {
    for (const _ of parser.next(lexeme));
    if (parser.stack.length > limit) return true;
  }
  return false;
}
