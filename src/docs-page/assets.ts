import { readdirSync, readFileSync } from "node:fs";

/** A file of the page. */
export interface Asset {
  /** Below the path of the page; empty for the page itself. */
  readonly name: string;
  readonly contentType: string;
  readonly bytes: Buffer;
}

/** `Content-Security-Policy` of a page: only what it brings itself, only from its own host, and never text as markup. */
export const pagePolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

const contentTypes: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
};

/** @param name of a file of a page */
export function contentTypeOf(name: string): string {
  return contentTypes[name.slice(name.lastIndexOf(".") + 1)] ?? "application/octet-stream";
}

let files: readonly { readonly name: string; readonly bytes: Buffer }[] | undefined;

/** The files of the page, for where it is served. They are read once. */
export function pageAssets(path: string, title: string): readonly Asset[] {
  const folder = new URL("./assets/", import.meta.url);
  files ??= readdirSync(folder)
    .sort()
    .map(name => ({ name, bytes: readFileSync(new URL(name, folder)) }));
  return files.map(({ name, bytes }) => {
    const contentType = contentTypeOf(name);
    if (name !== "index.html") return { name: `/${name}`, contentType, bytes };
    const html = bytes
      .toString()
      .replaceAll("{{path}}", () => escaped(path))
      .replaceAll("{{title}}", () => escaped(title));
    return { name: "", contentType, bytes: Buffer.from(html) };
  });
}

/** Text of the configuration in markup. */
function escaped(text: string): string {
  return text.replace(/[&<>"'`]/g, char => `&#${char.charCodeAt(0)};`);
}
