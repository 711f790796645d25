import { dirname } from "node:path";
import type { Steps } from "../net/pace.js";
import type { Imported } from "./file-table.js";
import type { Problems } from "./problems.js";
import { hasProto } from "./proto-folder.js";
import type { SourceFile } from "./source-file.js";

/** The files of all inputs, and how one names another. */
export interface ImportTable {
  readonly imported: Imported;
  /** Files that exist but could not be read or parsed: reported already. */
  readonly broken: ReadonlySet<string>;
  /** Where imports of a parsed file were looked for, for messages. */
  searched(file: SourceFile): readonly string[];
  /** Names that could have been meant. */
  names(): Iterable<string>;
  /** One of these names that ends in `/` and the given path. */
  endingIn(path: string): string | undefined;
}

/** Looking for the folder that an import would be found in asks the file system a few times. */
const UNITS_PER_SEARCH = 50;

/** Reports imports that name no file, and marks the files that have such. */
export function* checkImports(file: SourceFile, table: ImportTable, problems: Problems): Steps {
  const { imported, broken } = table;
  yield 1;
  if (file.parsed === undefined) {
    for (const name of file.proto.dependency) {
      yield 1;
      if (imported(file, name) !== undefined) continue;
      // Sets may leave files out whose options or types nothing uses; a type that is missing is reported as such.
      const message = `"${file.proto.name}" imports "${name}", which is in no descriptor source`;
      problems.warning({ message, position: { file: file.origin, line: 0, column: 0 } });
    }
    return;
  }
  for (const { name, line, column } of file.parsed.imports) {
    yield 1;
    if (imported(file, name) !== undefined) continue;
    file.incomplete = true;
    if (broken.has(name)) continue;
    if (problems.full) {
      problems.errors++;
      continue;
    }
    yield UNITS_PER_SEARCH;
    const searched = [...new Set(table.searched(file))].join(", ");
    const root = outerRoot(file.origin, name);
    const advice =
      root === undefined ? "" : `; it is below ${root}: use that folder as "protos", or add it to "include"`;
    const message = `imports "${name}", which was not found in ${searched}${advice}`;
    const position = { file: file.origin, line, column };
    // The usual mistake is a folder that is not the one that imports start from.
    const suggestion = table.endingIn(name);
    if (suggestion !== undefined) problems.error({ message, position, suggestion });
    else problems.error({ message, position }, table.names(), name);
  }
}

/** The nearest folder above a file that an import path would lead from to a file. */
function outerRoot(origin: string, name: string): string | undefined {
  for (let folder = dirname(origin); ; folder = dirname(folder)) {
    if (hasProto(folder, name)) return folder;
    if (folder === dirname(folder)) return undefined;
  }
}

/** Reports every circle of imports once, at the import that closes it. */
export function* checkCycles(files: readonly SourceFile[], imports: Imported, problems: Problems): Steps {
  const done = new Set<SourceFile>();
  for (const root of files) {
    const chain: { file: SourceFile; next: number }[] = [{ file: root, next: 0 }];
    const open = new Set([root]);
    for (let top = chain.at(-1); top !== undefined; top = chain.at(-1)) {
      yield 1;
      const name = done.has(top.file) ? undefined : top.file.proto.dependency[top.next++];
      if (name === undefined) {
        done.add(top.file);
        open.delete(top.file);
        chain.pop();
        continue;
      }
      const imported = imports(top.file, name);
      if (imported === undefined || done.has(imported)) continue;
      if (open.has(imported)) {
        if (problems.full) problems.errors++;
        else
          yield reportCycle(
            chain.map(({ file }) => file),
            imported,
            problems,
          );
      } else {
        open.add(imported);
        chain.push({ file: imported, next: 0 });
      }
    }
  }
}

/** @returns the units that it took */
function reportCycle(chain: readonly SourceFile[], imported: SourceFile, problems: Problems): number {
  const names = [...chain.slice(chain.indexOf(imported)), imported].map(file => `"${file.proto.name}"`);
  const last = chain.at(-1)!;
  const place = last.parsed?.imports.find(({ name }) => name === imported.proto.name);
  const position = { file: last.origin, line: place?.line ?? 0, column: place?.column ?? 0 };
  problems.error({ message: `imports form a circle: ${names.join(" imports ")}`, position });
  return names.length / 10;
}
